/*-------------------------------------------------------------------------
 *
 * ordered_scan.h
 *	  Reading a table directly, in the order of an index.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_ORDERED_SCAN_H
#define SYNCMASTER_ORDERED_SCAN_H

#include "postgres.h"

#include "access/genam.h"
#include "access/sdir.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* What a scan that need not be short may visit. */
#define NO_ENTRY_LIMIT PG_INT64_MAX

typedef struct OrderedScan
{
	TupleTableSlot *slot; /* the current row */
	int64 entries_left;	  /* 0 after a scan that ended for want of them */
	bool locked; /* if none was begun: an index that is locked may help */
	ScanDirection direction;
	Relation index;
	Snapshot snapshot;
	IndexScanDesc scan;
} OrderedScan;

extern bool syncmaster_begin_ordered_scan(OrderedScan *scan, Relation rel,
										  AttrNumber attnum, const Datum *equal,
										  ScanDirection direction,
										  int64 max_entries);
extern bool syncmaster_begin_scan_from(OrderedScan *scan, Relation rel,
									   AttrNumber attnum, Datum value);
extern bool syncmaster_next_ordered(OrderedScan *scan);
extern void syncmaster_end_ordered_scan(OrderedScan *scan);

#endif /* SYNCMASTER_ORDERED_SCAN_H */
