/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  Partitioned tables, and the tables that have their rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tupconvert.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

bool
syncmaster_is_partitioned(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
}

/*
 * Return whether a table is partitioned by ranges of this column alone.
 */
bool
syncmaster_is_partitioned_by(Oid relid, const char *column)
{
	HeapTuple tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Form_pg_partitioned_table form;
	bool					  result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	result = form->partstrat == PARTITION_STRATEGY_RANGE &&
			 form->partnatts == 1 && form->partattrs.values[0] > 0 &&
			 form->partattrs.values[0] == get_attnum(relid, column);
	ReleaseSysCache(tuple);

	return result;
}

/*
 * All partitions of a table, of every level; NIL for a table that is not
 * partitioned, whatever inherits from it.
 */
List *
syncmaster_partitions(Oid relid)
{
	return syncmaster_is_partitioned(relid)
			   ? list_delete_oid(find_all_inheritors(relid, NoLock, NULL),
								 relid)
			   : NIL;
}

/*
 * Lock the partitions of a table that the caller has locked, as a statement
 * would do it, but with a bounded wait.
 */
void
syncmaster_lock_partitions(Oid relid, LOCKMODE mode)
{
	ListCell *lc;

	foreach (lc, syncmaster_partitions(relid))
		(void) syncmaster_lock_if_there(lfirst_oid(lc), mode);
}

/*
 * Lock a table with its partitions, if that needs no wait.
 */
bool
syncmaster_try_lock(Oid relid, LOCKMODE mode)
{
	ListCell *lc;

	if (!ConditionalLockRelationOid(relid, mode))
		return false;
	foreach (lc, syncmaster_partitions(relid))
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), mode))
			return false;
	}
	return true;
}

/*
 * Open the tables that have the rows of a table, which the caller has opened:
 * the table itself, or its partitions.  No lock is waited for: NIL with
 * *locked means that one of them is locked.
 */
List *
syncmaster_open_leaves(Relation rel, bool *locked)
{
	Oid		  relid = RelationGetRelid(rel);
	List	 *leaves = NIL;
	ListCell *lc;

	*locked = false;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		/*
		 * The caller has locked the table: this lock is taken to be given back
		 * like those of partitions.
		 */
		LockRelationOid(relid, AccessShareLock);
		return list_make1(relation_open(relid, NoLock));
	}
	foreach (lc, syncmaster_partitions(relid))
	{
		Oid		 partition = lfirst_oid(lc);
		Relation leaf;

		if (!ConditionalLockRelationOid(partition, AccessShareLock))
		{
			syncmaster_close_leaves(leaves);
			*locked = true;
			return NIL;
		}
		leaf = try_relation_open(partition, NoLock);
		if (leaf == NULL) /* dropped just before */
			UnlockRelationOid(partition, AccessShareLock);
		else if (leaf->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			relation_close(leaf, AccessShareLock);
		else
			leaves = lappend(leaves, leaf);
	}
	return leaves;
}

void
syncmaster_close_leaves(List *leaves)
{
	ListCell *lc;

	foreach (lc, leaves)
		relation_close(lfirst(lc), AccessShareLock);
}

/*
 * Prepare to read a partition: it may have its columns in another order than
 * the partitioned table.
 */
void
syncmaster_begin_leaf(LeafRows *rows, Relation leaf, Relation rel)
{
	rows->leaf = leaf;
	rows->slot = table_slot_create(leaf, NULL);
	rows->map = RelationGetRelid(leaf) == RelationGetRelid(rel)
					? NULL
					: convert_tuples_by_name(RelationGetDescr(leaf),
											 RelationGetDescr(rel));
	rows->converted = rows->map == NULL
						  ? NULL
						  : MakeSingleTupleTableSlot(RelationGetDescr(rel),
													 &TTSOpsVirtual);
}

/*
 * The row in the partition's slot, in the partitioned table's order of
 * columns.
 */
TupleTableSlot *
syncmaster_leaf_row(LeafRows *rows)
{
	return rows->map == NULL
			   ? rows->slot
			   : execute_attr_map_slot(rows->map->attrMap, rows->slot,
									   rows->converted);
}

void
syncmaster_end_leaf(LeafRows *rows)
{
	if (rows->converted != NULL)
		ExecDropSingleTupleTableSlot(rows->converted);
	ExecDropSingleTupleTableSlot(rows->slot);
}

/*
 * Blocks of a table that the caller has opened; those of partitions that are
 * locked are not known.
 */
double
syncmaster_table_blocks(Relation rel, bool *locked)
{
	List	 *leaves = syncmaster_open_leaves(rel, locked);
	double	  blocks = 0;
	ListCell *lc;

	foreach (lc, leaves)
		blocks += RelationGetNumberOfBlocks((Relation) lfirst(lc));
	syncmaster_close_leaves(leaves);

	return blocks;
}
