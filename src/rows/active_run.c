/*-------------------------------------------------------------------------
 *
 * active_run.c
 *	  Runs that a service is at work on, or will be.
 *
 * SyncMaster's own index on the status leads to them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/base.h"
#include "rows/rows.h"

AppTableState
syncmaster_open_runs(AppTable *runs, Oid namespace)
{
	static const char *const columns[] = {"status",		 "id",
										  "created_at",	 "started_at",
										  "updated_at",	 "ended_at",
										  "transfer_id", "type",
										  NULL};

	return syncmaster_open_app_table(runs, namespace, "run", columns);
}

/*
 * Read the runs of one status, by an index.  Among equal keys, a backward scan
 * returns entries of later pages first, where new rows are, unless a purge
 * made room before.
 */
static RunReadResult
read_by_index(const AppTable *runs, int status, int64 max_entries,
			  RunReader reader, void *state, bool *complete)
{
	Datum		equal = CStringGetTextDatum(syncmaster_run_statuses[status]);
	OrderedScan scan;

	if (!syncmaster_begin_ordered_scan(&scan, runs->rel,
									   runs->columns[RUN_STATUS], &equal,
									   BackwardScanDirection, max_entries))
		return scan.locked ? RUN_READ_LOCKED : RUN_READ_NO_INDEX;
	while (syncmaster_next_ordered(&scan))
	{
		if (!reader(state, status, runs, scan.slot))
			break;
	}
	*complete = scan.entries_left > 0;
	syncmaster_end_ordered_scan(&scan);

	return RUN_READ_DONE;
}

/*
 * Read all active runs in one pass; false if the rows are elsewhere.
 */
static bool
read_by_scan(const AppTable *runs, RunReader reader, void *state)
{
	bool	   enough[NACTIVE_STATUSES] = {false};
	DirectScan scan;

	if (!syncmaster_begin_scan(&scan, runs->rel))
		return false;
	while (syncmaster_next_row(&scan))
	{
		bool  isnull;
		Datum value = slot_getattr(scan.slot, runs->columns[RUN_STATUS],
								   &isnull);
		int	  i = isnull ? -1 : syncmaster_find_active_status(value);

		if (i >= 0 && !enough[i])
			enough[i] = !reader(state, i, runs, scan.slot);
	}
	syncmaster_end_scan(&scan);
	return true;
}

/*
 * Call "reader" for each active run.  No more than "max_entries" of an index
 * are visited for each status, and complete[] says where that was enough.
 * Without an index, a table of at most "max_blocks" is read from end to end,
 * and a larger one not at all.
 */
RunReadResult
syncmaster_read_active_runs(const AppTable *runs, int64 max_entries,
							BlockNumber max_blocks, RunReader reader,
							void *state, bool *complete)
{
	bool locked = false;

	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		RunReadResult result = read_by_index(runs, i, max_entries, reader,
											 state, &complete[i]);

		if (result == RUN_READ_DONE)
			continue;
		/* for a later status, the index was there a moment ago */
		if (i > 0 || syncmaster_table_blocks(runs->rel, &locked) > max_blocks ||
			locked)
			return locked ? RUN_READ_LOCKED : result;
		if (!read_by_scan(runs, reader, state))
			return RUN_READ_NO_INDEX;
		for (i = 0; i < NACTIVE_STATUSES; i++)
			complete[i] = true;
	}
	return RUN_READ_DONE;
}
