/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  Reading a table directly, without SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SCAN_H
#define SYNCMASTER_SCAN_H

#include "postgres.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct DirectScan
{
	TupleTableSlot *slot; /* the current row */
	Relation rel;
	Snapshot snapshot;
	TableScanDesc scan;
} DirectScan;

extern Snapshot syncmaster_scan_snapshot(void);
extern bool syncmaster_may_scan(Relation rel);
extern void syncmaster_begin_scan(DirectScan *scan, Relation rel);
extern bool syncmaster_next_row(DirectScan *scan);
extern void syncmaster_end_scan(DirectScan *scan);

#endif /* SYNCMASTER_SCAN_H */
