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
 * Of a partitioned table, the indexes of its partitions are read side by side.
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

/* The scan of one table or partition that has rows. */
typedef struct OrderedLeaf
{
	LeafRows		rows;
	Relation		index;
	IndexScanDesc	scan;
	TupleTableSlot *row; /* the next one, if it has been read */
	bool			done;
} OrderedLeaf;

/*
 * Return whether a full scan of this index returns the rows in a column's
 * order.
 */
static bool
is_ordered_by(Relation index, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	TypeCacheEntry	 *type = lookup_type_cache(att->atttypid,
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
 * Return the same for an index that is locked, as far as the catalogue tells.
 */
static bool
leads_with(Oid indexid, AttrNumber attnum)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	bool	  result;

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
		Oid		 indexid = lfirst_oid(lc);
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
 * Begin to read one of the tables that have the rows; false if no index
 * helps.
 */
static bool
begin_leaf(OrderedScan *scan, OrderedLeaf *leaf, Relation rel,
		   const Datum *equal)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel),
									get_attname(RelationGetRelid(scan->rel),
												scan->attnum, false));
	int			nkeys = equal != NULL ? 1 : 0;
	ScanKeyData key;
	bool		locked;

	leaf->index = open_index(rel, attnum, &locked);
	scan->locked = scan->locked || locked;
	if (leaf->index == NULL)
		return false;
	if (equal != NULL)
	{
		Oid family = leaf->index->rd_opfamily[0];
		Oid type = leaf->index->rd_opcintype[0];
		Oid equality = get_opfamily_member(family, type, type,
										   BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid,
							   leaf->index->rd_indcollation[0],
							   get_opcode(equality), *equal);
	}
	syncmaster_begin_leaf(&leaf->rows, rel, scan->rel);
	leaf->scan = begin_index_scan(rel, leaf->index, scan->snapshot, nkeys);
	index_rescan(leaf->scan, equal != NULL ? &key : NULL, nkeys, NULL, 0);
	return true;
}

static void
end_leaf(OrderedLeaf *leaf)
{
	index_endscan(leaf->scan);
	syncmaster_end_leaf(&leaf->rows);
	relation_close(leaf->index, AccessShareLock);
}

/*
 * Begin to read a table that the caller has opened, in the order of a column;
 * with "equal", only rows in which it has that value.  False if no index
 * helps, or none that is not locked, or the rows are elsewhere.
 */
bool
syncmaster_begin_ordered_scan(OrderedScan *scan, Relation rel,
							  AttrNumber attnum, const Datum *equal,
							  ScanDirection direction, int64 max_entries)
{
	ListCell *lc;

	scan->locked = false;
	if (!syncmaster_has_rows_here(rel))
		return false;
	scan->leaves = syncmaster_open_leaves(rel, &scan->locked);
	if (scan->locked)
		return false;
	scan->rel = rel;
	scan->attnum = attnum;
	scan->equal = equal != NULL;
	scan->direction = direction;
	scan->entries_left = max_entries;
	scan->snapshot = RegisterSnapshot(syncmaster_scan_snapshot());
	scan->scans = palloc0(sizeof(OrderedLeaf) *
						  Max(list_length(scan->leaves), 1));
	scan->nscans = 0;
	scan->current = NULL;
	foreach (lc, scan->leaves)
	{
		if (begin_leaf(scan, &scan->scans[scan->nscans], lfirst(lc), equal))
		{
			scan->nscans++;
			continue;
		}
		syncmaster_end_ordered_scan(scan);
		return false;
	}
	return true;
}

/*
 * Read the next row of one of the tables, or find that there is none; false
 * if enough entries were visited.
 */
static bool
step(OrderedScan *scan, OrderedLeaf *leaf)
{
	while (scan->entries_left > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (index_getnext_tid(leaf->scan, scan->direction) == NULL)
		{
			leaf->done = true;
			return true;
		}
		scan->entries_left--;
		if (index_fetch_heap(leaf->scan, leaf->rows.slot))
		{
			leaf->row = syncmaster_leaf_row(&leaf->rows);
			return true;
		}
	}
	return false;
}

/*
 * Return whether the row of the left scan comes before that of the right one.
 */
static bool
comes_before(const OrderedScan *scan, const OrderedLeaf *left,
			 const OrderedLeaf *right)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(scan->rel),
										  scan->attnum - 1);
	TypeCacheEntry	 *type = lookup_type_cache(att->atttypid,
											   TYPECACHE_CMP_PROC_FINFO);
	bool			  left_isnull;
	bool			  right_isnull;
	Datum left_value = slot_getattr(left->row, scan->attnum, &left_isnull);
	Datum right_value = slot_getattr(right->row, scan->attnum, &right_isnull);
	int	  order;

	/* as in an index, nulls are last */
	if (left_isnull || right_isnull)
		order = (int) left_isnull - (int) right_isnull;
	else
		order = DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo,
												att->attcollation, left_value,
												right_value));
	return ScanDirectionIsForward(scan->direction) ? order < 0 : order > 0;
}

/*
 * Step to the next row; false after the last, and when enough entries were
 * visited.  Rows of several tables are merged, as far as they have an order.
 */
bool
syncmaster_next_ordered(OrderedScan *scan)
{
	OrderedLeaf *next = NULL;

	/* its row has been seen */
	if (scan->current != NULL)
		scan->current->row = NULL;
	scan->current = NULL;
	for (int i = 0; i < scan->nscans; i++)
	{
		/*
		 * a backward scan begins with the newest partition, where new rows are
		 */
		OrderedLeaf *leaf = &scan->scans[ScanDirectionIsForward(scan->direction)
											 ? i
											 : scan->nscans - 1 - i];

		if (leaf->row == NULL && !leaf->done && !step(scan, leaf))
			return false;
		if (leaf->row == NULL)
			continue;
		if (next == NULL || comes_before(scan, leaf, next))
			next = leaf;
		if (scan->equal)
			break;
	}
	scan->current = next;
	if (next == NULL)
		return false;
	scan->slot = next->row;
	return true;
}

void
syncmaster_end_ordered_scan(OrderedScan *scan)
{
	for (int i = 0; i < scan->nscans; i++)
		end_leaf(&scan->scans[i]);
	pfree(scan->scans);
	syncmaster_close_leaves(scan->leaves);
	UnregisterSnapshot(scan->snapshot);
}
