/*-------------------------------------------------------------------------
 *
 * health_fire.c
 *	  Schedules on which the scheduler fails, those that never come, and
 *	  transfers that should have run and did not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/timestamp.h"

#include "base/base.h"
#include "health/cron.h"
#include "health/health.h"
#include "rows/rows.h"
#include "settings.h"

/*
 * How many days are looked at: older runs may have been purged, and a run that
 * was missed long ago should not be reported forever.
 */
#define MISSED_DAYS 8

/*
 * Tolerance: clocks differ, and the change to daylight saving time moves the
 * last time by an hour.
 */
#define SLACK_MINUTES 65

/* Offsets of time zones, in minutes. */
#define MIN_ZONE (-12 * 60)
#define MAX_ZONE (14 * 60)
#define ZONE_STEP 15

static double
unix_minutes(TimestampTz time)
{
	return (double) (time - SetEpochTimestamp()) / USECS_PER_MINUTE;
}

/*
 * Report schedules on which the scheduler fails, and those that never fire;
 * returns the number of the first.
 */
int64
syncmaster_check_schedule_texts(Health *health, const TransferList *list)
{
	const char *text = NULL;
	IdList		refused;
	IdList		never;

	syncmaster_init_ids(&refused);
	syncmaster_init_ids(&never);
	for (int64 i = 0; i < list->count; i++)
	{
		const Transfer *transfer = &list->transfers[i];
		int64_t			minute;

		if (!transfer->is_scheduled)
			continue;
		if (transfer->refused != NULL)
		{
			syncmaster_add_id(&refused, &transfer->id);
			text = text == NULL ? transfer->refused : text;
		}
		else if (transfer->schedule_status == CRON_OK &&
				 !cron_next(&transfer->schedule, 0, &minute))
			syncmaster_add_id(&never, &transfer->id);
	}
	if (refused.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_ERROR, "schedules", "transfer",
			psprintf("%s a schedule on which the scheduler fails, the first is "
					 "\"%s\": %s",
					 syncmaster_count(refused.count, "transfer has",
									  "transfers have"),
					 text, syncmaster_list_ids(&refused)),
			"The scheduler ends when it meets one, at each start again, and no "
			"transfer runs. Correct the schedule, or switch it off.");
	if (never.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules", "transfer",
			psprintf("%s a schedule that never comes, such as 30 February: %s",
					 syncmaster_count(never.count, "transfer has",
									  "transfers have"),
					 syncmaster_list_ids(&never)),
			"Correct the schedule, or switch it off.");
	return refused.count;
}

/*
 * Return whether a transfer has had a run since that time.  *locked is set if
 * the index is locked.
 */
bool
syncmaster_has_run_since(const AppTable *runs, int64 transfer,
						 TimestampTz since, bool *locked)
{
	Datum		equal = Int64GetDatum(transfer);
	OrderedScan scan;
	bool		found = false;

	/* later pages first, because most new rows are there */
	if (!syncmaster_begin_ordered_scan(&scan, runs->rel, runs->columns[0],
									   &equal, BackwardScanDirection,
									   NO_ENTRY_LIMIT))
	{
		*locked = *locked || scan.locked;
		return true;
	}
	while (!found && syncmaster_next_ordered(&scan))
	{
		bool  isnull;
		Datum created_at = slot_getattr(scan.slot, runs->columns[1], &isnull);

		found = !isnull && DatumGetTimestampTz(created_at) >= since;
	}
	syncmaster_end_ordered_scan(&scan);

	return found;
}

/*
 * Find when a transfer should last have run, not later than a given time.
 * False if that is not known.
 *
 * The schedule is in the scheduler's time zone, which the database does not
 * have.  A time zone is possible if the job's next time is a time of the
 * schedule in it; if several are, the one with the earliest last time counts.
 */
static bool
find_last_fire(const Health *health, const Transfer *transfer, int64 *last)
{
	double limit = unix_minutes(
		syncmaster_ago(health, syncmaster_health_waiting));
	double next = transfer->next_run_time / SECS_PER_MINUTE;
	int64  until;
	bool   found = false;

	if (!transfer->is_scheduled || transfer->schedule_status != CRON_OK ||
		!isfinite(next) || next < limit || fabs(next) > 1e9 ||
		next != floor(next))
		return false;
	until = (int64) Min(floor(limit), next - 1);
	for (int zone = MIN_ZONE; zone <= MAX_ZONE; zone += ZONE_STEP)
	{
		int64_t minute;

		if (!cron_fires_at(&transfer->schedule, (int64) next + zone) ||
			!cron_previous(&transfer->schedule, until + zone, &minute))
			continue;
		if (!found || minute - zone < *last)
			*last = minute - zone;
		found = true;
	}
	return found;
}

/*
 * Report transfers that should have run and did not, and jobs that have no
 * next time.
 */
void
syncmaster_check_fires(Health *health, const TransferList *list,
					   const AppTable *runs, bool *locked)
{
	TimestampTz oldest = syncmaster_ago(health, MISSED_DAYS * SECS_PER_DAY);
	TimestampTz first = DT_NOEND;
	IdList		missed;
	IdList		timeless;

	syncmaster_init_ids(&missed);
	syncmaster_init_ids(&timeless);
	for (int64 i = 0; i < list->count && !*locked; i++)
	{
		const Transfer *transfer = &list->transfers[i];
		int64_t			minute;
		int64			last;
		TimestampTz		time;

		if (transfer->is_scheduled && transfer->has_job &&
			isinf(transfer->next_run_time) &&
			transfer->schedule_status == CRON_OK &&
			cron_next(&transfer->schedule, 0, &minute))
			syncmaster_add_id(&timeless, &transfer->id);
		if (!find_last_fire(health, transfer, &last))
			continue;
		time = SetEpochTimestamp() + last * USECS_PER_MINUTE;
		if (time < oldest || transfer->updated_at >= time ||
			syncmaster_has_run_since(runs, transfer->id,
									 time - SLACK_MINUTES * USECS_PER_MINUTE,
									 locked))
			continue;
		syncmaster_add_id(&missed, &transfer->id);
		first = Min(first, time);
	}
	if (missed.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules", "run",
			psprintf("%s should have run at %s%s and had no run since: %s",
					 syncmaster_count(missed.count, "transfer", "transfers"),
					 timestamptz_to_str(first),
					 missed.count > 1 ? " or later" : "",
					 syncmaster_list_ids(&missed)),
			"The scheduler was not at work then, or failed: its log says why. "
			"InvalidToken means that it has not the key of the credentials; of "
			"missing rights, SELECT * FROM syncmaster_privileges() tells.");
	if (timeless.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules",
			"apscheduler_jobs",
			psprintf("%s paused, and without a time to run at: %s",
					 syncmaster_count(timeless.count, "job is", "jobs are"),
					 syncmaster_list_ids(&timeless)),
			"Delete the jobs and restart the scheduler, which makes them "
			"anew.");
}
