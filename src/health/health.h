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
#include "health/cron.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* health.c: All checks. */

typedef struct Health
{
	ExtensionEntry extension;
	SchemaRevision revision;
	TimestampTz	   now;
	List		  *findings; /* of Finding; "kind" is the name of the check */
} Health;

extern void syncmaster_collect_health(Health *health);

/* health_finding.c: What the checks of the rows have in common. */

extern bool syncmaster_may_look(Health *health, const char *check_name,
								const char *table, AppTableState state);
extern void syncmaster_add_locked_index(Health *health, const char *check_name,
										const char *table);
extern TimestampTz syncmaster_ago(const Health *health, int seconds);
extern const char *syncmaster_limit_text(const char *setting);
extern char *syncmaster_count(int64 count, const char *one, const char *many);
extern char *syncmaster_list_ids(IdList *ids);

/* health_fire.c: When transfers should have run. */

/* A transfer, and the scheduler's job for it. */
typedef struct Transfer
{
	int64		 id;
	int64		 queue_id;
	TimestampTz	 updated_at;
	bool		 is_scheduled;
	CronStatus	 schedule_status;
	CronSchedule schedule; /* if the status is CRON_OK */
	char		*refused;  /* the text of a schedule that is refused */
	bool		 has_job;
	double next_run_time; /* next time of the job; infinite if it has none */
} Transfer;

typedef struct TransferList
{
	Transfer *transfers;
	int64	  count;
	int64	  size;
} TransferList;

extern int64 syncmaster_check_schedule_texts(Health				*health,
											 const TransferList *list);
extern void	 syncmaster_check_fires(Health *health, const TransferList *list,
									const AppTable *runs, bool *locked);
extern bool	 syncmaster_has_run_since(const AppTable *runs, int64 transfer,
									  TimestampTz since, bool *locked);

/* health_recent.c: How the runs of the last day ended. */

extern RunReadResult syncmaster_check_recent_runs(Health		 *health,
												  const AppTable *runs);

/* One check, or several that read the same tables. */
extern void syncmaster_check_health_schema(Health *health);
extern void syncmaster_check_runs(Health *health);
extern void syncmaster_check_privileges(Health *health);
extern void syncmaster_check_growth(Health *health);
extern void syncmaster_check_sequences(Health *health);
extern void syncmaster_check_schedules(Health *health);
extern void syncmaster_check_stored_credentials(Health *health);

#endif /* SYNCMASTER_HEALTH_H */
