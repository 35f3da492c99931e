/*-------------------------------------------------------------------------
 *
 * same_index.c
 *	  Whether an index is the one that a statement makes.
 *
 * IF NOT EXISTS asks for the name alone, whatever bears it.  The catalogues
 * are read without a lock, so that a plan can be had at any time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * Return whether the keys of an index are these columns in their default
 * order, as in all indexes that a step builds when they are missing.
 */
static bool
keys_are(HeapTuple tuple, Oid relid, Oid method, const IndexStmt *stmt)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	bool		  isnull;
	oidvector	 *opclasses = (oidvector *) DatumGetPointer(
		   SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &isnull));
	oidvector *collations = (oidvector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indcollation,
						&isnull));
	int2vector *options = (int2vector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indoption, &isnull));
	ListCell *lc;
	int		  i = 0;

	foreach (lc, stmt->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);
		AttrNumber		 attnum = element->name != NULL
									  ? get_attnum(relid, element->name)
									  : InvalidAttrNumber;
		Oid				 type;
		int32			 typmod;
		Oid				 collation;

		if (attnum <= 0 || form->indkey.values[i] != attnum)
			return false;
		get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
		if (opclasses->values[i] != GetDefaultOpClass(type, method) ||
			collations->values[i] != collation || options->values[i] != 0)
			return false;
		i++;
	}
	return true;
}

bool
syncmaster_is_index(Oid indexid, Oid relid, const IndexStmt *stmt)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	HeapTuple class = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	Oid	 method = get_index_am_oid(stmt->accessMethod, true);
	bool result = false;

	if (HeapTupleIsValid(tuple) && HeapTupleIsValid(class))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		result = form->indrelid == relid &&
				 ((Form_pg_class) GETSTRUCT(class))->relam == method &&
				 form->indisunique == stmt->unique &&
				 form->indnatts == list_length(stmt->indexParams) &&
				 heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) &&
				 heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
				 keys_are(tuple, relid, method, stmt);
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (HeapTupleIsValid(class))
		ReleaseSysCache(class);
	return result;
}
