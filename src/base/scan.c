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
 * Of a partitioned table, the partitions are read one after the other, and their
 * rows come as the table has them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
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
 * Return whether the rows of one relation can be read from its files.  A
 * standby has no files of an unlogged one.
 */
static bool
has_files_here(char kind, char persistence)
{
	return (kind == RELKIND_RELATION || kind == RELKIND_SEQUENCE) &&
		   (persistence == RELPERSISTENCE_PERMANENT || !RecoveryInProgress());
}

/*
 * Return whether an opened relation, or its partitions, contain its rows.  A
 * rule may have turned a table into a view just before it was locked, and
 * Citus may have put the rows into other tables, on other servers.
 */
bool
syncmaster_has_rows_here(Relation rel)
{
	ListCell *lc;

	if (syncmaster_is_distributed(RelationGetRelid(rel)))
		return false;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return has_files_here(rel->rd_rel->relkind,
							  rel->rd_rel->relpersistence);
	foreach (lc, syncmaster_partitions(RelationGetRelid(rel)))
	{
		char kind = get_rel_relkind(lfirst_oid(lc));

		/* '\0' for a relation that was dropped just before */
		if (kind != '\0' && kind != RELKIND_PARTITIONED_TABLE &&
			!has_files_here(kind, get_rel_persistence(lfirst_oid(lc))))
			return false;
	}
	return true;
}

/*
 * Begin with the next table or partition that has rows; false after the last.
 */
static bool
begin_next_leaf(DirectScan *scan)
{
	Relation leaf;

	if (scan->nleaves == list_length(scan->leaves))
		return false;
	leaf = list_nth(scan->leaves, scan->nleaves++);
	syncmaster_begin_leaf(&scan->rows, leaf, scan->rel);
	scan->scan = begin_table_scan(leaf, scan->snapshot);
	return true;
}

static void
end_leaf(DirectScan *scan)
{
	table_endscan(scan->scan);
	syncmaster_end_leaf(&scan->rows);
	scan->scan = NULL;
}

/*
 * Begin to read a table that the caller has opened; false if its rows are
 * elsewhere, if it can have none, or if a partition is locked.
 */
bool
syncmaster_begin_scan_at(DirectScan *scan, Relation rel, Snapshot snapshot)
{
	bool locked;

	if (!syncmaster_has_rows_here(rel))
		return false;
	scan->leaves = syncmaster_open_leaves(rel, &locked);
	if (locked)
		return false;
	scan->rel = rel;
	scan->nleaves = 0;
	scan->scan = NULL;
	scan->snapshot = RegisterSnapshot(snapshot);
	return true;
}

/*
 * Like syncmaster_begin_scan_at(), with the newest snapshot.
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
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (scan->scan == NULL && !begin_next_leaf(scan))
			return false;
		if (table_scan_getnextslot(scan->scan, ForwardScanDirection,
								   scan->rows.slot))
			break;
		end_leaf(scan);
	}
	scan->slot = syncmaster_leaf_row(&scan->rows);
	return true;
}

void
syncmaster_end_scan(DirectScan *scan)
{
	if (scan->scan != NULL)
		end_leaf(scan);
	syncmaster_close_leaves(scan->leaves);
	UnregisterSnapshot(scan->snapshot);
}
