/*-------------------------------------------------------------------------
 *
 * health.h
 *	  What a person or an exporter should look at.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_HEALTH_H
#define SYNCMASTER_HEALTH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* health_finding.c: What the checks of the rows have in common. */

typedef struct Health
{
	ExtensionEntry extension;
	SchemaRevision revision;
	TimestampTz now;
	List *findings; /* of Finding */
} Health;

extern bool syncmaster_may_look(Health *health, const char *check_name,
								const char *table, AppTableState state);
extern void syncmaster_add_locked_index(Health *health, const char *check_name,
										const char *table);
extern TimestampTz syncmaster_ago(const Health *health, int seconds);
extern const char *syncmaster_limit_text(const char *setting);
extern char *syncmaster_count(int64 count, const char *one, const char *many);
extern char *syncmaster_list_ids(IdList *ids);

/* One check, or a few that read the same tables. */
extern void syncmaster_check_health_schema(Health *health);
extern void syncmaster_check_runs(Health *health);
extern void syncmaster_check_growth(Health *health);
extern void syncmaster_check_sequences(Health *health);
extern void syncmaster_check_schedules(Health *health);
extern void syncmaster_check_stored_credentials(Health *health);

#endif /* SYNCMASTER_HEALTH_H */
