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
#include "utils/timestamp.h"

#include "base/base.h"
#include "rows/rows.h"

/* The two of Celery's have UTC, without a time zone. */
const GrowingTable syncmaster_growing_tables[NGROWING_TABLES] = {
	{"run", "created_at", "syncmaster_purge_runs"},
	{"celery_taskmeta", "date_done", "syncmaster_purge_task_results"},
	{"celery_tasksetmeta", "date_done", "syncmaster_purge_task_results"},
};

/*
 * Open one of them, with the columns id and time.
 */
AppTableState
syncmaster_open_growing(int i, AppTable *table, Oid namespace)
{
	const GrowingTable *growing = &syncmaster_growing_tables[i];
	const char *const columns[] = {"id", growing->time_column, NULL};

	return syncmaster_open_app_table(table, namespace, growing->name, columns);
}

/*
 * When was the first row of an open one made?  No more than "max_entries" of an
 * index are visited.
 */
OldestRow
syncmaster_oldest_row(const AppTable *table, int64 max_entries,
					  Timestamp *oldest)
{
	OrderedScan scan;
	OldestRow result = OLDEST_ROW_NONE;
	bool locked;

	/* if no index on the time leads there, ids are given in its order, too */
	if (!syncmaster_begin_ordered_scan(&scan, table->rel, table->columns[1],
									   NULL, ForwardScanDirection, max_entries))
	{
		locked = scan.locked;
		if (!syncmaster_begin_ordered_scan(&scan, table->rel, table->columns[0],
										   NULL, ForwardScanDirection,
										   max_entries))
			return locked || scan.locked ? OLDEST_ROW_LOCKED
										 : OLDEST_ROW_UNKNOWN;
	}
	while (result == OLDEST_ROW_NONE && syncmaster_next_ordered(&scan))
	{
		bool isnull;
		Datum time = slot_getattr(scan.slot, table->columns[1], &isnull);

		if (isnull || TIMESTAMP_NOT_FINITE(DatumGetTimestamp(time)))
			continue;
		*oldest = DatumGetTimestamp(time);
		result = OLDEST_ROW_FOUND;
	}
	if (result == OLDEST_ROW_NONE && scan.entries_left == 0)
		result = OLDEST_ROW_UNKNOWN;
	syncmaster_end_ordered_scan(&scan);

	return result;
}

/*
 * How many rows does a table have, by what VACUUM or ANALYZE saw last, and by
 * how many blocks it has now?  -1 if neither was there yet.
 */
double
syncmaster_estimate_rows(Relation rel)
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
 * Open a relation that belongs to a table, unless it is locked; *locked says so.
 * NULL without that means that it was dropped just before.
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
	double blocks = RelationGetNumberOfBlocks(table);
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
 * Bytes of a table with all that belongs to it; false if some of it is locked.
 */
bool
syncmaster_table_bytes(Relation table, double *bytes)
{
	bool locked = false;
	double blocks = count_blocks(table, &locked);

	if (OidIsValid(table->rd_rel->reltoastrelid))
	{
		Relation toast = open_part(table->rd_rel->reltoastrelid, &locked);

		if (toast != NULL)
		{
			blocks += count_blocks(toast, &locked);
			relation_close(toast, AccessShareLock);
		}
	}
	*bytes = blocks * BLCKSZ;
	return !locked;
}
