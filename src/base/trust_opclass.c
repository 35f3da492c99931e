/*-------------------------------------------------------------------------
 *
 * trust_opclass.c
 *	  The rule of trust for operator classes, and for rows of catalogues.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_rewrite.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * Visit the rows of a catalogue that belong to an object, and close it.
 * There need not be an index.
 */
void
syncmaster_visit_rows(TrustQuestion *question, Relation rel, Oid index,
					  AttrNumber column, Oid object, RowVisitor visitor)
{
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		visitor(question, rel, tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
visit_support(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	(void) catalog;
	syncmaster_ask_support(question,
						   ((Form_pg_amproc) GETSTRUCT(tuple))->amproc);
}

static void
visit_operator(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	(void) catalog;
	syncmaster_ask_support(
		question, get_opcode(((Form_pg_amop) GETSTRUCT(tuple))->amopopr));
}

/*
 * The functions and operators of an operator class, those of its family
 * included, as an index, an exclusion constraint or a partition key calls
 * them.
 */
static void
ask_operator_class(TrustQuestion *question, Oid opclass)
{
	Oid family;

	if (!SearchSysCacheExists1(CLAOID, ObjectIdGetDatum(opclass)))
		return; /* dropped meanwhile */
	family = get_opclass_family(opclass);
	if (family < FirstNormalObjectId && opclass < FirstNormalObjectId)
		return;
	syncmaster_visit_rows(question,
						  table_open(AccessMethodProcedureRelationId,
									 AccessShareLock),
						  AccessMethodProcedureIndexId,
						  Anum_pg_amproc_amprocfamily, family, visit_support);
	syncmaster_visit_rows(question,
						  table_open(AccessMethodOperatorRelationId,
									 AccessShareLock),
						  AccessMethodStrategyIndexId, Anum_pg_amop_amopfamily,
						  family, visit_operator);
}

/*
 * The operator classes in a column of a catalogue, such as indclass.
 */
void
syncmaster_ask_operator_classes(TrustQuestion *question, Relation catalog,
								HeapTuple tuple, AttrNumber column)
{
	bool	   isnull;
	Datum	   value = heap_getattr(tuple, column, RelationGetDescr(catalog),
									&isnull);
	oidvector *classes;

	if (isnull)
		return;
	classes = (oidvector *) DatumGetPointer(value);
	for (int i = 0; i < classes->dim1; i++)
		ask_operator_class(question, classes->values[i]);
}

/*
 * Return whether a rule is DO INSTEAD NOTHING.
 */
bool
syncmaster_does_nothing(Relation catalog, HeapTuple tuple)
{
	bool	  isnull;
	Datum	  value = heap_getattr(tuple, Anum_pg_rewrite_ev_action,
								   RelationGetDescr(catalog), &isnull);
	List	 *actions = isnull ? NIL : stringToNode(TextDatumGetCString(value));
	ListCell *lc;

	foreach (lc, actions)
	{
		if (lfirst_node(Query, lc)->commandType != CMD_NOTHING)
			return false;
	}
	return true;
}

/*
 * Return whether the condition of a rule has a subquery, which can read any
 * table, or call functions that return sets and execute their arguments, such
 * as contrib's crosstab().
 */
bool
syncmaster_has_subquery(Relation catalog, HeapTuple tuple)
{
	bool  isnull;
	Datum value = heap_getattr(tuple, Anum_pg_rewrite_ev_qual,
							   RelationGetDescr(catalog), &isnull);

	return !isnull &&
		   checkExprHasSubLink(stringToNode(TextDatumGetCString(value)));
}
