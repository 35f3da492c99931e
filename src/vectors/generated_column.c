/*-------------------------------------------------------------------------
 *
 * generated_column.c
 *	  A generated column that a statement of a migration adds.
 *
 * ALTER TABLE computes it row by row, in one process, while nobody can read
 * the table, and builds all indexes anew, also those of an empty table.  Where
 * that can be done in another way, the catalogue is made to say here what it
 * would say otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "nodes/value.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/evtcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "vectors/vectors.h"

#define STORED "STORED"

/*
 * Find the parts of a column's clause, which is from our own scripts.  A quote
 * doubled within a string ends that one and begins another.
 */
static void
find_clause(const char *clause, GeneratedColumn *column)
{
	const char *end = strchr(clause, '(') + 1;
	bool in_string = false;

	column->clause = clause;
	column->expr = end;
	for (int depth = 1;; end++)
	{
		if (*end == '\0')
			elog(ERROR, "no end of clause: %s", clause);
		if (*end == '\'')
			in_string = !in_string;
		else if (!in_string && *end == '(')
			depth++;
		else if (!in_string && *end == ')' && --depth == 0)
			break;
	}
	column->expr_length = end - column->expr;
	end++;
	end += strspn(end, " \n\t");
	if (strncmp(end, STORED, strlen(STORED)) != 0)
		elog(ERROR, "column is not stored: %s", clause);
	column->after = end + strlen(STORED);
}

static bool
describe_column(const TableStatement *statement, const ColumnDef *definition,
				GeneratedColumn *column)
{
	ListCell *lc;

	foreach (lc, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype != CONSTR_GENERATED)
			continue;
		column->name = definition->colname;
		column->type = strVal(llast(definition->typeName->names));
		column->raw_expr = constraint->raw_expr;
		find_clause(statement->sql + constraint->location - statement->location,
					column);
		return true;
	}
	return false;
}

/*
 * Does a statement add such a column to a table that is there, and only one?
 */
bool
syncmaster_find_generated_column(const TableStatement *statement,
								 GeneratedColumn *column)
{
	int found = 0;
	ListCell *lc;

	foreach (lc, statement->stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn &&
			describe_column(statement, (ColumnDef *) command->def, column))
			found++;
	}
	return found == 1;
}

/*
 * May a statement about a table, which is locked, be run in another way than as
 * it is?  Not where others would notice: children and other nodes, which would
 * get what is only for a moment, and event triggers, which are told of it.
 */
bool
syncmaster_may_rephrase(const TableStatement *statement)
{
	Relation rel = relation_open(statement->relid, NoLock);
	bool result = rel->rd_rel->relkind == RELKIND_RELATION &&
				  !rel->rd_rel->relhassubclass;

	relation_close(rel, NoLock);
	return result && EventCacheLookup(EVT_DDLCommandEnd) == NIL &&
		   EventCacheLookup(EVT_SQLDrop) == NIL &&
		   EventCacheLookup(EVT_TableRewrite) == NIL &&
		   !syncmaster_is_distributed(statement->relid);
}

/*
 * Has a table no rows, not even dead ones?
 */
static bool
is_empty(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	bool result = RelationGetNumberOfBlocks(rel) == 0;

	relation_close(rel, NoLock);
	return result;
}

/*
 * Mark the last column of a table, which was just added, as generated.
 */
static void
mark_generated(Relation rel, const char *column)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopyAttName(RelationGetRelid(rel), column);
	Form_pg_attribute attribute;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for column %s", column);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	if (attribute->attnum != RelationGetNumberOfAttributes(rel))
		elog(ERROR, "column %s was not added", column);
	attribute->attgenerated = ATTRIBUTE_GENERATED_STORED;
	CatalogTupleUpdate(attributes, &tuple->t_self, tuple);
	table_close(attributes, RowExclusiveLock);
	CommandCounterIncrement();
}

typedef struct Addition
{
	const TableStatement *statement;
	const GeneratedColumn *column;
} Addition;

/*
 * Have a column that was just added generated.
 */
static void
generate(void *argument)
{
	const Addition *addition = argument;
	Oid relid = addition->statement->relid;
	RawColumnDefault *expr = palloc0(sizeof(RawColumnDefault));
	Relation rel = relation_open(relid, NoLock);

	mark_generated(rel, addition->column->name);
	expr->attnum = get_attnum(relid, addition->column->name);
	expr->raw_default = addition->column->raw_expr; /* not used again */
	expr->generated = ATTRIBUTE_GENERATED_STORED;
	AddRelationNewConstraints(rel, list_make1(expr), NIL, false, true, false,
							  NULL);
	relation_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * Run the statement if the table, which is locked, is empty: without writing
 * the files of its indexes anew.  False if it has to be run as it is.
 */
bool
syncmaster_add_to_empty_table(const TableStatement *statement,
							  const GeneratedColumn *column)
{
	Addition addition = {statement, column};

	if (!is_empty(statement->relid))
		return false;
	syncmaster_execute_as(psprintf("%.*s%s",
								   (int) (column->clause - statement->sql),
								   statement->sql, column->after),
						  statement->role);
	CommandCounterIncrement();
	syncmaster_call_as(statement->role, generate, &addition);
	return true;
}

/*
 * Does anything depend on a function?
 */
bool
syncmaster_has_dependents(Oid function)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool result;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(function));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	result = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);

	return result;
}

/*
 * A column was added with the expression coalesce(function(...), expression):
 * leave the expression alone.
 */
void
syncmaster_unwrap_expression(Oid relid, const char *column, Oid function)
{
	Relation rel = relation_open(relid, NoLock);
	Relation defaults = table_open(AttrDefaultRelationId, RowExclusiveLock);
	AttrNumber attnum = get_attnum(relid, column);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid id;
	bool isnull;
	CoalesceExpr *expr;
	FuncExpr *call;
	Datum values[Natts_pg_attrdef] = {0};
	bool nulls[Natts_pg_attrdef] = {0};
	bool replaced[Natts_pg_attrdef] = {0};

	ScanKeyInit(&keys[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(defaults, AttrDefaultIndexId, true, NULL, 2,
							  keys);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no expression generates column %s", column);
	id = ((Form_pg_attrdef) GETSTRUCT(tuple))->oid;
	expr = stringToNode(
		TextDatumGetCString(heap_getattr(tuple, Anum_pg_attrdef_adbin,
										 RelationGetDescr(defaults), &isnull)));
	call = IsA(expr, CoalesceExpr) ? linitial(expr->args) : NULL;
	if (call == NULL || !IsA(call, FuncExpr) || call->funcid != function ||
		list_length(expr->args) != 2)
		elog(ERROR, "unexpected expression generates column %s", column);

	values[Anum_pg_attrdef_adbin - 1] = CStringGetTextDatum(
		nodeToString(lsecond(expr->args)));
	replaced[Anum_pg_attrdef_adbin - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(defaults), values, nulls,
							  replaced);
	CatalogTupleUpdate(defaults, &tuple->t_self, tuple);
	systable_endscan(scan);
	table_close(defaults, RowExclusiveLock);

	/* 15 has the expression depend on the function, before it is the column */
	deleteDependencyRecordsForSpecific(AttrDefaultRelationId, id,
									   DEPENDENCY_NORMAL, ProcedureRelationId,
									   function);
	deleteDependencyRecordsForSpecific(RelationRelationId, relid,
									   DEPENDENCY_AUTO, ProcedureRelationId,
									   function);
	CacheInvalidateRelcache(rel);
	relation_close(rel, NoLock);
	CommandCounterIncrement();

	/* what a table's owner has planted may have made a child meanwhile */
	if (syncmaster_has_dependents(function))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("an object came to depend on function %s while table "
						"\"%s\" was changed",
						format_procedure(function), get_rel_name(relid)),
				 errhint("Drop what calls that function, and run the command "
						 "again.")));
}
