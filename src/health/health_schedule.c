/*-------------------------------------------------------------------------
 *
 * health_schedule.c
 *	  Schedules without jobs, jobs without schedules, and queues on which
 *	  nothing runs.
 *
 * The scheduler keeps a job for each transfer that is scheduled; its id is the
 * transfer's, as text.  All transfers and the ids of all jobs are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "health/cron.h"
#include "health/health.h"
#include "rows/rows.h"
#include "settings.h"

#define WAITING "syncmaster.health_waiting"
#define QUEUE_IDLE "syncmaster.health_queue_idle"

static int
compare_int64(int64 a, int64 b)
{
	return a < b ? -1 : a > b;
}

static int
compare_id(const void *left, const void *right)
{
	return compare_int64(((const Transfer *) left)->id,
						 ((const Transfer *) right)->id);
}

/* Sorts by queue, scheduled transfers first. */
static int
compare_queue(const void *left, const void *right)
{
	const Transfer *a = (const Transfer *) left;
	const Transfer *b = (const Transfer *) right;
	int				order = compare_int64(a->queue_id, b->queue_id);

	if (order == 0)
		order = (int) b->is_scheduled - (int) a->is_scheduled;
	return order != 0 ? order : compare_int64(a->id, b->id);
}

static Transfer *
add_transfer(TransferList *list)
{
	if (list->count == list->size)
	{
		list->size = Max(list->size * 2, 1024);
		list->transfers = list->transfers == NULL
							  ? palloc(list->size * sizeof(Transfer))
							  : repalloc_huge(list->transfers,
											  list->size * sizeof(Transfer));
	}
	return &list->transfers[list->count++];
}

/*
 * Parse a schedule.  In other encodings than UTF-8, which services write
 * without one, too, a schedule with characters outside ASCII is not judged.
 */
static CronStatus
parse_schedule(const char *text, CronSchedule *schedule)
{
	if (GetDatabaseEncoding() != PG_UTF8 &&
		GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		for (const char *c = text; *c != '\0'; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				return CRON_UNKNOWN;
		}
	}
	return cron_parse(text, schedule);
}

static void
read_schedule(Transfer *transfer, char *text)
{
	transfer->schedule_status = parse_schedule(text, &transfer->schedule);
	transfer->refused = NULL;
	if (transfer->is_scheduled && transfer->schedule_status == CRON_REFUSED)
		transfer->refused = text;
	else
		pfree(text);
}

/*
 * Read all transfers, in the order of their ids.
 */
static bool
read_transfers(Health *health, TransferList *list)
{
	static const char *const columns[] = {"id",			  "queue_id",
										  "is_scheduled", "updated_at",
										  "schedule",	  NULL};
	AppTable				 table;
	DirectScan				 scan;

	if (!syncmaster_may_look(
			health, "schedules", "transfer",
			syncmaster_open_app_table(&table, health->extension.namespace,
									  "transfer", columns)))
		return false;
	if (!syncmaster_begin_scan(&scan, table.rel))
		elog(ERROR, "rows of table \"%s\" are elsewhere",
			 RelationGetRelationName(table.rel));
	while (syncmaster_next_row(&scan))
	{
		bool	  nulls[5];
		Datum	  values[5];
		Transfer *transfer;

		for (int i = 0; i < 5; i++)
			values[i] = slot_getattr(scan.slot, table.columns[i], &nulls[i]);
		if (nulls[0] || nulls[1] || nulls[2] || nulls[3])
			continue;
		transfer = add_transfer(list);
		transfer->id = DatumGetInt64(values[0]);
		transfer->queue_id = DatumGetInt64(values[1]);
		transfer->is_scheduled = DatumGetBool(values[2]);
		transfer->updated_at = DatumGetTimestampTz(values[3]);
		transfer->has_job = false;
		transfer->next_run_time = get_float8_infinity();
		read_schedule(transfer,
					  nulls[4] ? pstrdup("") : TextDatumGetCString(values[4]));
	}
	syncmaster_end_scan(&scan);
	syncmaster_close_app_table(&table);
	if (list->count > 0)
		qsort(list->transfers, list->count, sizeof(Transfer), compare_id);
	return true;
}

/*
 * The id of the transfer that a job's id names; false if it is not a number as
 * Python writes it.
 */
static bool
parse_job_id(const char *text, int64 *id)
{
	char *end;

	errno = 0;
	*id = strtoll(text, &end, 10);
	return errno == 0 && strcmp(psprintf(INT64_FORMAT, *id), text) == 0;
}

typedef struct JobReport
{
	IdList gone;
	IdList not_scheduled;
	int64  strange;
	char  *strange_id; /* the first strange id */
	int64  overdue;
	double first_time;
} JobReport;

static void
add_job(Health *health, TransferList *list, JobReport *report, const char *text,
		double next_run_time)
{
	double limit = (double) (syncmaster_ago(health, syncmaster_health_waiting) -
							 SetEpochTimestamp()) /
				   USECS_PER_SEC;
	Transfer  key = {0};
	Transfer *transfer;

	if (syncmaster_health_waiting > 0 && next_run_time < limit)
	{
		report->overdue++;
		report->first_time = Min(report->first_time, Max(next_run_time, 0));
	}
	if (!parse_job_id(text, &key.id))
	{
		if (report->strange++ == 0)
			report->strange_id = MemoryContextStrdup(report->gone.context,
													 text);
		return;
	}
	transfer = list->count == 0 ? NULL
								: bsearch(&key, list->transfers, list->count,
										  sizeof(Transfer), compare_id);
	if (transfer == NULL)
		syncmaster_add_id(&report->gone, &key.id);
	else
	{
		transfer->has_job = true;
		transfer->next_run_time = next_run_time;
		if (!transfer->is_scheduled && syncmaster_health_waiting > 0 &&
			transfer->updated_at <
				syncmaster_ago(health, syncmaster_health_waiting))
			syncmaster_add_id(&report->not_scheduled, &key.id);
	}
}

/*
 * Read the jobs' ids and times, but never the column that the scheduler
 * unpickles.
 */
static bool
read_jobs(Health *health, TransferList *list, JobReport *report)
{
	static const char *const columns[] = {"id", "next_run_time", NULL};
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "syncmaster job",
													  ALLOCSET_DEFAULT_SIZES);
	AppTable	  table;
	DirectScan	  scan;

	if (!syncmaster_may_look(
			health, "schedules", "apscheduler_jobs",
			syncmaster_open_app_table(&table, health->extension.namespace,
									  "apscheduler_jobs", columns)))
		return false;
	if (!syncmaster_begin_scan(&scan, table.rel))
		elog(ERROR, "rows of table \"%s\" are elsewhere",
			 RelationGetRelationName(table.rel));
	while (syncmaster_next_row(&scan))
	{
		bool  nulls[2];
		Datum id = slot_getattr(scan.slot, table.columns[0], &nulls[0]);
		Datum time = slot_getattr(scan.slot, table.columns[1], &nulls[1]);
		MemoryContext old_context = MemoryContextSwitchTo(row_context);

		/* a paused job has no time */
		if (!nulls[0])
			add_job(health, list, report, TextDatumGetCString(id),
					nulls[1] ? get_float8_infinity() : DatumGetFloat8(time));
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(row_context);
	}
	syncmaster_end_scan(&scan);
	syncmaster_close_app_table(&table);
	MemoryContextDelete(row_context);
	return true;
}

static void
report_schedules(Health *health, TransferList *list, bool scheduler_fails)
{
	TimestampTz limit = syncmaster_ago(health, syncmaster_health_waiting);
	IdList		missing;

	if (syncmaster_health_waiting == 0)
		return;
	syncmaster_init_ids(&missing);
	for (int64 i = 0; i < list->count; i++)
	{
		const Transfer *transfer = &list->transfers[i];

		if (transfer->is_scheduled && !transfer->has_job &&
			transfer->refused == NULL && transfer->updated_at < limit)
			syncmaster_add_id(&missing, &transfer->id);
	}
	if (missing.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_ERROR, "schedules", "transfer",
			psprintf(
				"%s scheduled and without a job, although unchanged for "
				"longer than %s: %s",
				syncmaster_count(missing.count, "transfer is", "transfers are"),
				syncmaster_limit_text(WAITING), syncmaster_list_ids(&missing)),
			scheduler_fails
				? "The scheduler fails on another transfer's schedule before "
				  "it makes these jobs. Correct that one first."
				: "Restart the scheduler: when it starts, it makes the jobs of "
				  "all scheduled transfers.");
}

static void
report_jobs(Health *health, JobReport *report)
{
	const char *table = "apscheduler_jobs";

	if (report->strange > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_ERROR, "schedules", table,
			psprintf("%s an id that is not the number of a transfer; the "
					 "first is \"%s\"",
					 syncmaster_count(report->strange, "job has", "jobs have"),
					 report->strange_id),
			"SyncMaster's scheduler fails when it meets one. Find out who "
			"wrote it, and delete it.");
	if (report->gone.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules", table,
			psprintf("%s of transfers that are gone: %s",
					 syncmaster_count(report->gone.count, "job is", "jobs are"),
					 syncmaster_list_ids(&report->gone)),
			"A scheduler at work removes them within minutes. Is it running?");
	if (report->not_scheduled.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules", table,
			psprintf("%s of transfers that are not scheduled any more: %s",
					 syncmaster_count(report->not_scheduled.count, "job is",
									  "jobs are"),
					 syncmaster_list_ids(&report->not_scheduled)),
			"Restart the scheduler: when it starts, it removes them.");
	if (report->overdue > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schedules", table,
			psprintf("%s due for longer than %s, the first since %s",
					 syncmaster_count(report->overdue, "job is", "jobs are"),
					 syncmaster_limit_text(WAITING),
					 timestamptz_to_str(DatumGetTimestampTz(DirectFunctionCall1(
						 float8_timestamptz,
						 Float8GetDatum(report->first_time))))),
			"Is the scheduler running?");
}

/*
 * Find queues of whose transfers none had a run lately.  A transfer that was
 * changed since then has not had time for one.
 */
static void
find_idle_queues(const AppTable *runs, TransferList *list, TimestampTz since,
				 IdList *scheduled, IdList *manual, bool *locked)
{
	for (int64 i = 0; i < list->count && !*locked;)
	{
		const Transfer *first = &list->transfers[i];
		bool			busy = false;
		bool			counts = false;
		bool			has_schedule = false;

		for (;
			 i < list->count && list->transfers[i].queue_id == first->queue_id;
			 i++)
		{
			const Transfer *transfer = &list->transfers[i];

			busy = busy ||
				   syncmaster_has_run_since(runs, transfer->id, since, locked);
			if (transfer->updated_at >= since)
				continue;
			counts = true;
			has_schedule = has_schedule || transfer->is_scheduled;
		}
		if (counts && !busy)
			syncmaster_add_id(has_schedule ? scheduled : manual,
							  &first->queue_id);
	}
}

static void
check_queues(Health *health, TransferList *list, const AppTable *runs)
{
	const char *hint = "Is a worker at work on these queues?";
	IdList		scheduled;
	IdList		manual;
	bool		locked = false;

	if (syncmaster_health_queue_idle == 0)
		return;
	syncmaster_init_ids(&scheduled);
	syncmaster_init_ids(&manual);
	qsort(list->transfers, list->count, sizeof(Transfer), compare_queue);
	find_idle_queues(runs, list,
					 syncmaster_ago(health, syncmaster_health_queue_idle),
					 &scheduled, &manual, &locked);
	if (locked)
		syncmaster_add_locked_index(health, "queues", "run");

	if (scheduled.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "queues", "queue",
			psprintf("%s scheduled transfers, and no run for longer than %s: "
					 "%s",
					 syncmaster_count(scheduled.count, "queue has",
									  "queues have"),
					 syncmaster_limit_text(QUEUE_IDLE),
					 syncmaster_list_ids(&scheduled)),
			hint);
	if (manual.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, "queues", "queue",
			psprintf("%s transfers, none of them scheduled, and no run for "
					 "longer than %s: %s",
					 syncmaster_count(manual.count, "queue has", "queues have"),
					 syncmaster_limit_text(QUEUE_IDLE),
					 syncmaster_list_ids(&manual)),
			hint);
}

void
syncmaster_check_schedules(Health *health)
{
	static const char *const columns[] = {"transfer_id", "created_at", NULL};
	TransferList			 list = {0};
	JobReport				 report = {.first_time = get_float8_infinity()};
	AppTable				 runs;
	int64					 refused;
	bool					 has_jobs;
	bool					 locked = false;

	if (!read_transfers(health, &list))
		return;
	syncmaster_init_ids(&report.gone);
	syncmaster_init_ids(&report.not_scheduled);
	refused = syncmaster_check_schedule_texts(health, &list);
	has_jobs = read_jobs(health, &list, &report);
	if (has_jobs)
	{
		report_schedules(health, &list, refused > 0);
		report_jobs(health, &report);
	}
	if (list.count == 0 ||
		(syncmaster_health_queue_idle == 0 && syncmaster_health_waiting == 0) ||
		!syncmaster_may_look(
			health, "queues", "run",
			syncmaster_open_app_table(&runs, health->extension.namespace, "run",
									  columns)))
		return;
	if (has_jobs && syncmaster_health_waiting > 0)
	{
		syncmaster_check_fires(health, &list, &runs, &locked);
		if (locked)
			syncmaster_add_locked_index(health, "schedules", "run");
	}
	check_queues(health, &list, &runs);
	syncmaster_close_app_table(&runs);
}
