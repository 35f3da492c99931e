/*-------------------------------------------------------------------------
 *
 * preflight.h
 *	  What stands in the way of an upgrade.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PREFLIGHT_H
#define SYNCMASTER_PREFLIGHT_H

#include "plan.h"
#include "problem.h"

typedef struct Preflight
{
	MigrationContext context;
	SchemaRevision revision;
	UpgradePlan *plan; /* NULL if there cannot be one */
	List *problems;
} Preflight;

extern void syncmaster_report(Preflight *preflight, ProblemSeverity severity,
							  const char *subject, const char *message,
							  const char *hint);

extern void syncmaster_check_disk(Preflight *preflight);
extern void syncmaster_check_objects(Preflight *preflight);
extern void syncmaster_check_replication(Preflight *preflight);

#endif /* SYNCMASTER_PREFLIGHT_H */
