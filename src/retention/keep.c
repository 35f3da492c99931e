/*-------------------------------------------------------------------------
 *
 * keep.c
 *	  The last runs of each transfer, which a purge keeps.
 *
 * The order is that of the server's list of runs, newest first: created_at,
 * and id where that is equal.  For each transfer that a purge meets, the limit
 * behind which its runs go is looked up once and kept in memory.  Newer runs,
 * which come meanwhile, can only raise the limit.  A purge does not notice that
 * somebody else deletes newer runs while it is at work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
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

static Datum
transfer_ids(KeepLimit **limits, int count)
{
	IdList ids;

	syncmaster_init_ids(&ids);
	for (int i = 0; i < count; i++)
		syncmaster_add_id(&ids, &limits[i]->transfer_id);

	/* sorted by the index's key, so that the next one is near */
	return syncmaster_ids_to_array(&ids);
}

/* Limits that are being looked up. */
typedef struct LimitSearch
{
	const KeepOptions *options;
	HTAB			  *table;
	KeepLimit		 **limits;
	int left; /* limits of these that another query has to look up */
} LimitSearch;

/*
 * RowReceiver: stores, for a transfer, the times of the last run that is kept
 * and of the first one that is not.
 */
static bool
take_times(void *state, TupleTableSlot *slot)
{
	LimitSearch *search = state;
	int64		 transfer = DatumGetInt64(slot->tts_values[0]);
	KeepLimit	*limit = hash_search(search->table, &transfer, HASH_FIND, NULL);
	TimestampTz	 last_kept;
	TimestampTz	 next;
	Datum		*elements;
	bool		*nulls;
	int			 nelements;

	deconstruct_array(DatumGetArrayTypeP(slot->tts_values[1]), TIMESTAMPTZOID,
					  sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &nelements);

	/* the transfer has no more runs than are kept */
	if (nelements < 2 || nulls[0] || nulls[1])
		return true;
	last_kept = DatumGetTimestampTz(elements[0]);
	next = DatumGetTimestampTz(elements[1]);
	if (last_kept == next && last_kept < search->options->cutoff)
	{
		search->limits[search->left++] = limit;
		return true;
	}
	limit->keep_all = false;
	limit->created_at = last_kept;
	limit->id = PG_INT64_MIN;
	return true;
}

/*
 * Look up limits by time alone, which the extra index on (transfer_id,
 * created_at DESC) gives without a look at the table.  Where runs of the same
 * time lie on both sides of a limit, it is moved to the front of the array;
 * returns the number of these.
 */
static int
find_limits_by_time(HTAB *table, KeepLimit **limits, int count,
					const KeepOptions *options)
{
	Oid			types[2] = {INT8ARRAYOID, INT8OID};
	Datum		values[2];
	LimitSearch search = {options, table, limits, 0};

	values[0] = transfer_ids(limits, count);
	values[1] = Int64GetDatum((int64) options->keep_last - 1);
	(void) syncmaster_each_row(
		psprintf("SELECT t.id, ARRAY(SELECT r.created_at FROM %s r "
				 "WHERE r.transfer_id = t.id ORDER BY r.created_at DESC "
				 "OFFSET $2 LIMIT 2) FROM unnest($1) t (id)",
				 options->relation),
		2, types, values, take_times, &search);

	return search.left;
}

/*
 * RowReceiver: stores, for a transfer, its oldest run that is kept.
 */
static bool
take_limit(void *state, TupleTableSlot *slot)
{
	HTAB	  *table = state;
	int64	   transfer = DatumGetInt64(slot->tts_values[0]);
	KeepLimit *limit = hash_search(table, &transfer, HASH_FIND, NULL);

	limit->keep_all = slot->tts_isnull[1];
	limit->created_at = DatumGetTimestampTz(slot->tts_values[1]);
	limit->id = DatumGetInt64(slot->tts_values[2]);
	return true;
}

/*
 * Look up limits exactly, by a query that Citus can distribute.
 */
static void
find_limits(HTAB *table, KeepLimit **limits, int count,
			const KeepOptions *options)
{
	Oid	  types[2] = {INT8ARRAYOID, INT8OID};
	Datum values[2];

	values[0] = transfer_ids(limits, count);
	values[1] = Int64GetDatum((int64) options->keep_last);
	(void) syncmaster_each_row(
		psprintf("SELECT k.transfer_id, k.created_at, k.id FROM ("
				 "SELECT r.transfer_id, r.created_at, r.id, row_number() OVER ("
				 "PARTITION BY r.transfer_id "
				 "ORDER BY r.created_at DESC, r.id DESC) AS n "
				 "FROM %s r WHERE r.transfer_id = ANY ($1)) k WHERE k.n = $2",
				 options->relation),
		2, types, values, take_limit, table);
}

/*
 * Find the limit of each run's transfer.
 */
static void
find_limits_of_runs(HTAB *table, OldRuns *runs, const KeepOptions *options)
{
	KeepLimit **unknown = palloc(Max(runs->count, 1) * sizeof(KeepLimit *));
	int			count = 0;

	for (int i = 0; i < runs->count; i++)
	{
		OldRun *run = &runs->runs[i];
		bool	found;

		run->limit = hash_search(table, &run->transfer_id, HASH_ENTER, &found);
		if (!found)
		{
			run->limit->keep_all = true;
			unknown[count++] = run->limit;
		}
	}

	if (count > 0 && !options->distributed)
		count = find_limits_by_time(table, unknown, count, options);
	if (count > 0)
		find_limits(table, unknown, count, options);
	pfree(unknown);
}

/* RowReceiver: adds an old run; the query returns these three columns. */
bool
syncmaster_take_old_run(void *state, TupleTableSlot *slot)
{
	OldRuns *runs = state;
	OldRun	*run = &runs->runs[runs->count++];

	run->id = DatumGetInt64(slot->tts_values[0]);
	run->transfer_id = DatumGetInt64(slot->tts_values[1]);
	run->created_at = DatumGetTimestampTz(slot->tts_values[2]);
	return true;
}

/*
 * Return whether this run may be deleted because its transfer has keep_last
 * newer ones.
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
 * Take the last runs of their transfers out of a list of old ones; returns
 * how many these were.
 */
int
syncmaster_take_out_kept(HTAB *limits, OldRuns *runs,
						 const KeepOptions *options)
{
	int kept = 0;
	int left = 0;

	find_limits_of_runs(limits, runs, options);
	for (int i = 0; i < runs->count; i++)
	{
		const OldRun *run = &runs->runs[i];

		if (exceeds_limit(run))
			runs->runs[left++] = *run;
		else
			kept++;
	}
	runs->count = left;
	return kept;
}
