/*-------------------------------------------------------------------------
 *
 * growth.c
 *	  The tables that grow with every run: how large, how old.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "storage/bufmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "growth.h"
#include "ordered_scan.h"

/* Entries of an index that a search for the first row may visit. */
#define MAX_FIRST_ENTRIES 1000

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
 * When was the first row of an open one made?  False if there is none, or none
 * was found in a few steps.
 */
bool
syncmaster_oldest_row(const AppTable *table, Timestamp *oldest)
{
	OrderedScan scan;
	bool found = false;

	/* if no index on the time leads there, ids are given in its order, too */
	if (!syncmaster_begin_ordered_scan(&scan, table->rel, table->columns[1],
									   NULL, ForwardScanDirection,
									   MAX_FIRST_ENTRIES) &&
		!syncmaster_begin_ordered_scan(&scan, table->rel, table->columns[0],
									   NULL, ForwardScanDirection,
									   MAX_FIRST_ENTRIES))
		return false;
	while (!found && syncmaster_next_ordered(&scan))
	{
		bool isnull;
		Datum time = slot_getattr(scan.slot, table->columns[1], &isnull);

		if (isnull || TIMESTAMP_NOT_FINITE(DatumGetTimestamp(time)))
			continue;
		*oldest = DatumGetTimestamp(time);
		found = true;
	}
	syncmaster_end_ordered_scan(&scan);

	return found;
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
