/*-------------------------------------------------------------------------
 *
 * health_run.c
 *	  Runs: those that do not come to an end, and those of the last day.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "health/health.h"
#include "rows/rows.h"
#include "settings.h"

/* A status and how long a run may have it. */
typedef struct RunLimit
{
	RunColumn since; /* column with the time at which the run got the status */
	const char *setting;
	const int  *seconds;
	const char *hint;
} RunLimit;

/* In the order of syncmaster_run_statuses. */
static const RunLimit limits[NACTIVE_STATUSES] = {
	{RUN_CREATED_AT, "syncmaster.health_waiting", &syncmaster_health_waiting,
	 "Is a worker at work on the queues of their transfers? SELECT * "
	 "FROM syncmaster_end_runs('{id, ...}') ends those that the broker lost."},
	{RUN_STARTED_AT, "syncmaster.health_started", &syncmaster_health_started,
	 "Their logs (log_url) say more. SELECT * FROM "
	 "syncmaster_end_runs('{id, ...}') ends those that no worker is at work on "
	 "any more."},
	{RUN_UPDATED_AT, "syncmaster.health_waiting", &syncmaster_health_waiting,
	 "Workers do not look at runs that were stopped before they began: SELECT "
	 "* FROM syncmaster_end_runs('{id, ...}') ends them."},
};

typedef struct LateRuns
{
	const Health *health;
	IdList		  ids[NACTIVE_STATUSES];
	TimestampTz	  oldest[NACTIVE_STATUSES];
} LateRuns;

/* RunReader: collects the runs that are late. */
static bool
add_late_run(void *state, int status, const AppTable *runs,
			 TupleTableSlot *slot)
{
	LateRuns	   *late = (LateRuns *) state;
	const RunLimit *limit = &limits[status];
	bool			isnull;
	Datum since = slot_getattr(slot, runs->columns[limit->since], &isnull);
	int64 id;

	if (*limit->seconds == 0)
		return false;
	if (isnull)
		since = slot_getattr(slot, runs->columns[RUN_CREATED_AT], &isnull);
	if (isnull || DatumGetTimestampTz(since) >=
					  syncmaster_ago(late->health, *limit->seconds))
		return true;
	id = DatumGetInt64(slot_getattr(slot, runs->columns[RUN_ID], &isnull));
	if (!isnull)
		syncmaster_add_id(&late->ids[status], &id);
	late->oldest[status] = Min(late->oldest[status],
							   DatumGetTimestampTz(since));
	return true;
}

void
syncmaster_check_runs(Health *health)
{
	LateRuns	  late = {.health = health};
	AppTable	  runs;
	bool		  complete[NACTIVE_STATUSES];
	RunReadResult result;
	RunReadResult recent;

	if (!syncmaster_may_look(health, "runs", "run",
							 syncmaster_open_runs(&runs,
												  health->extension.namespace)))
		return;
	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		syncmaster_init_ids(&late.ids[i]);
		late.oldest[i] = DT_NOEND;
	}
	result = syncmaster_read_active_runs(&runs, NO_ENTRY_LIMIT, MAX_BLOCKS_READ,
										 add_late_run, &late, complete);
	recent = syncmaster_check_recent_runs(health, &runs);
	syncmaster_close_app_table(&runs);
	if (result == RUN_READ_LOCKED || recent == RUN_READ_LOCKED)
		syncmaster_add_locked_index(health, "runs", "run");
	if (result == RUN_READ_NO_INDEX)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "runs", "run",
			"was not looked at: no index on status of table \"run\" helps",
			psprintf(
				"CREATE INDEX CONCURRENTLY ix__run__status ON %s (status), "
				"and ask again.",
				quote_qualified_identifier(health->extension.namespace_name,
										   "run")));

	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		if (late.ids[i].count == 0)
			continue;
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "runs", "run",
			psprintf("%s %s for longer than %s, the first since %s: %s",
					 syncmaster_count(late.ids[i].count, "run is", "runs are"),
					 syncmaster_run_statuses[i],
					 syncmaster_limit_text(limits[i].setting),
					 timestamptz_to_str(late.oldest[i]),
					 syncmaster_list_ids(&late.ids[i])),
			limits[i].hint);
	}
}
