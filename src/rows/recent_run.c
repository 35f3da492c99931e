/*-------------------------------------------------------------------------
 *
 * recent_run.c
 *	  The newest runs.
 *
 * The primary key leads to them: no index on the time is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/base.h"
#include "rows/rows.h"

/*
 * Read the newest "max_runs" runs backwards along the primary key.  A limited
 * number of its entries is visited, as some are of deleted runs.  Runs without
 * a time are left out.
 */
RunReadResult
syncmaster_read_recent_runs(const AppTable *runs, int64 max_runs,
							int64 max_entries, RecentRunReader reader,
							void *state)
{
	OrderedScan scan;
	int64		seen = 0;

	if (!syncmaster_begin_ordered_scan(&scan, runs->rel, runs->columns[RUN_ID],
									   NULL, BackwardScanDirection,
									   max_entries))
		return scan.locked ? RUN_READ_LOCKED : RUN_READ_NO_INDEX;
	while (seen++ < max_runs && syncmaster_next_ordered(&scan))
	{
		bool  isnull;
		Datum value = slot_getattr(scan.slot, runs->columns[RUN_CREATED_AT],
								   &isnull);

		if (!isnull && !TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)) &&
			!reader(state, runs, scan.slot, DatumGetTimestampTz(value)))
			break;
	}
	syncmaster_end_ordered_scan(&scan);

	return RUN_READ_DONE;
}
