/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  Numbers for exporters: what the view syncmaster_metrics shows.
 *
 * They are asked for every few seconds, on databases of any size.  So nothing
 * is read from end to end: there are the sizes of files, the estimates of
 * VACUUM, the server's own counters, and a bounded number of entries of indexes
 * that SyncMaster's migrations make.  Nothing waits for a lock, either: what
 * cannot be read now is left out, and one number says so.
 *
 * Functions in a view run as whoever reads the view.  Everybody may execute
 * this one, which gives its result only to those who may read the view.  It
 * reads the tables directly, as that role may have no rights on them; only
 * numbers come out, and no column that holds a secret is looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "health/health.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

#define VIEW "syncmaster_metrics"
#define METRICS_NATTS 3

/*
 * How many entries of the index on the status are visited, for each status of
 * active runs.
 */
#define MAX_ACTIVE_ENTRIES 5000

/*
 * Largest table, in blocks, that is read from end to end if it has no such
 * index.
 */
#define METRICS_MAX_BLOCKS 100

/*
 * How many of the newest runs are read, of which those of the last hour count;
 * and how many entries of the index are visited, as some are of deleted runs.
 */
#define MAX_RECENT_RUNS 1000
#define MAX_RECENT_ENTRIES 5000
#define RECENT_USECS (SECS_PER_HOUR * USECS_PER_SEC)

/* How many entries a search for the first row or job visits. */
#define MAX_FIRST_ENTRIES 1000

PG_FUNCTION_INFO_V1(syncmaster_read_metrics);

/*
 * Add one number; the labels are pairs of name and value, and NULL.
 */
static void
put_metric(ReturnSetInfo *result, const char *name, double number, ...)
{
	Datum		   values[METRICS_NATTS];
	bool		   nulls[METRICS_NATTS] = {false};
	StringInfoData labels;
	const char	  *label;
	va_list		   args;

	initStringInfo(&labels);
	appendStringInfoChar(&labels, '{');
	va_start(args, number);
	while ((label = va_arg(args, const char *)) != NULL)
	{
		if (labels.len > 1)
			appendStringInfoChar(&labels, ',');
		escape_json(&labels, label);
		appendStringInfoChar(&labels, ':');
		escape_json(&labels, va_arg(args, const char *));
	}
	va_end(args);
	appendStringInfoChar(&labels, '}');

	values[0] = CStringGetTextDatum(name);
	values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(labels.data));
	values[2] = Float8GetDatum(number);
	syncmaster_put_row(result, values, nulls);
	pfree(labels.data);
}

/*
 * Seconds since 1970, the unit of exporters.
 */
static double
unix_seconds(Timestamp time)
{
	return (double) time / USECS_PER_SEC +
		   (double) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

/*
 * Add versions and the revision.  Nothing is added about a locked
 * alembic_version.
 */
static void
put_schema(ReturnSetInfo *result, const ExtensionEntry *extension,
		   SchemaRevision *revision)
{
	Oid	 relid = get_relname_relid(syncmaster_version_relation.name,
								   extension->namespace);
	bool known;

	if (OidIsValid(relid) &&
		!ConditionalLockRelationOid(relid, AccessShareLock))
		return;
	syncmaster_read_revision(extension->namespace, revision);
	if (OidIsValid(relid))
		UnlockRelationOid(relid, AccessShareLock);

	/* another application may have written any text there */
	known = revision->state == REVISION_KNOWN ||
			revision->state == REVISION_LEGACY ||
			(revision->state == REVISION_NEWER &&
			 strspn(revision->id, "0123456789") == strlen(revision->id));
	put_metric(result, "syncmaster_schema_info", 1, "schema",
			   extension->namespace_name, "revision",
			   known				  ? revision->id
			   : revision->id != NULL ? "unknown"
									  : "",
			   "extension_version", extension->version, "library_version",
			   SYNCMASTER_VERSION, NULL);
	put_metric(result, "syncmaster_schema_in_step",
			   syncmaster_is_in_step(extension, revision) ? 1 : 0, NULL);
}

/*
 * Add the size of each table.
 */
static void
put_tables(ReturnSetInfo *result, Oid namespace, int revision)
{
	static const char *const no_columns[] = {NULL};

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		AppTable			table;
		AppTableState		state;
		double				rows;
		double				bytes;

		if (relation->kind != RELKIND_RELATION)
			continue;
		state = syncmaster_open_app_table(&table, namespace, relation->name,
										  no_columns);
		if (state == APP_TABLE_MISSING && relation->revision > revision)
			continue;
		put_metric(result, "syncmaster_table_readable",
				   state == APP_TABLE_OPEN ? 1 : 0, "table", relation->name,
				   NULL);
		if (state != APP_TABLE_OPEN)
			continue;
		rows = syncmaster_estimate_rows(table.rel);
		if (rows >= 0)
			put_metric(result, "syncmaster_table_rows", rows, "table",
					   relation->name, NULL);
		if (syncmaster_table_bytes(table.rel, &bytes))
			put_metric(result, "syncmaster_table_size_bytes", bytes, "table",
					   relation->name, NULL);
		syncmaster_close_app_table(&table);
	}
}

/*
 * The server's count of rows inserted into a table and its partitions, or
 * deleted from them.
 */
static double
count_changes(Relation rel, bool deleted)
{
	Oid		  relid = RelationGetRelid(rel);
	double	  count = 0;
	ListCell *lc;

	foreach (lc, lcons_oid(relid, syncmaster_partitions(relid)))
	{
		Datum table = ObjectIdGetDatum(lfirst_oid(lc));
		Datum changes =
			deleted ? DirectFunctionCall1(pg_stat_get_tuples_deleted, table)
					: DirectFunctionCall1(pg_stat_get_tuples_inserted, table);

		count += (double) DatumGetInt64(changes);
	}
	return count;
}

/*
 * Add how the growing tables change.  A standby does not count rows.
 */
static void
put_growth(ReturnSetInfo *result, Oid namespace)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *growing = &syncmaster_relations[i];
		AppTable			table;
		Timestamp			oldest;

		if (growing->time_column == NULL ||
			syncmaster_open_growing(growing, &table, namespace) !=
				APP_TABLE_OPEN)
			continue;
		if (syncmaster_oldest_row(&table, syncmaster_health_keep_last,
								  MAX_FIRST_ENTRIES, DT_NOEND,
								  &oldest) == OLDEST_ROW_FOUND)
			put_metric(result, "syncmaster_table_oldest_row_timestamp_seconds",
					   unix_seconds(oldest), "table", growing->name, NULL);
		if (!RecoveryInProgress())
		{
			put_metric(result, "syncmaster_table_rows_inserted_total",
					   count_changes(table.rel, false), "table", growing->name,
					   NULL);
			put_metric(result, "syncmaster_table_rows_deleted_total",
					   count_changes(table.rel, true), "table", growing->name,
					   NULL);
		}
		syncmaster_close_app_table(&table);
	}
}

typedef struct ActiveRunMetrics
{
	int64		counts[NACTIVE_STATUSES];
	TimestampTz oldest[NACTIVE_STATUSES];
} ActiveRunMetrics;

/* RunReader: counts, and keeps the oldest time. */
static bool
add_run(void *state, int status, const AppTable *runs, TupleTableSlot *slot)
{
	ActiveRunMetrics *metrics = (ActiveRunMetrics *) state;
	bool			  isnull;
	Datum time = slot_getattr(slot, runs->columns[RUN_CREATED_AT], &isnull);

	metrics->counts[status]++;
	if (!isnull && !TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(time)) &&
		DatumGetTimestampTz(time) < metrics->oldest[status])
		metrics->oldest[status] = DatumGetTimestampTz(time);
	return true;
}

static void
put_active_runs(ReturnSetInfo *result, const AppTable *runs)
{
	ActiveRunMetrics metrics = {0};
	bool			 complete[NACTIVE_STATUSES];

	for (int i = 0; i < NACTIVE_STATUSES; i++)
		metrics.oldest[i] = DT_NOEND;
	if (syncmaster_read_active_runs(runs, MAX_ACTIVE_ENTRIES,
									METRICS_MAX_BLOCKS, add_run, &metrics,
									complete) != RUN_READ_DONE)
		return;
	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		put_metric(result, "syncmaster_active_runs", (double) metrics.counts[i],
				   "status", syncmaster_run_statuses[i], NULL);
		put_metric(result, "syncmaster_active_runs_complete",
				   complete[i] ? 1 : 0, "status", syncmaster_run_statuses[i],
				   NULL);
		if (!TIMESTAMP_NOT_FINITE(metrics.oldest[i]))
			put_metric(result,
					   "syncmaster_active_runs_oldest_timestamp_seconds",
					   unix_seconds(metrics.oldest[i]), "status",
					   syncmaster_run_statuses[i], NULL);
	}
}

typedef struct RecentRunMetrics
{
	TimestampTz since;
	TimestampTz newest;
	int64		counts[NRUN_STATUSES];
} RecentRunMetrics;

/* RecentRunReader: counts, and keeps the newest time. */
static bool
add_recent_run(void *state, const AppTable *runs, TupleTableSlot *slot,
			   TimestampTz created_at)
{
	RecentRunMetrics *metrics = state;
	bool			  isnull;
	Datum value = slot_getattr(slot, runs->columns[RUN_STATUS], &isnull);
	int	  status = isnull ? -1 : syncmaster_find_status(value);

	metrics->newest = Max(metrics->newest, created_at);
	if (created_at >= metrics->since && status >= 0)
		metrics->counts[status]++;
	return true;
}

/*
 * Add how the newest runs ended.
 */
static void
put_recent_runs(ReturnSetInfo *result, const AppTable *runs)
{
	RecentRunMetrics metrics = {.since = GetCurrentTimestamp() - RECENT_USECS,
								.newest = DT_NOBEGIN};

	if (syncmaster_read_recent_runs(runs, MAX_RECENT_RUNS, MAX_RECENT_ENTRIES,
									add_recent_run, &metrics) != RUN_READ_DONE)
		return;
	for (int i = 0; i < NRUN_STATUSES; i++)
		put_metric(result, "syncmaster_recent_runs", (double) metrics.counts[i],
				   "status", syncmaster_run_statuses[i], NULL);
	if (!TIMESTAMP_NOT_FINITE(metrics.newest))
		put_metric(result, "syncmaster_newest_run_timestamp_seconds",
				   unix_seconds(metrics.newest), NULL);
}

static void
put_runs(ReturnSetInfo *result, Oid namespace)
{
	AppTable runs;

	if (syncmaster_open_runs(&runs, namespace) != APP_TABLE_OPEN)
		return;
	put_active_runs(result, &runs);
	put_recent_runs(result, &runs);
	syncmaster_close_app_table(&runs);
}

/*
 * Add the metric with the time at which the scheduler is to act next.  A time
 * in the past means that no scheduler is running.
 */
static void
put_jobs(ReturnSetInfo *result, Oid namespace)
{
	static const char *const columns[] = {"next_run_time", NULL};
	AppTable				 jobs;
	OrderedScan				 scan;

	if (syncmaster_open_app_table(&jobs, namespace, "apscheduler_jobs",
								  columns) != APP_TABLE_OPEN)
		return;
	if (syncmaster_begin_ordered_scan(&scan, jobs.rel, jobs.columns[0], NULL,
									  ForwardScanDirection, MAX_FIRST_ENTRIES))
	{
		bool   isnull;
		double next;

		/* paused jobs, which have no time, come last */
		while (syncmaster_next_ordered(&scan))
		{
			next = DatumGetFloat8(
				slot_getattr(scan.slot, jobs.columns[0], &isnull));
			if (isnull || !isfinite(next))
				continue;
			put_metric(result, "syncmaster_next_job_timestamp_seconds", next,
					   NULL);
			break;
		}
		syncmaster_end_ordered_scan(&scan);
	}
	syncmaster_close_app_table(&jobs);
}

/* The values of check_name in the rows of syncmaster_health(). */
static const char *const health_checks[] = {
	"credentials", "growth", "indexes",		"privileges", "queues",	 "runs",
	"schedules",   "schema", "search_path", "sequences",  "settings"};

static int
find_health_check(const char *name)
{
	for (int i = 0; i < (int) lengthof(health_checks); i++)
	{
		if (strcmp(health_checks[i], name) == 0)
			return i;
	}
	elog(ERROR, "health_checks in metrics.c lacks \"%s\"", name);
}

/*
 * Add the number of findings of syncmaster_health(), for each check and
 * severity.  Zero is added, too, so that exporters do not keep an old number.
 */
static void
put_health(ReturnSetInfo *result)
{
	int		  counts[lengthof(health_checks)][SEVERITY_INFO + 1] = {0};
	Health	  health;
	ListCell *lc;

	syncmaster_collect_health(&health);
	foreach (lc, health.findings)
	{
		const Finding *finding = lfirst(lc);

		Assert(finding->severity <= SEVERITY_INFO);
		counts[find_health_check(finding->kind)][finding->severity]++;
	}
	for (int i = 0; i < (int) lengthof(health_checks); i++)
	{
		for (Severity severity = SEVERITY_ERROR; severity <= SEVERITY_INFO;
			 severity++)
			put_metric(result, "syncmaster_health_findings",
					   counts[i][severity], "check_name", health_checks[i],
					   "severity", syncmaster_severity_name(severity), NULL);
	}
}

/*
 * Refuse a caller who may not read the view.
 */
static void
check_rights(const ExtensionEntry *extension)
{
	Oid view = get_relname_relid(VIEW, extension->namespace);

	/* another view of that name does not count */
	if (!OidIsValid(view) || get_rel_relkind(view) != RELKIND_VIEW ||
		getExtensionOfObject(RelationRelationId, view) != extension->oid ||
		pg_class_aclcheck(view, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_VIEW, VIEW);
}

/*
 * syncmaster_read_metrics(health)
 *
 * Returns the rows of the view; or, for roles that may read the view, the
 * findings of syncmaster_health() as numbers, which takes longer and is asked
 * for less often.
 */
Datum
syncmaster_read_metrics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	ExtensionEntry extension;
	SchemaRevision revision = {0};

	syncmaster_get_extension(&extension);
	check_rights(&extension);
	if (PG_GETARG_BOOL(0))
	{
		put_health(result);
		return (Datum) 0;
	}
	put_schema(result, &extension, &revision);
	put_tables(result, extension.namespace, revision.number);
	put_growth(result, extension.namespace);
	put_runs(result, extension.namespace);
	put_jobs(result, extension.namespace);

	return (Datum) 0;
}
