/*-------------------------------------------------------------------------
 *
 * purge_report.c
 *	  What a purge tells: how far it is, what went, and what is left and why.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_index.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "retention/retention.h"
#include "rows/rows.h"

/* Progress is reported after so many percent or seconds. */
#define REPORT_PERCENT 10
#define REPORT_SECONDS 10

/*
 * Return whether a valid index has this column as its first.
 */
static bool
has_index(Oid relid, const char *column)
{
	Relation   table = relation_open(relid, NoLock);
	AttrNumber attnum = get_attnum(relid, column);
	bool	   result = false;
	ListCell  *lc;

	foreach (lc, RelationGetIndexList(table))
	{
		HeapTuple	  tuple = SearchSysCache1(INDEXRELID,
											  ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisvalid && index->indkey.values[0] == attnum &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			result = true;
		ReleaseSysCache(tuple);
	}
	relation_close(table, NoLock);

	return result;
}

/*
 * Report progress: in pg_stat_activity, and now and then to the client.
 */
void
syncmaster_tell_progress(Purge *purge, int64 through)
{
	double length = (double) purge->last - (double) purge->first + 1;
	int percent = (int) (((double) through - (double) purge->first + 1) * 100 /
						 length);
	TimestampTz now = GetCurrentTimestamp();

	pgstat_report_activity(STATE_RUNNING,
						   psprintf("%s: table %s, about %d %% done, "
									"%lld rows deleted",
									purge->options->procedure,
									purge->table->name, percent,
									(long long) purge->deleted));
	if (through >= purge->last ||
		(percent < purge->told_percent + REPORT_PERCENT &&
		 !TimestampDifferenceExceeds(purge->told_at, now,
									 REPORT_SECONDS * 1000)))
		return;
	purge->told_percent = percent;
	purge->told_at = now;
	ereport(NOTICE,
			(purge->options->dry_run
				 ? errmsg("table \"%s\": about %d %% done, %lld rows found",
						  purge->table->name, percent,
						  (long long) purge->deleted)
				 : errmsg("table \"%s\": about %d %% done, %lld rows deleted",
						  purge->table->name, percent,
						  (long long) purge->deleted)));
}

/*
 * Report rows of other tables that were, or would be, deleted along.
 */
static void
tell_along(const Purge *purge)
{
	StringInfoData tables;
	ListCell	  *lc;

	if (purge->along == NIL)
		return;
	initStringInfo(&tables);
	foreach (lc, purge->along)
	{
		const AlongTable *along = lfirst(lc);

		appendStringInfo(&tables, "%s%s", tables.len > 0 ? ", " : "",
						 along->name);
		if (purge->options->dry_run ? along->column != NULL
									: pgstat_track_counts)
			appendStringInfo(&tables, " (%lld)", (long long) along->count);
	}
	ereport(NOTICE,
			(purge->options->dry_run
				 ? errmsg("rows of these tables would go along with those of "
						  "table \"%s\": %s",
						  purge->table->name, tables.data)
				 : errmsg("rows of these tables went along with those of table "
						  "\"%s\": %s",
						  purge->table->name, tables.data)));
}

/*
 * Report rows that could not be deleted, or what may hold some.
 */
static void
tell_held(Purge *purge)
{
	unsigned long  nrows = (unsigned long) purge->held.count;
	StringInfoData reasons;
	ListCell	  *lc;

	if (purge->holders != NULL)
		ereport(NOTICE, (errmsg("rows of table \"%s\" may be held by %s",
								purge->table->name, purge->holders)));
	if (nrows == 0)
		return;
	initStringInfo(&reasons);
	foreach (lc, purge->held.reasons)
	{
		HeldReason *reason = lfirst(lc);

		appendStringInfo(&reasons, "%sid %s: %s", reasons.len > 0 ? "\n" : "",
						 syncmaster_ids_to_text(&reason->ids, MAX_HELD_IDS),
						 reason->message);
	}
	ereport(WARNING,
			(errmsg_plural("%lld old row of table \"%s\" cannot be deleted",
						   "%lld old rows of table \"%s\" cannot be deleted",
						   nrows, (long long) purge->held.count,
						   purge->table->name),
			 errdetail_internal("%s", reasons.data),
			 errhint("All others were deleted. Remove what holds these, or "
					 "leave them: each purge passes them by.")));
}

/*
 * The unknown statuses of runs, as a list for SQL; NULL if there are none.  An
 * index on the status finds each of them in one step.  If the column may be
 * null, null comes last in the list.
 */
static char *
find_unknown_statuses(const Purge *purge)
{
	const char *known = syncmaster_list_statuses(0);
	bool		step = !purge->distributed && has_index(purge->relid, "status");
	const char *list =
		step
			? psprintf(
				  "WITH RECURSIVE s (status) AS ("
				  "(SELECT r.status::text FROM %s r ORDER BY r.status LIMIT 1) "
				  "UNION ALL SELECT (SELECT r.status::text FROM %s r WHERE "
				  "r.status > s.status ORDER BY r.status LIMIT 1) "
				  "FROM s WHERE s.status IS NOT NULL) "
				  "SELECT string_agg(quote_literal(s.status), ', ' "
				  "ORDER BY s.status) FROM s WHERE s.status NOT IN (%s)",
				  purge->from, purge->from, known)
			: psprintf("SELECT string_agg(quote_literal(s.status), ', ' "
					   "ORDER BY s.status) FROM (SELECT DISTINCT "
					   "r.status::text AS status FROM %s r) s "
					   "WHERE s.status NOT IN (%s)",
					   purge->from, known);
	char **row = linitial(syncmaster_query(list, 0, NULL, NULL));
	bool   isnull;

	/* Citus refuses a query on a distributed table within an expression. */
	(void) syncmaster_query_int8(psprintf("SELECT r.id::int8 FROM %s r WHERE "
										  "r.status IS NULL LIMIT 1",
										  purge->from),
								 0, NULL, NULL, &isnull);
	if (isnull)
		return row[0];
	return row[0] == NULL ? "NULL" : psprintf("%s, NULL", row[0]);
}

/*
 * Count old rows that are left because their status is not known to be final,
 * and name the statuses of runs.
 */
int64
syncmaster_count_left(Purge *purge, char **statuses)
{
	Oid	  types[1] = {purge->time_type};
	Datum values[1];
	bool  isnull;

	*statuses = NULL;
	values[0] = Int64GetDatum(purge->cutoff);
	if (purge->has_status)
	{
		*statuses = find_unknown_statuses(purge);
		return *statuses == NULL
				   ? 0
				   : syncmaster_query_int8(
						 psprintf(
							 "SELECT count(*) FROM %s r WHERE (r.status IN "
							 "(%s) OR r.status IS NULL) "
							 "AND r.created_at < $1",
							 purge->from, *statuses),
						 1, types, values, &isnull);
	}
	/* Of those that are certainly old, what is left is told as held or locked. */
	return syncmaster_query_int8(
		psprintf("SELECT count(*) FROM %s r WHERE r.%s IS NULL AND NOT (%s)",
				 purge->from, quote_identifier(purge->table->time_column),
				 purge->no_time),
		0, NULL, NULL, &isnull);
}

void
syncmaster_tell_left(Purge *purge, int64 left, const char *statuses)
{
	if (left == 0)
		return;
	if (statuses != NULL)
		ereport(
			NOTICE,
			(errmsg_plural("%lld old row of table \"%s\" stays, because its "
						   "status is not known: %s",
						   "%lld old rows of table \"%s\" stay, because "
						   "their status is not known: %s",
						   (unsigned long) left, (long long) left,
						   purge->table->name, statuses),
			 errhint("A later release of SyncMaster may have added it. Only "
					 "runs in these statuses are deleted: %s.",
					 syncmaster_list_statuses(NACTIVE_STATUSES))));
	else
		ereport(NOTICE,
				(errmsg_plural("%lld row of table \"%s\" stays, because it has "
							   "no %s and is not certainly old",
							   "%lld rows of table \"%s\" stay, because they "
							   "have no %s and are not certainly old",
							   (unsigned long) left, (long long) left,
							   purge->table->name, purge->table->time_column)));
}

void
syncmaster_tell_result(Purge *purge)
{
	unsigned long nrows = (unsigned long) purge->deleted;

	ereport(
		NOTICE,
		(purge->options->dry_run
			 ? errmsg_plural("%lld row of table \"%s\" would be deleted",
							 "%lld rows of table \"%s\" would be deleted",
							 nrows, (long long) purge->deleted,
							 purge->table->name)
			 : errmsg_plural("deleted %lld row of table \"%s\"",
							 "deleted %lld rows of table \"%s\"", nrows,
							 (long long) purge->deleted, purge->table->name),
		 purge->kept > 0
			 ? errdetail_plural("%lld old row is among the last %d of its "
								"transfer.",
								"%lld old rows are among the last %d of their "
								"transfers.",
								(unsigned long) purge->kept,
								(long long) purge->kept,
								purge->options->keep_last)
			 : 0,
		 purge->passed_by
			 ? errhint("Rows that other sessions had locked or changed were "
					   "passed by. The next call tries them again.")
			 : 0));
	tell_along(purge);
	tell_held(purge);
}
