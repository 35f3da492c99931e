/*-------------------------------------------------------------------------
 *
 * keep.c
 *	  The last runs of each transfer, which a purge keeps.
 *
 * The order is that of the server's list of runs, newest first: created_at,
 * and id where that is equal.  For each transfer that a purge meets, the place
 * where the last runs end is looked up once and kept in memory.  Newer runs,
 * which come meanwhile, could only raise it; that somebody else deletes some is
 * not noticed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "retention/retention.h"

/*
 * Create in the current memory context a table of limits.
 */
HTAB *
syncmaster_create_keep_limits(void)
{
	HASHCTL options = {0};

	options.keysize = sizeof(int64);
	options.entrysize = sizeof(KeepLimit);
	options.hcxt = CurrentMemoryContext;
	return hash_create("syncmaster keep_last", 1024, &options,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static int64
get_int8(SPITupleTable *rows, int64 row, int column, bool *isnull)
{
	Datum value = SPI_getbinval(rows->vals[row], rows->tupdesc, column, isnull);

	return *isnull ? 0 : DatumGetInt64(value);
}

/*
 * Look up limits of transfers by SQL: for want of an index that answers
 * directly, or where runs of the same time lie on both sides of the limit.
 */
static void
find_limits(HTAB *table, KeepLimit **limits, int count, const char *relation,
			int keep_last, TimestampTz cutoff)
{
	Oid types[3] = {INT8ARRAYOID, INT8OID, TIMESTAMPTZOID};
	Datum values[3];
	Datum *transfers = palloc(count * sizeof(Datum));
	SPITupleTable *rows;
	int64 nrows;

	for (int i = 0; i < count; i++)
		transfers[i] = Int64GetDatum(limits[i]->transfer_id);
	values[0] = PointerGetDatum(construct_array(transfers, count, INT8OID,
												sizeof(int64), FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	values[1] = Int64GetDatum((int64) keep_last - 1);
	values[2] = TimestampTzGetDatum(cutoff);
	nrows = syncmaster_run_query(
		psprintf("SELECT t.id, k.created_at, CASE WHEN k.created_at < $3 THEN "
				 "(SELECT r.id FROM ONLY %s r WHERE r.transfer_id = t.id "
				 "AND r.created_at = k.created_at ORDER BY r.id DESC "
				 "OFFSET $2 - (SELECT count(*) FROM ONLY %s r "
				 "WHERE r.transfer_id = t.id AND r.created_at > k.created_at) "
				 "LIMIT 1) END "
				 "FROM unnest($1) t (id) LEFT JOIN LATERAL ("
				 "SELECT r.created_at FROM ONLY %s r "
				 "WHERE r.transfer_id = t.id ORDER BY r.created_at DESC "
				 "OFFSET $2 LIMIT 1) k ON true",
				 relation, relation, relation),
		3, types, values);
	rows = SPI_tuptable;

	for (int64 i = 0; i < nrows; i++)
	{
		bool isnull;
		int64 transfer = get_int8(rows, i, 1, &isnull);
		KeepLimit *limit = hash_search(table, &transfer, HASH_FIND, NULL);

		limit->created_at = get_int8(rows, i, 2, &limit->keep_all);
		limit->id = get_int8(rows, i, 3, &isnull);
		if (isnull)
			limit->id = PG_INT64_MIN;
	}
	SPI_freetuptable(rows);
}

/*
 * Find the limit of each run's transfer.
 */
static void
find_limits_of_runs(HTAB *table, OldRuns *runs, const OldRunRange *range,
					int keep_last)
{
	KeepLimit **unknown = palloc(Max(runs->count, 1) * sizeof(KeepLimit *));
	int count = 0;

	for (int64 i = 0; i < runs->count; i++)
	{
		OldRun *run = &runs->runs[i];
		bool found;

		run->limit = hash_search(table, &run->transfer_id, HASH_ENTER, &found);
		if (!found)
		{
			run->limit->keep_all = true;
			unknown[count++] = run->limit;
		}
	}
	if (count > 0)
		count = syncmaster_find_limits_by_index(unknown, count, range->relid,
												keep_last, range->cutoff);
	if (count > 0)
		find_limits(table, unknown, count, range->relation, keep_last,
					range->cutoff);
	pfree(unknown);
}

/*
 * Is an old run none of the last ones of its transfer?
 */
static bool
exceeds_limit(const OldRun *run)
{
	const KeepLimit *limit = run->limit;

	if (limit->keep_all)
		return false;
	return run->created_at != limit->created_at
			   ? run->created_at < limit->created_at
			   : run->id < limit->id;
}

/*
 * Take out of a list of old runs those that must stay: active ones, and the
 * last ones of their transfer.  Returns the number of the latter.
 */
int64
syncmaster_take_out_kept(HTAB *limits, OldRuns *runs, const OldRunRange *range,
						 int keep_last)
{
	int64 kept = 0;
	int64 left = 0;

	if (keep_last > 0)
		find_limits_of_runs(limits, runs, range, keep_last);
	for (int64 i = 0; i < runs->count; i++)
	{
		const OldRun *run = &runs->runs[i];

		if (run->active)
			continue;
		if (keep_last == 0 || exceeds_limit(run))
			runs->runs[left++] = *run;
		else
			kept++;
	}
	runs->count = left;
	return kept;
}
