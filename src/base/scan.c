/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Reading a table directly, without SQL.
 *
 * A table may belong to a role that planted a rule or a policy on it, and the
 * caller may have more rights than that role, or fewer than SQL would ask for.
 * A direct scan runs nobody's code and asks for no rights: whoever calls this
 * decides what of the rows may be shown.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * The newest snapshot: a migration reads after it waited for a lock.  In a
 * parallel query, where nobody migrates, there is none but the query's.
 */
Snapshot
syncmaster_scan_snapshot(void)
{
	return IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot();
}

/*
 * Are the rows of this, which the caller has opened, in it?  A rule may have
 * turned a table into a view just before it was locked, a standby has no files of
 * one that is not logged, and Citus may have put the rows into other tables, on
 * other servers.
 */
bool
syncmaster_has_rows_here(Relation rel)
{
	char kind = rel->rd_rel->relkind;

	return (kind == RELKIND_RELATION || kind == RELKIND_SEQUENCE) &&
		   (rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT ||
			!RecoveryInProgress()) &&
		   !syncmaster_is_distributed(RelationGetRelid(rel));
}

/*
 * Begin to read a table that the caller has opened; false if its rows are
 * elsewhere, or it can have none.
 */
bool
syncmaster_begin_scan_at(DirectScan *scan, Relation rel, Snapshot snapshot)
{
	if (!syncmaster_has_rows_here(rel))
		return false;
	scan->rel = rel;
	scan->snapshot = RegisterSnapshot(snapshot);
	scan->slot = table_slot_create(rel, NULL);
	scan->scan = begin_table_scan(rel, scan->snapshot);
	return true;
}

/*
 * The same with the newest rows.
 */
bool
syncmaster_begin_scan(DirectScan *scan, Relation rel)
{
	return syncmaster_begin_scan_at(scan, rel, syncmaster_scan_snapshot());
}

/*
 * Step to the next row; false after the last.
 */
bool
syncmaster_next_row(DirectScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return table_scan_getnextslot(scan->scan, ForwardScanDirection, scan->slot);
}

void
syncmaster_end_scan(DirectScan *scan)
{
	table_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	UnregisterSnapshot(scan->snapshot);
}
