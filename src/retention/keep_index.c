/*-------------------------------------------------------------------------
 *
 * keep_index.c
 *	  Where the last runs of transfers end, from an index alone.
 *
 * A purge asks this of each transfer that has old runs, which takes SQL longer
 * than deleting these.  So the extra index on (transfer_id, created_at DESC),
 * or any other that begins like that, is read directly.  What it cannot answer
 * is left to SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "base/compat.h"
#include "retention/retention.h"

/* An index that is being read, one transfer after the other. */
typedef struct IndexReader
{
	Relation table;
	Relation index;
	ScanDirection newest_first;
	Snapshot snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	Buffer visibility_map;
} IndexReader;

/*
 * Does an index list the runs of each transfer by time, as far as this
 * transaction may rely on it?
 */
static bool
lists_runs_by_time(Relation index, AttrNumber transfer, AttrNumber time)
{
	Form_pg_index form = index->rd_index;
	TypeCacheEntry *time_type = lookup_type_cache(TIMESTAMPTZOID,
												  TYPECACHE_BTREE_OPFAMILY);

	return index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
		   !form->indcheckxmin && form->indnkeyatts >= 2 &&
		   form->indkey.values[0] == transfer &&
		   form->indkey.values[1] == time &&
		   index->rd_opfamily[0] == INTEGER_BTREE_FAM_OID &&
		   index->rd_opcintype[0] == INT8OID &&
		   index->rd_opfamily[1] == time_type->btree_opf &&
		   index->rd_opcintype[1] == TIMESTAMPTZOID &&
		   RelationGetIndexPredicate(index) == NIL;
}

static Relation
open_index(Relation table)
{
	AttrNumber transfer = get_attnum(RelationGetRelid(table), "transfer_id");
	AttrNumber time = get_attnum(RelationGetRelid(table), "created_at");
	ListCell *cell;

	foreach (cell, RelationGetIndexList(table))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (lists_runs_by_time(index, transfer, time))
			return index;
		index_close(index, AccessShareLock);
	}
	return NULL;
}

/*
 * Step to the next run of the transfer; false after the last.
 */
static bool
next_time(IndexReader *reader, TimestampTz *time, bool *isnull)
{
	IndexScanDesc scan = reader->scan;
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan, reader->newest_first)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (!VM_ALL_VISIBLE(reader->table, ItemPointerGetBlockNumber(tid),
							&reader->visibility_map))
		{
			if (!index_fetch_heap(scan, reader->slot))
				continue;
			ExecClearTuple(reader->slot);
		}
		*time = DatumGetTimestampTz(
			index_getattr(scan->xs_itup, 2, scan->xs_itupdesc, isnull));
		return true;
	}
	return false;
}

/*
 * Find the limit of one transfer; false if more than the time has to be known.
 */
static bool
find_limit(IndexReader *reader, int keep_last, TimestampTz cutoff,
		   KeepLimit *limit)
{
	ScanKeyData key;
	TimestampTz time;
	bool isnull = false;
	int count = 0;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(limit->transfer_id));
	index_rescan(reader->scan, &key, 1, NULL, 0);
	limit->keep_all = true;
	limit->id = PG_INT64_MIN;
	while (next_time(reader, &time, &isnull) && !isnull)
	{
		count++;
		if (count < keep_last)
			continue;
		if (count > keep_last)
		{
			/* Of those of the same time, the ids would decide. */
			limit->keep_all = false;
			return time != limit->created_at;
		}
		limit->created_at = time;
		if (time >= cutoff)
		{
			/* Whatever is old comes after that. */
			limit->keep_all = false;
			return true;
		}
	}
	return !isnull;
}

static int
compare_transfers(const void *left, const void *right)
{
	int64 a = (*(KeepLimit *const *) left)->transfer_id;
	int64 b = (*(KeepLimit *const *) right)->transfer_id;

	return a < b ? -1 : a > b;
}

/*
 * Look up limits of transfers.  Those that are left over are moved to the front
 * of the array; returns their number.
 */
int
syncmaster_find_limits_by_index(KeepLimit **limits, int count, Oid relid,
								int keep_last, TimestampTz cutoff)
{
	IndexReader reader = {0};
	int left = 0;

	if (syncmaster_is_distributed(relid))
		return count;
	reader.table = relation_open(relid, NoLock);
	reader.index = open_index(reader.table);
	if (reader.index == NULL)
	{
		relation_close(reader.table, NoLock);
		return count;
	}
	reader.newest_first = (reader.index->rd_indoption[1] & INDOPTION_DESC) != 0
							  ? ForwardScanDirection
							  : BackwardScanDirection;
	reader.snapshot = RegisterSnapshot(GetLatestSnapshot());
	reader.slot = table_slot_create(reader.table, NULL);
	reader.scan = begin_index_scan(reader.table, reader.index, reader.snapshot,
								   1);
	reader.scan->xs_want_itup = true;

	/* along the index, so that what is read next is near */
	qsort(limits, count, sizeof(KeepLimit *), compare_transfers);
	for (int i = 0; i < count; i++)
	{
		if (!find_limit(&reader, keep_last, cutoff, limits[i]))
			limits[left++] = limits[i];
	}

	if (BufferIsValid(reader.visibility_map))
		ReleaseBuffer(reader.visibility_map);
	index_endscan(reader.scan);
	ExecDropSingleTupleTableSlot(reader.slot);
	UnregisterSnapshot(reader.snapshot);
	index_close(reader.index, AccessShareLock);
	relation_close(reader.table, NoLock);
	return left;
}
