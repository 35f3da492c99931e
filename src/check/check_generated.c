/*-------------------------------------------------------------------------
 *
 * check_generated.c
 *	  The generated columns, search_vector of four tables.
 *
 * Expressions are compared as trees, not as text: what the server makes of
 * the expected text for this very table, with only pg_catalog searched, must
 * equal what the catalogue holds.  So it does not matter how a major writes
 * an expression, and a function of the same name elsewhere does not pass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "schema/schema.h"

/*
 * What else goes with a column ($2) of a table ($1), given the indexes that
 * come back ($3).  From 18 on NOT NULL is a constraint, which comes back too.
 */
#define DEPENDENTS_QUERY \
	"SELECT string_agg(what, ', ' ORDER BY what) FROM (" \
	"    SELECT pg_describe_object(d.classid, d.objid, d.objsubid) " \
	"    FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass " \
	"    AND d.refobjid = $1 AND d.refobjsubid = $2 " \
	"    AND d.deptype IN ('n', 'a') AND d.classid <> 'pg_attrdef'::regclass " \
	"    AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'n' " \
	"        AND d.classid = 'pg_constraint'::regclass AND d.objid = oid) " \
	"    AND NOT EXISTS (SELECT FROM pg_class WHERE relname = ANY ($3) " \
	"        AND d.classid = 'pg_class'::regclass AND d.objid = oid) " \
	"    UNION ALL SELECT 'what is granted on it' FROM pg_attribute " \
	"    WHERE attrelid = $1 AND attnum = $2 AND attacl IS NOT NULL " \
	"    UNION ALL SELECT 'its comment' FROM pg_description " \
	"    WHERE classoid = 'pg_class'::regclass AND objoid = $1 " \
	"    AND objsubid = $2) d(what)"

/*
 * The tree that ALTER TABLE would store for that text.  The columns in it are
 * known to be of types of pg_catalog, so that nobody's casts come into play.
 */
static Node *
analyze_expression(Relation rel, Form_pg_attribute att, const char *text,
				   char generated)
{
	int save_nestlevel = syncmaster_enter_safe_settings();
	RawStmt *raw = linitial_node(RawStmt,
								 pg_parse_query(psprintf("SELECT %s", text)));
	SelectStmt *select = castNode(SelectStmt, raw->stmt);
	ResTarget *target = linitial_node(ResTarget, select->targetList);
	ParseState *pstate = make_parsestate(NULL);
	Node *result;

	addNSItemToQuery(pstate,
					 addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
												   NULL, false, true),
					 true, true, true);
	result = cookDefault(pstate, target->val, att->atttypid, att->atttypmod,
						 NameStr(att->attname), generated);
	free_parsestate(pstate);
	syncmaster_leave_settings(save_nestlevel);

	return result;
}

/*
 * Have the columns that the generated expression reads the expected types?
 */
static bool
inputs_are_right(const RelationInfo *relation, Relation rel, int revision)
{
	for (const ColumnInfo *column = syncmaster_columns_at(relation, revision);
		 column->name != NULL; column++)
	{
		AttrNumber attnum = get_attnum(RelationGetRelid(rel), column->name);

		if (syncmaster_generated_input(relation->name, column->name) &&
			(attnum <= 0 ||
			 get_atttype(RelationGetRelid(rel), attnum) != column->type))
			return false;
	}
	return true;
}

static bool
generated_is(const RelationInfo *relation, Relation rel, Form_pg_attribute att,
			 int revision)
{
	Node *stored = syncmaster_stored_expression(rel, att->attnum);

	return att->attgenerated == ATTRIBUTE_GENERATED_STORED && stored != NULL &&
		   equal(stored, analyze_expression(rel, att,
											syncmaster_generated_expression(
												relation->name, revision),
											ATTRIBUTE_GENERATED_STORED));
}

/*
 * Is the table's search_vector the one of that revision?  False too where it
 * cannot be told.
 */
bool
syncmaster_search_vector_is(const RelationInfo *relation, Oid relid,
							int revision)
{
	Relation rel = syncmaster_open_relation(relid, AccessShareLock);
	AttrNumber attnum = get_attnum(relid, "search_vector");
	bool result = false;

	if (attnum > 0 && inputs_are_right(relation, rel, revision))
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  attnum - 1);

		result = att->atttypid == TSVECTOROID &&
				 generated_is(relation, rel, att, revision);
	}
	table_close(rel, AccessShareLock);

	return result;
}

/*
 * Definition of the index of that name, if it is one of SyncMaster's or of the
 * extension's.
 */
static char *
known_index(const CheckContext *context, const char *index)
{
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		if (strcmp(syncmaster_indexes[i].name, index) == 0)
			return syncmaster_index_definition(&syncmaster_indexes[i], index,
											   context->schema);
	}
	for (int i = 0; i < syncmaster_extra_index_count(); i++)
	{
		const char *name;
		char *definition;

		if (syncmaster_extra_index(i, context->namespace, context->schema,
								   &name, &definition) == EXTRA_INDEX_PRESENT &&
			strcmp(name, index) == 0)
			return definition;
	}
	return NULL;
}

/*
 * Statements that compute the column anew.  Its indexes go with it; those that
 * are known come back, and their names are added to *indexes.
 */
static char *
regenerate_column(const CheckContext *context, const RelationInfo *relation,
				  const ColumnInfo *column, List **indexes)
{
	Oid relid = syncmaster_relation_oid(relation, context->namespace);
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s",
					 syncmaster_qualify(context, relation->name),
					 quote_identifier(column->name),
					 syncmaster_column_definition(relation, column,
												  context->revision));
	foreach (lc, syncmaster_column_indexes(relid, column->name))
	{
		char *name = get_rel_name(lfirst_oid(lc));
		char *definition = known_index(context, name);

		if (definition == NULL)
			continue;
		appendStringInfo(&sql, "; %s", definition);
		*indexes = lappend(*indexes, name);
	}
	return sql.data;
}

/*
 * What would be lost with the column and does not come back, in words; NULL if
 * nothing would.
 */
static char *
describe_dependents(Oid relid, AttrNumber attnum, List *indexes)
{
	Datum *names = palloc((list_length(indexes) + 1) * sizeof(Datum));
	Oid types[3] = {OIDOID, INT4OID, TEXTARRAYOID};
	Datum values[3];
	int count = 0;
	char **row;
	ListCell *lc;

	foreach (lc, indexes)
	{
		names[count++] = CStringGetTextDatum(lfirst(lc));
	}
	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int32GetDatum(attnum);
	values[2] = PointerGetDatum(
		construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
	row = linitial(syncmaster_query(DEPENDENTS_QUERY, 3, types, values));

	return row[0];
}

/*
 * Compare a generated column; false if it is to be made anew, which mends its
 * type and everything else about it as well.
 */
bool
syncmaster_check_generated(CheckContext *context, const RelationInfo *relation,
						   Relation rel, const ColumnInfo *column,
						   Form_pg_attribute att)
{
	const char *text = syncmaster_generated_expression(relation->name,
													   context->revision);
	Node *stored = syncmaster_stored_expression(rel, att->attnum);
	bool right_type = att->atttypid == column->type;
	List *indexes = NIL;
	Finding *finding;
	char *lost;

	if (!inputs_are_right(relation, rel, context->revision) ||
		(right_type && generated_is(relation, rel, att, context->revision)))
		return true;
	finding = syncmaster_add_difference(
		context, SEVERITY_ERROR, "column",
		syncmaster_column_name(relation->name, column->name),
		!right_type					? "is of another type"
		: att->attgenerated == '\0' ? "is not generated"
		: att->attgenerated != ATTRIBUTE_GENERATED_STORED
			? "is not stored"
			: "has another expression");
	finding->expected =
		right_type ? syncmaster_expression_text(
						 rel, analyze_expression(rel, att, text,
												 ATTRIBUTE_GENERATED_STORED))
				   : syncmaster_column_type(column);
	if (!right_type)
		finding->actual = format_type_with_typemod(att->atttypid,
												   att->atttypmod);
	else if (stored != NULL)
		finding->actual = syncmaster_expression_text(rel, stored);
	finding->fix = regenerate_column(context, relation, column, &indexes);

	/* what the server computed it can compute again */
	lost = describe_dependents(RelationGetRelid(rel), att->attnum, indexes);
	if (att->attgenerated == '\0')
		finding->left = "its values would be replaced by computed ones";
	else if (lost != NULL)
		finding->left = psprintf("with the column would go: %s", lost);
	return false;
}
