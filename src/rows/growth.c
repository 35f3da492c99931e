/*-------------------------------------------------------------------------
 *
 * growth.c
 *	  The tables that grow with every run: how large, how old.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* Columns of a table as opened by syncmaster_open_growing(). */
#define ID 0
#define ROW_TIME 1
#define STATUS 2 /* runs only, like the next one */
#define TRANSFER_ID 3

/*
 * Open a table that has a time column: "run", or one of Celery's, whose time
 * is UTC, without a time zone.
 */
AppTableState
syncmaster_open_growing(const RelationInfo *growing, AppTable *table,
						Oid namespace)
{
	bool			  is_run = strcmp(growing->name, "run") == 0;
	const char *const columns[] = {"id", growing->time_column,
								   is_run ? "status" : NULL, "transfer_id",
								   NULL};

	return syncmaster_open_app_table(table, namespace, growing->name, columns);
}

/* One run, to be compared with the others of its transfer. */
typedef struct RunAge
{
	int64		id;
	int64		transfer_id;
	TimestampTz created_at;
} RunAge;

/*
 * Read a run; false if it is not one that a purge may delete.
 */
static bool
read_run(const AppTable *table, TupleTableSlot *slot, RunAge *run)
{
	bool  nulls[4];
	Datum values[4];

	for (int i = 0; i < 4; i++)
	{
		values[i] = slot_getattr(slot, table->columns[i], &nulls[i]);
		if (nulls[i])
			return false;
	}
	run->id = DatumGetInt64(values[ID]);
	run->created_at = DatumGetTimestampTz(values[ROW_TIME]);
	run->transfer_id = DatumGetInt64(values[TRANSFER_ID]);
	return syncmaster_is_final_status(values[STATUS]);
}

/*
 * Return whether the transfer of a run has at least keep_last newer runs.
 * True also where no index finds them.
 */
static bool
has_newer_runs(const AppTable *table, const RunAge *run, int keep_last,
			   int64 *entries_left)
{
	Datum		equal = Int64GetDatum(run->transfer_id);
	OrderedScan scan;
	int			newer = 0;

	if (!syncmaster_begin_ordered_scan(&scan, table->rel,
									   table->columns[TRANSFER_ID], &equal,
									   BackwardScanDirection, *entries_left))
		return true;
	while (newer < keep_last && syncmaster_next_ordered(&scan))
	{
		bool  nulls[2];
		Datum id = slot_getattr(scan.slot, table->columns[ID], &nulls[0]);
		Datum time = slot_getattr(scan.slot, table->columns[ROW_TIME],
								  &nulls[1]);

		if (!nulls[0] && !nulls[1] &&
			(DatumGetTimestampTz(time) > run->created_at ||
			 (DatumGetTimestampTz(time) == run->created_at &&
			  DatumGetInt64(id) > run->id)))
			newer++;
	}
	*entries_left = scan.entries_left;
	syncmaster_end_ordered_scan(&scan);

	return newer >= keep_last;
}

/*
 * Return whether a purge with keep_last would delete a run of this age.  If
 * it keeps one run of a transfer, it keeps all newer ones: "kept" remembers
 * such transfers.
 */
static bool
may_go(const AppTable *table, TupleTableSlot *slot, int keep_last, HTAB *kept,
	   int64 *entries_left)
{
	RunAge run;

	if (table->columns[STATUS] == InvalidAttrNumber)
		return true;
	if (!read_run(table, slot, &run))
		return false;
	if (keep_last == 0)
		return true;
	if (hash_search(kept, &run.transfer_id, HASH_FIND, NULL) != NULL)
		return false;
	if (has_newer_runs(table, &run, keep_last, entries_left))
		return true;
	(void) hash_search(kept, &run.transfer_id, HASH_ENTER, NULL);
	return false;
}

static HTAB *
create_kept(void)
{
	HASHCTL options = {0};

	options.keysize = sizeof(int64);
	options.entrysize = sizeof(int64);
	options.hcxt = CurrentMemoryContext;
	return hash_create("syncmaster kept transfers", 1024, &options,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Find the oldest row that a purge would delete, if it is older than the given
 * time.  No more than "max_entries" of indexes are visited.
 */
OldestRow
syncmaster_oldest_row(const AppTable *table, int keep_last, int64 max_entries,
					  Timestamp before, Timestamp *oldest)
{
	OrderedScan scan;
	OldestRow	result = OLDEST_ROW_NONE;
	HTAB	   *kept;
	bool		locked;

	/*
	 * without an index on the time, ids are taken to be in the order of time
	 */
	if (!syncmaster_begin_ordered_scan(&scan, table->rel,
									   table->columns[ROW_TIME], NULL,
									   ForwardScanDirection, max_entries))
	{
		locked = scan.locked;
		if (!syncmaster_begin_ordered_scan(&scan, table->rel,
										   table->columns[ID], NULL,
										   ForwardScanDirection, max_entries))
			return locked || scan.locked ? OLDEST_ROW_LOCKED
										 : OLDEST_ROW_UNKNOWN;
	}
	kept = create_kept();
	while (syncmaster_next_ordered(&scan))
	{
		bool  isnull;
		Datum time = slot_getattr(scan.slot, table->columns[ROW_TIME], &isnull);

		if (isnull || TIMESTAMP_NOT_FINITE(DatumGetTimestamp(time)))
			continue;
		if (DatumGetTimestamp(time) >= before)
			break;
		if (!may_go(table, scan.slot, keep_last, kept, &scan.entries_left))
			continue;
		*oldest = DatumGetTimestamp(time);
		result = OLDEST_ROW_FOUND;
		break;
	}
	if (scan.entries_left <= 0)
		result = OLDEST_ROW_UNKNOWN;
	syncmaster_end_ordered_scan(&scan);
	hash_destroy(kept);

	return result;
}

/*
 * Count the rows without a time that must be older than the given time,
 * because a row that came after them is; and give their ids.  Such rows come
 * last in the index on the time; without that index, none are found.
 */
int64
syncmaster_rows_without_time(const AppTable *table, Timestamp before,
							 IdList *ids)
{
	IdList		all;
	OrderedScan scan;
	bool		isnull;
	int64		bound = PG_INT64_MIN;

	syncmaster_init_ids(&all);
	if (!syncmaster_begin_ordered_scan(&scan, table->rel,
									   table->columns[ROW_TIME], NULL,
									   BackwardScanDirection, NO_ENTRY_LIMIT))
		return 0;
	while (syncmaster_next_ordered(&scan))
	{
		int64 id;

		(void) slot_getattr(scan.slot, table->columns[ROW_TIME], &isnull);
		if (!isnull)
			break;
		id = DatumGetInt32(
			slot_getattr(scan.slot, table->columns[ID], &isnull));
		syncmaster_add_id(&all, &id);
	}
	syncmaster_end_ordered_scan(&scan);

	/* the last row that is old enough */
	if (all.count == 0 ||
		!syncmaster_begin_ordered_scan(&scan, table->rel, table->columns[ID],
									   NULL, BackwardScanDirection,
									   NO_ENTRY_LIMIT))
		return 0;
	while (syncmaster_next_ordered(&scan))
	{
		Datum time = slot_getattr(scan.slot, table->columns[ROW_TIME], &isnull);

		if (isnull || DatumGetTimestamp(time) >= before)
			continue;
		bound = DatumGetInt32(
			slot_getattr(scan.slot, table->columns[ID], &isnull));
		break;
	}
	syncmaster_end_ordered_scan(&scan);

	for (int64 i = 0; i < all.count; i++)
	{
		if (all.ids[i] < bound)
			syncmaster_add_id(ids, &all.ids[i]);
	}
	return ids->count;
}

static double
estimate_leaf(Relation rel)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);

	if (blocks == 0)
		return 0;
	if (rel->rd_rel->relpages == 0 || rel->rd_rel->reltuples < 0)
		return -1;
	return rint((double) rel->rd_rel->reltuples / rel->rd_rel->relpages *
				blocks);
}

/*
 * Estimate the number of rows, from the last VACUUM or ANALYZE and the present
 * number of blocks.  -1 if the table was never analyzed.
 */
double
syncmaster_estimate_rows(Relation rel)
{
	bool	  locked;
	List	 *leaves = syncmaster_open_leaves(rel, &locked);
	double	  rows = locked ? -1 : 0;
	ListCell *lc;

	foreach (lc, leaves)
	{
		double count = estimate_leaf(lfirst(lc));

		rows = rows < 0 || count < 0 ? -1 : rows + count;
	}
	syncmaster_close_leaves(leaves);
	return rows;
}

/*
 * Open a relation that belongs to a table, unless it is locked, which sets
 * *locked.  NULL without *locked means that it was dropped just before.
 */
static Relation
open_part(Oid relid, bool *locked)
{
	Relation rel;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		*locked = true;
		return NULL;
	}
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		UnlockRelationOid(relid, AccessShareLock);
	return rel;
}

/*
 * Blocks of a table, or of its TOAST table, and of the indexes.
 */
static double
count_blocks(Relation table, bool *locked)
{
	double	  blocks = RelationGetNumberOfBlocks(table);
	ListCell *lc;

	foreach (lc, RelationGetIndexList(table))
	{
		Relation index = open_part(lfirst_oid(lc), locked);

		if (index == NULL)
			continue;
		blocks += RelationGetNumberOfBlocks(index);
		relation_close(index, AccessShareLock);
	}
	return blocks;
}

/*
 * Blocks of a table with all that belongs to it.
 */
static double
count_all_blocks(Relation table, bool *locked)
{
	double	 blocks = count_blocks(table, locked);
	Relation toast;

	if (!OidIsValid(table->rd_rel->reltoastrelid))
		return blocks;
	toast = open_part(table->rd_rel->reltoastrelid, locked);
	if (toast != NULL)
	{
		blocks += count_blocks(toast, locked);
		relation_close(toast, AccessShareLock);
	}
	return blocks;
}

/*
 * Bytes of a table with all that belongs to it; false if some of it is
 * locked.
 */
bool
syncmaster_table_bytes(Relation table, double *bytes)
{
	bool	  locked;
	List	 *leaves = syncmaster_open_leaves(table, &locked);
	double	  blocks = 0;
	ListCell *lc;

	foreach (lc, leaves)
		blocks += count_all_blocks(lfirst(lc), &locked);
	syncmaster_close_leaves(leaves);
	*bytes = blocks * BLCKSZ;
	return !locked;
}
