/*-------------------------------------------------------------------------
 *
 * dependency.c
 *	  What depends on a column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/*
 * OIDs of the indexes that are dropped with a column, in the order of their
 * making.
 */
List *
syncmaster_column_indexes(Oid relid, const char *column)
{
	AttrNumber	attnum = get_attnum(relid, column);
	List	   *indexes = NIL;
	Relation	rel;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (attnum == InvalidAttrNumber)
		return NIL;

	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(attnum));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId && form->objsubid == 0 &&
			get_rel_relkind(form->objid) == RELKIND_INDEX)
			indexes = list_append_unique_oid(indexes, form->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	list_sort(indexes, list_oid_cmp);
	return indexes;
}
