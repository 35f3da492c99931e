/*-------------------------------------------------------------------------
 *
 * health_recent.c
 *	  What became of the runs of the last day.
 *
 * A run that the server or the scheduler could not hand to the broker becomes
 * FAILED with neither a time at which it started nor one at which it ended.  The
 * worker writes the latter, also of a run that it could not start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/base.h"
#include "health/health.h"
#include "rows/rows.h"

/*
 * How many runs are read, and how many entries of the index are visited, at
 * most.
 */
#define MAX_RUNS 10000
#define MAX_ENTRIES 50000

/* After so many older runs in a row, all others are taken to be older, too. */
#define MAX_OLDER 1000

/* With fewer runs, failures may be chance. */
#define MIN_FAILED 3

typedef struct RecentRun
{
	int64		id;
	int64		transfer_id;
	TimestampTz created_at;
	int			status; /* number of the status, or -1 */
	bool		is_scheduled;
	bool		has_started;
	bool		has_ended;
} RecentRun;

typedef struct RecentRuns
{
	TimestampTz since;
	int			older;
	RecentRun  *runs;
	int			count;
	int			size;
} RecentRuns;

static bool
is_failed(const RecentRun *run)
{
	return run->status >= 0 &&
		   strcmp(syncmaster_run_statuses[run->status], "FAILED") == 0;
}

/* RecentRunReader: collects the runs of the last day. */
static bool
add_recent_run(void *state, const AppTable *runs, TupleTableSlot *slot,
			   TimestampTz created_at)
{
	RecentRuns *recent = state;
	RecentRun  *run;
	bool		nulls[4];
	Datum		id = slot_getattr(slot, runs->columns[RUN_ID], &nulls[0]);
	Datum		transfer = slot_getattr(slot, runs->columns[RUN_TRANSFER_ID],
										&nulls[1]);
	Datum status = slot_getattr(slot, runs->columns[RUN_STATUS], &nulls[2]);
	Datum type = slot_getattr(slot, runs->columns[RUN_TYPE], &nulls[3]);

	if (created_at < recent->since)
		return ++recent->older < MAX_OLDER;
	recent->older = 0;
	if (nulls[0] || nulls[1] || nulls[2] || nulls[3])
		return true;
	if (recent->count == recent->size)
	{
		recent->size = Max(recent->size * 2, 256);
		recent->runs = recent->runs == NULL
						   ? palloc(recent->size * sizeof(RecentRun))
						   : repalloc(recent->runs,
									  recent->size * sizeof(RecentRun));
	}
	run = &recent->runs[recent->count++];
	run->id = DatumGetInt64(id);
	run->transfer_id = DatumGetInt64(transfer);
	run->created_at = created_at;
	run->status = syncmaster_find_status(status);
	run->is_scheduled = syncmaster_is_scheduled_type(type);
	run->has_started = !slot_attisnull(slot, runs->columns[RUN_STARTED_AT]);
	run->has_ended = !slot_attisnull(slot, runs->columns[RUN_ENDED_AT]);
	return true;
}

/* Sorts by transfer, then by age, the oldest first. */
static int
compare_runs(const void *left, const void *right)
{
	const RecentRun *a = left;
	const RecentRun *b = right;

	if (a->transfer_id != b->transfer_id)
		return a->transfer_id < b->transfer_id ? -1 : 1;
	if (a->created_at != b->created_at)
		return a->created_at < b->created_at ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void
report_share(Health *health, const RecentRuns *recent)
{
	IdList transfers;
	int64  failed = 0;
	int64  ended = 0;

	syncmaster_init_ids(&transfers);
	for (int i = 0; i < recent->count; i++)
	{
		const RecentRun *run = &recent->runs[i];

		if (run->status >= NACTIVE_STATUSES)
			ended++;
		if (!is_failed(run))
			continue;
		failed++;
		if (transfers.count == 0 ||
			transfers.ids[transfers.count - 1] != run->transfer_id)
			syncmaster_add_id(&transfers, &run->transfer_id);
	}
	if (failed < MIN_FAILED || failed * 2 <= ended)
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, "runs", "run",
		psprintf("%lld of %lld runs of the last day that ended FAILED, those "
				 "of %s: %s",
				 (long long) failed, (long long) ended,
				 syncmaster_count(transfers.count, "transfer", "transfers"),
				 syncmaster_list_ids(&transfers)),
		"Their logs (log_url) say why.");
}

/*
 * Report runs that never reached the broker.  Runs before the last one that
 * started are lost, but the broker is back.
 */
static void
report_unsent(Health *health, const RecentRuns *recent)
{
	IdList		ids;
	int64		last_started = 0;
	int64		last_unsent = 0;
	TimestampTz last_time = DT_NOBEGIN;

	syncmaster_init_ids(&ids);
	for (int i = 0; i < recent->count; i++)
	{
		const RecentRun *run = &recent->runs[i];

		if (run->has_started)
			last_started = Max(last_started, run->id);
		else if (is_failed(run) && !run->has_ended)
		{
			syncmaster_add_id(&ids, &run->id);
			last_unsent = Max(last_unsent, run->id);
			last_time = Max(last_time, run->created_at);
		}
	}
	if (ids.count == 0)
		return;
	syncmaster_add_finding(
		&health->findings,
		last_started > last_unsent ? SEVERITY_INFO : SEVERITY_WARNING, "runs",
		"run",
		psprintf("%s FAILED before a worker could get them, the last at %s: %s",
				 syncmaster_count(ids.count, "run", "runs"),
				 timestamptz_to_str(last_time), syncmaster_list_ids(&ids)),
		last_started > last_unsent
			? "The broker could not be reached then. Runs have started since; "
			  "these have to be started anew."
			: "The broker cannot be reached: is it at work, and do server and "
			  "scheduler have its address and its password? These runs have to "
			  "be started anew.");
}

/*
 * Report runs that a worker received and could not start, unless their
 * transfer had a later run that was started.
 */
static void
report_unstarted(Health *health, const RecentRuns *recent)
{
	IdList ids;
	int64  last_transfer = 0;
	bool   started = false;

	syncmaster_init_ids(&ids);
	for (int i = recent->count - 1; i >= 0; i--)
	{
		const RecentRun *run = &recent->runs[i];

		if (i == recent->count - 1 || run->transfer_id != last_transfer)
			started = false;
		last_transfer = run->transfer_id;
		started = started || run->has_started;
		if (!started && is_failed(run) && run->has_ended)
			syncmaster_add_id(&ids, &run->id);
	}
	if (ids.count == 0)
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, "runs", "run",
		psprintf("%s FAILED before a worker could start them: %s",
				 syncmaster_count(ids.count, "run", "runs"),
				 syncmaster_list_ids(&ids)),
		"The worker's log says why. InvalidToken means that it has not the key "
		"of the credentials; connections without credentials are listed, too, "
		"and so are runs that syncmaster_end_runs() ended.");
}

/*
 * Report transfers that were started twice in one minute by their schedules,
 * which have whole minutes.
 */
static void
report_doubles(Health *health, const RecentRuns *recent)
{
	IdList			 transfers;
	const RecentRun *last = NULL;
	TimestampTz		 last_time = DT_NOBEGIN;

	syncmaster_init_ids(&transfers);
	for (int i = 0; i < recent->count; i++)
	{
		const RecentRun *run = &recent->runs[i];

		if (!run->is_scheduled)
			continue;
		if (last != NULL && last->transfer_id == run->transfer_id &&
			last->created_at / USECS_PER_MINUTE ==
				run->created_at / USECS_PER_MINUTE)
		{
			last_time = Max(last_time, run->created_at);
			if (transfers.count == 0 ||
				transfers.ids[transfers.count - 1] != run->transfer_id)
				syncmaster_add_id(&transfers, &run->transfer_id);
		}
		last = run;
	}
	if (transfers.count == 0)
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, "schedules", "run",
		psprintf("the schedules of %s started two runs within the same minute, "
				 "the last time at %s: %s",
				 syncmaster_count(transfers.count, "transfer", "transfers"),
				 timestamptz_to_str(last_time),
				 syncmaster_list_ids(&transfers)),
		"Are two schedulers at work? Each of them starts every run: stop one.");
}

/*
 * Check the runs of the last day, in a table that the caller has opened.
 */
RunReadResult
syncmaster_check_recent_runs(Health *health, const AppTable *runs)
{
	RecentRuns	  recent = {.since = syncmaster_ago(health, SECS_PER_DAY)};
	RunReadResult result = syncmaster_read_recent_runs(runs, MAX_RUNS,
													   MAX_ENTRIES,
													   add_recent_run, &recent);

	if (recent.count > 0)
		qsort(recent.runs, recent.count, sizeof(RecentRun), compare_runs);
	report_share(health, &recent);
	report_unsent(health, &recent);
	report_unstarted(health, &recent);
	report_doubles(health, &recent);
	return result;
}
