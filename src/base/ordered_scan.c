/*-------------------------------------------------------------------------
 *
 * ordered_scan.c
 *	  Reading a table directly, in the order of an index.
 *
 * The same as a direct scan, for those who want a few rows of many: the first
 * ones, the last ones, or those where a column has a value.
 * A query would be planned, and planning runs functions that the table's owner
 * put into other indexes.  Nothing here looks into a predicate or an expression.
 *
 * Rows that are gone leave entries in an index until it is vacuumed, and a
 * standby may not mark them as dead.  So a scan can be told how many entries it
 * may visit, whatever it finds there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * Can a complete scan of this index give the rows in the order of a column?
 */
static bool
is_ordered_by(Relation index, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	TypeCacheEntry *type = lookup_type_cache(att->atttypid,
											 TYPECACHE_BTREE_OPFAMILY);

	return index->rd_rel->relam == BTREE_AM_OID &&
		   index->rd_index->indisvalid &&
		   index->rd_index->indkey.values[0] == attnum &&
		   index->rd_opfamily[0] == type->btree_opf &&
		   index->rd_indcollation[0] == att->attcollation &&
		   (index->rd_indoption[0] & INDOPTION_DESC) == 0 &&
		   heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/*
 * The same of an index that is locked, as far as the catalogue tells.
 */
static bool
leads_with(Oid indexid, AttrNumber attnum)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	bool result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_index) GETSTRUCT(tuple))->indkey.values[0] == attnum;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Open the first such index that nobody has locked; NULL if there is none.
 * *locked says whether one that is locked has the column in front.
 */
static Relation
open_index(Relation rel, AttrNumber attnum, bool *locked)
{
	ListCell *lc;

	*locked = false;
	foreach (lc, RelationGetIndexList(rel))
	{
		Oid indexid = lfirst_oid(lc);
		Relation index;

		if (!ConditionalLockRelationOid(indexid, AccessShareLock))
		{
			*locked = *locked || leads_with(indexid, attnum);
			continue;
		}
		index = try_relation_open(indexid, NoLock);
		if (index == NULL) /* dropped just before */
			UnlockRelationOid(indexid, AccessShareLock);
		else if (is_ordered_by(index, rel, attnum))
			return index;
		else
			relation_close(index, AccessShareLock);
	}
	return NULL;
}

/*
 * Begin to read a table that the caller has opened, in the order of a column;
 * with "equal", only rows in which it has that value.  False if no index helps,
 * or none that is not locked, or the rows are elsewhere.
 */
bool
syncmaster_begin_ordered_scan(OrderedScan *scan, Relation rel,
							  AttrNumber attnum, const Datum *equal,
							  ScanDirection direction, int64 max_entries)
{
	int nkeys = equal != NULL ? 1 : 0;
	ScanKeyData key;

	scan->locked = false;
	if (!syncmaster_has_rows_here(rel))
		return false;
	scan->index = open_index(rel, attnum, &scan->locked);
	if (scan->index == NULL)
		return false;
	if (equal != NULL)
	{
		Oid family = scan->index->rd_opfamily[0];
		Oid type = scan->index->rd_opcintype[0];
		Oid equality = get_opfamily_member(family, type, type,
										   BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid,
							   scan->index->rd_indcollation[0],
							   get_opcode(equality), *equal);
	}
	scan->direction = direction;
	scan->entries_left = max_entries;
	scan->snapshot = RegisterSnapshot(syncmaster_scan_snapshot());
	scan->slot = table_slot_create(rel, NULL);
	scan->scan = begin_index_scan(rel, scan->index, scan->snapshot, nkeys);
	index_rescan(scan->scan, equal != NULL ? &key : NULL, nkeys, NULL, 0);
	return true;
}

/*
 * Step to the next row; false after the last, and when enough entries were
 * visited.
 */
bool
syncmaster_next_ordered(OrderedScan *scan)
{
	while (scan->entries_left > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (index_getnext_tid(scan->scan, scan->direction) == NULL)
			return false;
		scan->entries_left--;
		if (index_fetch_heap(scan->scan, scan->slot))
			return true;
	}
	return false;
}

void
syncmaster_end_ordered_scan(OrderedScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	UnregisterSnapshot(scan->snapshot);
	relation_close(scan->index, AccessShareLock);
}
