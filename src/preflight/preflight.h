/*-------------------------------------------------------------------------
 *
 * preflight.h
 *	  What an upgrade will do, and what may stop it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PREFLIGHT_H
#define SYNCMASTER_PREFLIGHT_H

#include "postgres.h"

#include "base/base.h"
#include "engine/engine.h"
#include "schema/schema.h"

/* plan.c: What an upgrade will do. */

extern int64 syncmaster_relation_bytes(Oid relid);

/* report.c: What a preflight has found so far. */

typedef struct Preflight
{
	MigrationContext context;
	UpgradePlan		*plan; /* NULL if it cannot be made */
	List			*findings;
} Preflight;

extern void syncmaster_report(Preflight *preflight, Severity severity,
							  const char *subject, const char *message,
							  const char *hint);
extern bool syncmaster_has_errors(const Preflight *preflight);
extern bool syncmaster_is_reported(List *findings, const Finding *finding);
extern void syncmaster_report_once(Preflight *preflight, List *problems);

/* Checks of the preflight: disk.c, preflight_citus.c, preflight_objects.c */

extern void syncmaster_check_citus(Preflight *preflight);
extern void syncmaster_check_disk(Preflight *preflight);
extern void syncmaster_check_objects(Preflight *preflight);
extern void syncmaster_check_replication(Preflight *preflight);

#endif /* SYNCMASTER_PREFLIGHT_H */
