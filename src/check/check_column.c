/*-------------------------------------------------------------------------
 *
 * check_column.c
 *	  The columns of a table against what its revision should have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "check/check.h"
#include "schema/schema.h"

/*
 * Sequence that nextval() in a default takes its numbers from.
 */
static Oid
sequence_of_default(Node *expression)
{
	Node *argument;

	if (!syncmaster_is_call_of(expression, "nextval"))
		return InvalidOid;
	argument = linitial(((FuncExpr *) expression)->args);
	if (!IsA(argument, Const) || ((Const *) argument)->constisnull)
		return InvalidOid;
	return DatumGetObjectId(((Const *) argument)->constvalue);
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

static Finding *
add_column_finding(CheckContext *context, Severity severity,
				   const RelationInfo *relation, const char *column,
				   const char *message)
{
	return syncmaster_add_difference(context, severity, "column",
									 syncmaster_column_name(relation->name,
															column),
									 message);
}

/*
 * Return whether the column's type holds every value of the expected type.
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

/* What keeps PostgreSQL from changing the type of a column. */
#define USERS_QUERY \
	"SELECT coalesce('column \"' || g.attname || '\"', " \
	"    pg_describe_object(d.classid, d.objid, d.objsubid)) " \
	"FROM pg_depend d LEFT JOIN pg_attribute g ON g.attrelid = $1 " \
	"    AND g.attnum <> $2 AND g.attgenerated <> '' " \
	"    AND (d.classid = 'pg_class'::regclass AND d.objid = $1 " \
	"         AND d.objsubid = g.attnum " \
	"        OR d.classid = 'pg_attrdef'::regclass AND d.objid = " \
	"            (SELECT oid FROM pg_attrdef " \
	"             WHERE adrelid = $1 AND adnum = g.attnum)) " \
	"WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 " \
	"AND d.refobjsubid = $2 AND (g.attnum IS NOT NULL " \
	"    OR d.classid::regclass::text IN ('pg_rewrite', 'pg_policy', " \
	"        'pg_trigger', 'pg_proc', 'pg_publication_rel')) " \
	"UNION ALL SELECT 'the partition key' FROM pg_partitioned_table p " \
	"WHERE p.partrelid = $1 AND $2 = ANY (p.partattrs) " \
	"ORDER BY 1 LIMIT 1"

/*
 * What uses the column, so that its type cannot change; NULL if nothing does.
 */
static const char *
user_of_column(Oid relid, AttrNumber attnum)
{
	Oid	  types[2] = {OIDOID, INT4OID};
	Datum values[2] = {ObjectIdGetDatum(relid), Int32GetDatum(attnum)};
	List *rows = syncmaster_query(USERS_QUERY, 2, types, values);

	return rows == NIL ? NULL : ((char **) linitial(rows))[0];
}

/*
 * Statement that changes the type of a column, with its default, which
 * PostgreSQL converts by itself only where an assignment would be.
 */
static char *
change_type(const CheckContext *context, const RelationInfo *relation,
			Relation rel, const ColumnInfo *column, Form_pg_attribute att,
			bool explicit)
{
	const char *name = quote_identifier(column->name);
	const char *start = alter_column(context, relation, column->name);
	char	   *type = syncmaster_qualified_type(column);
	Node	   *stored = syncmaster_stored_expression(rel, att->attnum);
	char	   *change = psprintf("TYPE %s%s", type,
							  explicit ? psprintf(" USING %s::%s", name, type)
										   : "");
	Oid			function;

	if (stored == NULL || att->attgenerated != '\0')
		return psprintf("%s %s", start, change);
	stored = strip_implicit_coercions(stored);
	if (find_coercion_pathway(column->type, getBaseType(exprType(stored)),
							  COERCION_ASSIGNMENT,
							  &function) != COERCION_PATH_NONE)
		return psprintf("%s %s", start, change);
	return psprintf("%s DROP DEFAULT, ALTER COLUMN %s %s%s", start, name,
					change,
					column->filled_by == DEFAULT_NOW
						? psprintf(", ALTER COLUMN %s SET DEFAULT "
								   "pg_catalog.now()",
								   name)
						: "");
}

/*
 * Give a finding about a column the SQL that changes its type, unless
 * PostgreSQL would refuse that.
 */
static void
fix_type(Finding *finding, Relation rel, Form_pg_attribute att, const char *fix)
{
	const char *user = user_of_column(RelationGetRelid(rel), att->attnum);

	if (att->attinhcount > 0)
		finding->left = "its type cannot change while the table inherits the "
						"column";
	else if (user != NULL)
		finding->left = psprintf("its type cannot change while %s uses it",
								 user);
	else
	{
		syncmaster_fix_by_rewrite(finding, RelationGetRelid(rel), fix);
		return;
	}
	finding->message = psprintf("%s: %s", finding->message, finding->left);
}

/*
 * Check type, length and collation.  Other lengths matter if values of the
 * application do not fit.
 */
static void
check_type(CheckContext *context, const RelationInfo *relation, Relation rel,
		   const ColumnInfo *column, Form_pg_attribute att)
{
	char *expected = syncmaster_column_type(column);
	int32 typmod = column->length > 0 ? column->length + (int32) VARHDRSZ : -1;
	Finding *finding;
	Oid		 function;

	if (att->atttypid != column->type || att->atttypmod != typmod)
	{
		bool widening = is_widening(column, att);
		bool longer = !widening && att->atttypid == column->type &&
					  column->type == VARCHAROID;

		finding = add_column_finding(
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
			finding->message = "is of a narrower type";
		finding->expected = expected;
		finding->actual = format_type_with_typemod(att->atttypid,
												   att->atttypmod);
		if (!widening)
			finding->left = longer ? "a value may be longer by now" : LEFT_TYPE;
		if (find_coercion_pathway(column->type, getBaseType(att->atttypid),
								  COERCION_EXPLICIT,
								  &function) != COERCION_PATH_NONE)
			fix_type(finding, rel, att,
					 change_type(context, relation, rel, column, att,
								 !widening && !longer));
		else
		{
			finding->left = "PostgreSQL has no conversion from its type";
			finding->message = psprintf("%s: %s", finding->message,
										finding->left);
		}
	}
	else if (att->attcollation != get_typcollation(att->atttypid))
	{
		char *name = get_collation_name(att->attcollation);

		finding = add_column_finding(context, SEVERITY_WARNING, relation,
									 column->name, "has a collation");
		finding->expected = "default";
		finding->actual = name != NULL ? name : "none";
		finding->left = "values that are equal in one collation and not in "
						"the other may break unique keys";
		fix_type(finding, rel, att,
				 psprintf("%s TYPE %s COLLATE pg_catalog.\"default\"",
						  alter_column(context, relation, column->name),
						  syncmaster_qualified_type(column)));
	}
}

static void
check_null(CheckContext *context, const RelationInfo *relation,
		   const ColumnInfo *column, Form_pg_attribute att)
{
	Finding *finding;

	if (column->not_null == att->attnotnull)
		return;
	finding = add_column_finding(
		context, column->not_null ? SEVERITY_ERROR : SEVERITY_WARNING, relation,
		column->name, column->not_null ? "allows NULL" : "does not allow NULL");
	finding->expected = column->not_null ? "NOT NULL" : "NULL";
	finding->actual = column->not_null ? "NULL" : "NOT NULL";
	finding->fix = psprintf("%s %s NOT NULL",
							alter_column(context, relation, column->name),
							column->not_null ? "SET" : "DROP");
	if (!column->not_null)
		finding->left = LEFT_FOREIGN;
}

/*
 * Check NOT NULL, which from 18 on may be NOT VALID: not proved for existing
 * rows.
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
		char   **row = lfirst(lc);
		Finding *finding = add_column_finding(context, SEVERITY_WARNING,
											  relation, row[1],
											  "has NOT NULL that is not valid");

		finding->expected = "NOT NULL";
		finding->actual = "NOT NULL NOT VALID";
		finding->fix = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
								syncmaster_qualify(context, relation->name),
								quote_identifier(row[0]));
	}
}

/*
 * Check that a column without an expected default is not an identity, a
 * generated column or one with a default, because the application writes it.
 */
static void
check_plain(CheckContext *context, const RelationInfo *relation, Relation rel,
			const ColumnInfo *column, Form_pg_attribute att)
{
	Node	*stored = syncmaster_stored_expression(rel, att->attnum);
	Finding *finding;

	if (att->attgenerated != '\0')
	{
		finding = add_column_finding(context, SEVERITY_ERROR, relation,
									 column->name, "is generated");
		if (att->attgenerated == ATTRIBUTE_GENERATED_STORED)
			finding->fix = psprintf("%s DROP EXPRESSION",
									alter_column(context, relation,
												 column->name));
		finding->left = "the computed values would stay as they are";
	}
	else if (att->attidentity != '\0')
	{
		finding = add_column_finding(context,
									 att->attidentity ==
											 ATTRIBUTE_IDENTITY_ALWAYS
										 ? SEVERITY_ERROR
										 : SEVERITY_INFO,
									 relation, column->name, "is an identity");
		finding->fix = psprintf("%s DROP IDENTITY",
								alter_column(context, relation, column->name));
		finding->left = LEFT_FOREIGN;
	}
	else if (stored != NULL)
	{
		finding = add_column_finding(context, SEVERITY_INFO, relation,
									 column->name, "has a default");
		finding->fix = psprintf("%s DROP DEFAULT",
								alter_column(context, relation, column->name));
		finding->left = LEFT_FOREIGN;
	}
	else
		return;
	if (stored != NULL)
		finding->actual = syncmaster_expression_text(rel, stored);
}

static void
check_now(CheckContext *context, const RelationInfo *relation, Relation rel,
		  const ColumnInfo *column, Form_pg_attribute att)
{
	Node	*stored = syncmaster_stored_expression(rel, att->attnum);
	Finding *finding;

	/*
	 * the change of the type, which is reported already, converts the value as
	 * well
	 */
	if (att->attgenerated == '\0' &&
		syncmaster_is_call_of(att->atttypid == column->type &&
									  att->atttypmod < 0
								  ? stored
								  : strip_implicit_coercions(stored),
							  "now"))
		return;
	finding = add_column_finding(
		context, stored == NULL ? SEVERITY_ERROR : SEVERITY_WARNING, relation,
		column->name,
		stored == NULL ? "has no default" : "has another default");
	finding->expected = "now()";
	finding->fix = psprintf("%s SET DEFAULT pg_catalog.now()",
							alter_column(context, relation, column->name));
	if (stored != NULL)
		finding->actual = syncmaster_expression_text(rel, stored);
	if (att->attgenerated != '\0')
	{
		finding->severity = SEVERITY_ERROR;
		finding->message = "is generated";
		finding->fix = NULL;
		finding->left = "the computed values would stay as they are";
	}
}

static char *
set_serial_default(const CheckContext *context, const RelationInfo *relation,
				   const ColumnInfo *column, const char *sequence)
{
	return psprintf("%s SET DEFAULT pg_catalog.nextval(%s)",
					alter_column(context, relation, column->name),
					quote_literal_cstr(syncmaster_qualify(context, sequence)));
}

/*
 * Statements that make the sequence of a serial column the default of an id.
 * The column may have the sequence of an identity besides.
 */
static char *
make_default(const CheckContext *context, const RelationInfo *relation,
			 const ColumnInfo *column, const char *name, Relation rel,
			 Form_pg_attribute att)
{
	Oid	  types[3] = {OIDOID, OIDOID, INT4OID};
	Datum values[3];

	values[0] = ObjectIdGetDatum(get_relname_relid(name, context->namespace));
	values[1] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[2] = Int32GetDatum(att->attnum);
	if (syncmaster_query("SELECT FROM pg_class c WHERE c.oid = $1 "
						 "AND c.relkind = 'S' AND NOT EXISTS "
						 "    (SELECT FROM pg_depend d "
						 "     WHERE d.classid = 'pg_class'::regclass "
						 "     AND d.objid = c.oid AND d.deptype = 'i' "
						 "     AND d.refobjid = $2 AND d.refobjsubid = $3)",
						 3, types, values) == NIL)
		return syncmaster_make_serial(context, relation, column, name);
	return psprintf("%s; %s",
					syncmaster_set_value(context, name, relation->name,
										 column->name),
					set_serial_default(context, relation, column, name));
}

/*
 * Check that an id takes its numbers from the sequence that bigserial creates.
 */
static void
check_serial_default(CheckContext *context, const RelationInfo *relation,
					 Relation rel, const ColumnInfo *column,
					 Form_pg_attribute att)
{
	char	*name = psprintf("%s_%s_seq", relation->name, column->name);
	Oid		 sequence = get_relname_relid(name, context->namespace);
	Node	*stored = syncmaster_stored_expression(rel, att->attnum);
	Finding *finding;

	if (att->attidentity != '\0' || att->attgenerated != '\0')
	{
		finding = add_column_finding(
			context,
			att->attidentity == ATTRIBUTE_IDENTITY_BY_DEFAULT ? SEVERITY_WARNING
															  : SEVERITY_ERROR,
			relation, column->name,
			att->attidentity != '\0' ? "is an identity" : "is generated");
		finding->expected = psprintf("nextval() of \"%s\"", name);
		if (att->attidentity != '\0')
			finding->fix = psprintf(
				"%s DROP IDENTITY; %s",
				alter_column(context, relation, column->name),
				make_default(context, relation, column, name, rel, att));
		finding->left = "numbers of rows that are gone would be given again";
		return;
	}
	if (OidIsValid(sequence) && sequence_of_default(stored) == sequence)
		return;
	if (!OidIsValid(sequence) || get_rel_relkind(sequence) != RELKIND_SEQUENCE)
		return; /* the fix for the missing sequence sets the default, too */

	finding = add_column_finding(context, SEVERITY_ERROR, relation,
								 column->name,
								 stored == NULL ? "has no default"
												: "has another default");
	finding->expected = psprintf("nextval('%s'::regclass)",
								 syncmaster_qualify(context, name));
	if (stored != NULL)
		finding->actual = syncmaster_expression_text(rel, stored);
	finding->fix = set_serial_default(context, relation, column, name);
}

static void
check_column(CheckContext *context, const RelationInfo *relation, Relation rel,
			 const ColumnInfo *column, Form_pg_attribute att)
{
	if (column->filled_by == DEFAULT_GENERATED &&
		!syncmaster_check_generated(context, relation, rel, column, att))
		return;
	check_type(context, relation, rel, column, att);
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
			break;
	}
}

/*
 * Report a missing column.  Celery makes columns past the required ones only
 * if it is told to keep extended results.
 */
static void
report_missing_column(CheckContext *context, const RelationInfo *relation,
					  Oid relid, const ColumnInfo *column, bool required,
					  const FormData_pg_attribute *other)
{
	Finding *finding = add_column_finding(
		context, required ? SEVERITY_ERROR : SEVERITY_INFO, relation,
		column->name,
		required ? "is missing"
				 : "is missing, as Celery without extended results leaves it");

	finding->expected = syncmaster_column_type(column);
	if (other == NULL)
	{
		char *fix = psprintf("ALTER TABLE %s ADD COLUMN %s",
							 syncmaster_qualify(context, relation->name),
							 syncmaster_column_definition(relation, column,
														  context->revision));

		if (column->filled_by == DEFAULT_NONE)
			finding->fix = fix;
		else
			syncmaster_fix_by_rewrite(finding, relid, fix);
		return;
	}
	finding->message = "is missing, but seems to have another name";
	finding->actual = pstrdup(NameStr(other->attname));
	finding->fix = psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s",
							syncmaster_qualify(context, relation->name),
							quote_identifier(NameStr(other->attname)),
							quote_identifier(column->name));
	finding->left = "whether it is the same column is for you to say";
}

/*
 * Report a column that is not SyncMaster's.  If it must not be null and has no
 * default, the services cannot insert rows.
 */
static void
report_extra_column(CheckContext *context, const RelationInfo *relation,
					Form_pg_attribute att)
{
	bool in_the_way = att->attnotnull && !att->atthasdef &&
					  att->attidentity == '\0';
	Finding *finding;

	finding = add_column_finding(context,
								 in_the_way ? SEVERITY_WARNING : SEVERITY_INFO,
								 relation, NameStr(att->attname),
								 in_the_way ? "is extra, without default, and "
											  "does not allow NULL"
											: "is extra");
	finding->actual = format_type_with_typemod(att->atttypid, att->atttypmod);
	finding->fix = in_the_way
					   ? psprintf("%s DROP NOT NULL",
								  alter_column(context, relation,
											   NameStr(att->attname)))
					   : psprintf("ALTER TABLE %s DROP COLUMN %s",
								  syncmaster_qualify(context, relation->name),
								  quote_identifier(NameStr(att->attname)));
	finding->left = LEFT_FOREIGN;
}

static const ColumnInfo *
find_column(const ColumnInfo *columns, const char *name)
{
	for (const ColumnInfo *column = columns; column->name != NULL; column++)
	{
		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

/*
 * Return whether a column may be an expected one that was renamed.
 */
static bool
may_be_renamed(const ColumnInfo *column, const FormData_pg_attribute *att)
{
	return att->atttypid == column->type &&
		   att->atttypmod ==
			   (column->length > 0 ? column->length + (int32) VARHDRSZ : -1) &&
		   att->attnotnull == column->not_null;
}

/*
 * If exactly one column is missing, and exactly one that is like it is extra,
 * it was renamed.  Returns that one, else NULL.
 */
static Form_pg_attribute
find_renamed(const ColumnInfo *columns, TupleDesc desc)
{
	const ColumnInfo *missing = NULL;
	Form_pg_attribute extra = NULL;
	int				  nmissing = 0;
	int				  nextra = 0;

	for (const ColumnInfo *column = columns; column->name != NULL; column++)
	{
		bool found = false;

		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			found |= !att->attisdropped &&
					 strcmp(NameStr(att->attname), column->name) == 0;
		}
		if (!found)
		{
			missing = column;
			nmissing++;
		}
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped &&
			find_column(columns, NameStr(att->attname)) == NULL)
		{
			extra = att;
			nextra++;
		}
	}
	return nmissing == 1 && nextra == 1 && may_be_renamed(missing, extra)
			   ? extra
			   : NULL;
}

void
syncmaster_check_columns(CheckContext *context, const RelationInfo *relation,
						 Oid relid)
{
	Relation		  rel = syncmaster_open_relation(relid, AccessShareLock);
	TupleDesc		  desc = RelationGetDescr(rel);
	const ColumnInfo *columns = syncmaster_columns_at(relation,
													  context->revision);
	Form_pg_attribute renamed = find_renamed(columns, desc);
	const ColumnInfo *last = NULL;
	bool			  in_order = true;

	for (const ColumnInfo *column = columns; column->name != NULL; column++)
	{
		AttrNumber attnum = get_attnum(relid, column->name);

		if (attnum > 0)
			check_column(context, relation, rel, column,
						 TupleDescAttr(desc, attnum - 1));
		else
			report_missing_column(
				context, relation, relid, column,
				syncmaster_is_required(relation, (int) (column - columns)),
				renamed);
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const ColumnInfo *column;

		if (att->attisdropped)
			continue;
		column = find_column(columns, NameStr(att->attname));
		if (column == NULL && att != renamed)
			report_extra_column(context, relation, att);
		else if (column != NULL)
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
