/*-------------------------------------------------------------------------
 *
 * check_column.c
 *	  The columns of a table against what its revision should have.
 *
 * Expressions are compared as trees, not as text: what the server makes of
 * the expected text for this very table, with only pg_catalog searched, must
 * equal what the catalogue holds.  So it does not matter how a major writes
 * an expression, and a function of the same name elsewhere does not pass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "execute.h"
#include "expected.h"
#include "difference.h"
#include "query.h"

/*
 * What the catalogue holds as a column's default or generated expression.
 */
static Node *
stored_expression(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == attnum)
			return stringToNode(constr->defval[i].adbin);
	}
	return NULL;
}

static char *
expression_text(Relation rel, Node *expression)
{
	int save_nestlevel = syncmaster_enter_safe_settings();
	char *text =
		deparse_expression(expression,
						   deparse_context_for(RelationGetRelationName(rel),
											   RelationGetRelid(rel)),
						   false, false);

	syncmaster_leave_safe_settings(save_nestlevel);
	return text;
}

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
	syncmaster_leave_safe_settings(save_nestlevel);

	return result;
}

static bool
is_call_of(Node *expression, const char *function)
{
	FuncExpr *call = (FuncExpr *) expression;
	char *name;

	if (expression == NULL || !IsA(expression, FuncExpr) ||
		get_func_namespace(call->funcid) != PG_CATALOG_NAMESPACE)
		return false;
	name = get_func_name(call->funcid);
	return name != NULL && strcmp(name, function) == 0;
}

/*
 * Sequence that nextval() in a default takes its numbers from.
 */
static Oid
sequence_of_default(Node *expression)
{
	Node *argument;

	if (!is_call_of(expression, "nextval"))
		return InvalidOid;
	argument = linitial(((FuncExpr *) expression)->args);
	if (!IsA(argument, Const) || ((Const *) argument)->constisnull)
		return InvalidOid;
	return DatumGetObjectId(((Const *) argument)->constvalue);
}

/*
 * Have the columns that the generated expression reads the expected types?
 */
static bool
inputs_are_right(const RelationInfo *relation, Relation rel)
{
	for (const ColumnInfo *column = relation->columns; column->name != NULL;
		 column++)
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
	Node *stored = stored_expression(rel, att->attnum);

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
	Relation rel = table_open(relid, AccessShareLock);
	AttrNumber attnum = get_attnum(relid, "search_vector");
	bool result = false;

	if (attnum > 0 && inputs_are_right(relation, rel))
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
 * Start of a statement that changes a column.
 */
static char *
alter_column(const CheckContext *context, const RelationInfo *relation,
			 const char *column)
{
	return psprintf("ALTER TABLE %s ALTER COLUMN %s",
					syncmaster_qualify(context, relation->name),
					quote_identifier(column));
}

static Difference *
add_column_problem(CheckContext *context, Severity severity,
				   const RelationInfo *relation, const char *column,
				   const char *problem)
{
	return syncmaster_add_difference(context, severity, "column",
									 syncmaster_column_name(relation->name,
															column),
									 problem);
}

/*
 * Can every value of one type be kept in another, wider one?
 */
static bool
is_widening(const ColumnInfo *column, Form_pg_attribute att)
{
	if (column->type == VARCHAROID && att->atttypid == VARCHAROID)
		return att->atttypmod >= 0 &&
			   (column->length == 0 ||
				att->atttypmod < column->length + (int32) VARHDRSZ);
	return (column->type == INT8OID &&
			(att->atttypid == INT4OID || att->atttypid == INT2OID)) ||
		   (column->type == INT4OID && att->atttypid == INT2OID);
}

/*
 * Type, length and collation.  Other lengths matter where values of the
 * application's do not fit.
 */
static void
check_type(CheckContext *context, const RelationInfo *relation,
		   const ColumnInfo *column, Form_pg_attribute att)
{
	char *expected = syncmaster_column_type(column);
	int32 typmod = column->length > 0 ? column->length + (int32) VARHDRSZ : -1;
	Difference *problem;

	if (att->atttypid != column->type || att->atttypmod != typmod)
	{
		bool widening = is_widening(column, att);
		bool longer = !widening && att->atttypid == column->type &&
					  column->type == VARCHAROID;

		problem = add_column_problem(
			context,
			longer							? SEVERITY_INFO
			: att->atttypid == column->type ? SEVERITY_WARNING
			: column->type == VARCHAROID && att->atttypid == TEXTOID
				? SEVERITY_WARNING
				: SEVERITY_ERROR,
			relation, column->name,
			longer	   ? "is longer than SyncMaster makes it now"
			: widening ? "is shorter than SyncMaster makes it now"
					   : "is of another type");
		if (widening && att->atttypid != column->type)
			problem->problem = "is of a narrower type";
		problem->expected = expected;
		problem->actual = format_type_with_typemod(att->atttypid,
												   att->atttypmod);
		problem->fix =
			psprintf("%s TYPE %s%s",
					 alter_column(context, relation, column->name), expected,
					 widening || longer
						 ? ""
						 : psprintf(" USING %s::%s",
									quote_identifier(column->name), expected));
		if (!widening)
			problem->left = longer ? "a value may be longer by now" : LEFT_TYPE;
	}
	else if (att->attcollation != get_typcollation(att->atttypid))
	{
		char *name = get_collation_name(att->attcollation);

		problem = add_column_problem(context, SEVERITY_WARNING, relation,
									 column->name, "has a collation");
		problem->expected = "default";
		problem->actual = name != NULL ? name : "none";
		problem->fix = psprintf("%s TYPE %s COLLATE pg_catalog.\"default\"",
								alter_column(context, relation, column->name),
								expected);
		problem->left = "values that are equal in one collation and not in "
						"the other may break unique keys";
	}
}

static void
check_null(CheckContext *context, const RelationInfo *relation,
		   const ColumnInfo *column, Form_pg_attribute att)
{
	Difference *problem;

	if (column->not_null == att->attnotnull)
		return;
	problem = add_column_problem(
		context, column->not_null ? SEVERITY_ERROR : SEVERITY_WARNING, relation,
		column->name, column->not_null ? "allows NULL" : "does not allow NULL");
	problem->expected = column->not_null ? "NOT NULL" : "NULL";
	problem->actual = column->not_null ? "NULL" : "NOT NULL";
	problem->fix = psprintf("%s %s NOT NULL",
							alter_column(context, relation, column->name),
							column->not_null ? "SET" : "DROP");
	if (!column->not_null)
		problem->left = LEFT_FOREIGN;
}

/*
 * From 18 on, NOT NULL may be left unproved for the rows that are there.
 */
static void
check_unproved_not_null(CheckContext *context, const RelationInfo *relation,
						Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(
					 "SELECT c.conname, a.attname FROM pg_constraint c "
					 "JOIN pg_attribute a ON a.attrelid = c.conrelid "
					 "AND a.attnum = c.conkey[1] "
					 "WHERE c.conrelid = $1 AND c.contype = 'n' "
					 "AND NOT c.convalidated ORDER BY a.attnum",
					 relid))
	{
		char **row = lfirst(lc);
		Difference *problem =
			add_column_problem(context, SEVERITY_WARNING, relation, row[1],
							   "has NOT NULL that is not valid");

		problem->expected = "NOT NULL";
		problem->actual = "NOT NULL NOT VALID";
		problem->fix = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
								syncmaster_qualify(context, relation->name),
								quote_identifier(row[0]));
	}
}

/*
 * A column that the application neither writes nor expects to be computed by
 * the server is identity, generated or has a default.
 */
static void
check_plain(CheckContext *context, const RelationInfo *relation, Relation rel,
			const ColumnInfo *column, Form_pg_attribute att)
{
	Node *stored = stored_expression(rel, att->attnum);
	Difference *problem;

	if (att->attgenerated != '\0')
	{
		problem = add_column_problem(context, SEVERITY_ERROR, relation,
									 column->name, "is generated");
		if (att->attgenerated == ATTRIBUTE_GENERATED_STORED)
			problem->fix = psprintf("%s DROP EXPRESSION",
									alter_column(context, relation,
												 column->name));
		problem->left = "the computed values would stay as they are";
	}
	else if (att->attidentity != '\0')
	{
		problem = add_column_problem(context,
									 att->attidentity ==
											 ATTRIBUTE_IDENTITY_ALWAYS
										 ? SEVERITY_ERROR
										 : SEVERITY_INFO,
									 relation, column->name, "is an identity");
		problem->fix = psprintf("%s DROP IDENTITY",
								alter_column(context, relation, column->name));
		problem->left = LEFT_FOREIGN;
	}
	else if (stored != NULL)
	{
		problem = add_column_problem(context, SEVERITY_INFO, relation,
									 column->name, "has a default");
		problem->fix = psprintf("%s DROP DEFAULT",
								alter_column(context, relation, column->name));
		problem->left = LEFT_FOREIGN;
	}
	else
		return;
	if (stored != NULL)
		problem->actual = expression_text(rel, stored);
}

static void
check_now(CheckContext *context, const RelationInfo *relation, Relation rel,
		  const ColumnInfo *column, Form_pg_attribute att)
{
	Node *stored = stored_expression(rel, att->attnum);
	Difference *problem;

	if (att->attgenerated == '\0' && is_call_of(stored, "now"))
		return;
	problem = add_column_problem(
		context, stored == NULL ? SEVERITY_ERROR : SEVERITY_WARNING, relation,
		column->name,
		stored == NULL ? "has no default" : "has another default");
	problem->expected = "now()";
	problem->fix = psprintf("%s SET DEFAULT now()",
							alter_column(context, relation, column->name));
	if (stored != NULL)
		problem->actual = expression_text(rel, stored);
	if (att->attgenerated != '\0')
	{
		problem->severity = SEVERITY_ERROR;
		problem->problem = "is generated";
		problem->fix = NULL;
		problem->left = "the computed values would stay as they are";
	}
}

/*
 * An id takes its numbers from the sequence that bigserial makes for it.
 */
static void
check_serial_default(CheckContext *context, const RelationInfo *relation,
					 Relation rel, const ColumnInfo *column,
					 Form_pg_attribute att)
{
	char *name = psprintf("%s_%s_seq", relation->name, column->name);
	Oid sequence = get_relname_relid(name, context->namespace);
	Node *stored = stored_expression(rel, att->attnum);
	Difference *problem;

	if (att->attidentity != '\0' || att->attgenerated != '\0')
	{
		problem = add_column_problem(
			context,
			att->attidentity == ATTRIBUTE_IDENTITY_BY_DEFAULT ? SEVERITY_WARNING
															  : SEVERITY_ERROR,
			relation, column->name,
			att->attidentity != '\0' ? "is an identity" : "is generated");
		problem->expected = psprintf("nextval() of \"%s\"", name);
		problem->left = "its numbers would start anew; make the sequence and "
						"the default by hand";
		return;
	}
	if (OidIsValid(sequence) && sequence_of_default(stored) == sequence)
		return;
	if (!OidIsValid(sequence) && stored == NULL)
		return; /* the missing sequence brings its default along */

	problem = add_column_problem(context, SEVERITY_ERROR, relation,
								 column->name,
								 stored == NULL ? "has no default"
												: "has another default");
	problem->expected = psprintf("nextval('%s'::regclass)",
								 syncmaster_qualify(context, name));
	if (stored != NULL)
		problem->actual = expression_text(rel, stored);
	problem->fix =
		psprintf("%s SET DEFAULT pg_catalog.nextval(%s)",
				 alter_column(context, relation, column->name),
				 quote_literal_cstr(syncmaster_qualify(context, name)));
}

/*
 * Statements that compute the column anew.
 */
static char *
regenerate_column(const CheckContext *context, const RelationInfo *relation,
				  const ColumnInfo *column)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s",
					 syncmaster_qualify(context, relation->name),
					 quote_identifier(column->name),
					 syncmaster_column_definition(relation, column,
												  context->revision));
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		const ExpectedIndex *index = &syncmaster_indexes[i];

		if (strcmp(index->table, relation->name) == 0 &&
			strcmp(index->method, "gin (search_vector)") == 0)
			appendStringInfo(&sql, "; %s",
							 syncmaster_index_definition(index, index->name,
														 context->schema));
	}
	return sql.data;
}

static void
check_generated(CheckContext *context, const RelationInfo *relation,
				Relation rel, const ColumnInfo *column, Form_pg_attribute att)
{
	const char *text = syncmaster_generated_expression(relation->name,
													   context->revision);
	Node *stored = stored_expression(rel, att->attnum);
	Difference *problem;

	if (!inputs_are_right(relation, rel) || att->atttypid != column->type ||
		generated_is(relation, rel, att, context->revision))
		return;
	problem =
		add_column_problem(context, SEVERITY_ERROR, relation, column->name,
						   att->attgenerated == '\0' ? "is not generated"
						   : att->attgenerated != ATTRIBUTE_GENERATED_STORED
							   ? "is not stored"
							   : "has another expression");
	problem->expected = expression_text(
		rel, analyze_expression(rel, att, text, ATTRIBUTE_GENERATED_STORED));
	if (stored != NULL)
		problem->actual = expression_text(rel, stored);
	problem->fix = regenerate_column(context, relation, column);
	problem->left = "the table is rewritten, and indexes, views and grants on "
					"the column go with it";
}

static void
check_column(CheckContext *context, const RelationInfo *relation, Relation rel,
			 const ColumnInfo *column, Form_pg_attribute att)
{
	check_type(context, relation, column, att);
	check_null(context, relation, column, att);
	switch (column->filled_by)
	{
		case DEFAULT_NONE:
			check_plain(context, relation, rel, column, att);
			break;
		case DEFAULT_SERIAL:
			check_serial_default(context, relation, rel, column, att);
			break;
		case DEFAULT_NOW:
			check_now(context, relation, rel, column, att);
			break;
		case DEFAULT_GENERATED:
			check_generated(context, relation, rel, column, att);
			break;
	}
}

/*
 * Columns past the required ones are made only by a Celery that is told to
 * keep extended results.
 */
static void
report_missing_column(CheckContext *context, const RelationInfo *relation,
					  const ColumnInfo *column)
{
	bool required = column - relation->columns <
					syncmaster_columns_required(relation);
	Difference *problem = add_column_problem(
		context, required ? SEVERITY_ERROR : SEVERITY_INFO, relation,
		column->name,
		required ? "is missing"
				 : "is missing, as Celery without extended results leaves it");

	problem->expected = syncmaster_column_type(column);
	problem->fix = psprintf("ALTER TABLE %s ADD COLUMN %s",
							syncmaster_qualify(context, relation->name),
							syncmaster_column_definition(relation, column,
														 context->revision));
}

/*
 * An extra column keeps the services from inserting rows if it must be
 * filled and nothing fills it.
 */
static void
report_extra_column(CheckContext *context, const RelationInfo *relation,
					Form_pg_attribute att)
{
	bool in_the_way = att->attnotnull && !att->atthasdef &&
					  att->attidentity == '\0';
	Difference *problem;

	problem = add_column_problem(context,
								 in_the_way ? SEVERITY_WARNING : SEVERITY_INFO,
								 relation, NameStr(att->attname),
								 in_the_way ? "is extra, without default, and "
											  "does not allow NULL"
											: "is extra");
	problem->actual = format_type_with_typemod(att->atttypid, att->atttypmod);
	problem->fix = in_the_way
					   ? psprintf("%s DROP NOT NULL",
								  alter_column(context, relation,
											   NameStr(att->attname)))
					   : psprintf("ALTER TABLE %s DROP COLUMN %s",
								  syncmaster_qualify(context, relation->name),
								  quote_identifier(NameStr(att->attname)));
	problem->left = LEFT_FOREIGN;
}

static const ColumnInfo *
find_column(const RelationInfo *relation, const char *name)
{
	for (const ColumnInfo *column = relation->columns; column->name != NULL;
		 column++)
	{
		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

void
syncmaster_check_columns(CheckContext *context, const RelationInfo *relation,
						 Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	const ColumnInfo *last = NULL;
	bool in_order = true;

	for (const ColumnInfo *column = relation->columns; column->name != NULL;
		 column++)
	{
		AttrNumber attnum = get_attnum(relid, column->name);

		if (attnum > 0)
			check_column(context, relation, rel, column,
						 TupleDescAttr(desc, attnum - 1));
		else
			report_missing_column(context, relation, column);
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const ColumnInfo *column;

		if (att->attisdropped)
			continue;
		column = find_column(relation, NameStr(att->attname));
		if (column == NULL)
			report_extra_column(context, relation, att);
		else
		{
			in_order = in_order && (last == NULL || column > last);
			last = column;
		}
	}
	if (!in_order)
		(void) syncmaster_add_difference(context, SEVERITY_INFO, "table",
										 relation->name,
										 "has its columns in another order");
	check_unproved_not_null(context, relation, relid);
	table_close(rel, AccessShareLock);
}
