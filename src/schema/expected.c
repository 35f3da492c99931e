/*-------------------------------------------------------------------------
 *
 * expected.c
 *	  Definitions of what belongs to the application's tables at a revision.
 *
 * The same facts are in the migration scripts as statements.  A test compares
 * the two: a database that the scripts made has no problem, at no revision.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "schema/schema.h"

/*
 * Expression of a table's search_vector at a revision, NULL if the table has
 * no such column.
 */
const char *
syncmaster_generated_expression(const char *table, int revision)
{
	const char *expression = NULL;

	for (int i = 0; i < syncmaster_nsearch_vectors; i++)
	{
		const SearchVector *vector = &syncmaster_search_vectors[i];

		if (strcmp(vector->table, table) == 0 &&
			(vector->revision <= revision || expression == NULL))
			expression = vector->expression;
	}
	return expression;
}

/*
 * Return whether the table's search_vector reads the column, at any revision.
 */
bool
syncmaster_generated_input(const char *table, const char *column)
{
	for (int i = 0; i < syncmaster_nsearch_vectors; i++)
	{
		const SearchVector *vector = &syncmaster_search_vectors[i];

		for (int j = 0; j < MAX_VECTOR_INPUTS; j++)
		{
			if (strcmp(vector->table, table) == 0 &&
				vector->inputs[j] != NULL &&
				strcmp(vector->inputs[j], column) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Definitions as PostgreSQL writes them when only pg_catalog is searched.
 */
char *
syncmaster_constraint_definition(const ExpectedConstraint *con,
								 const char				  *schema)
{
	switch (con->type)
	{
		case CONSTRAINT_PRIMARY:
			return psprintf("PRIMARY KEY (%s)", con->columns);
		case CONSTRAINT_UNIQUE:
			return psprintf("UNIQUE (%s)", con->columns);
		default:
			return psprintf("FOREIGN KEY (%s) REFERENCES %s(id) "
							"ON DELETE CASCADE",
							con->columns,
							quote_qualified_identifier(schema, con->parent));
	}
}

char *
syncmaster_index_definition(const ExpectedIndex *index, const char *name,
							const char *schema)
{
	return psprintf("CREATE %sINDEX %s ON %s USING %s",
					index->unique ? "UNIQUE " : "", quote_identifier(name),
					quote_qualified_identifier(schema, index->table),
					index->method);
}

char *
syncmaster_column_type(const ColumnInfo *column)
{
	return format_type_with_typemod(
		column->type, column->length > 0 ? column->length + VARHDRSZ : -1);
}

/*
 * The type as a statement names it, whatever the search_path of whoever runs
 * the statement.
 */
char *
syncmaster_qualified_type(const ColumnInfo *column)
{
	return format_type_extended(
		column->type, column->length > 0 ? column->length + VARHDRSZ : -1,
		FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/*
 * An expression of a column, with the schema of whatever it calls: functions
 * and operators of another schema may fit its arguments better, and be called
 * where whoever runs the statement searches that schema.  A backslash is
 * written so that it is one whatever standard_conforming_strings is there.
 */
static char *
qualify_calls(const char *expression)
{
	static const char *const calls[][2] = {
		{"to_tsvector(", "pg_catalog.to_tsvector("},
		{"translate(", "pg_catalog.translate("},
		{"json_extract_path_text(", "pg_catalog.json_extract_path_text("},
		{"::regconfig", "::pg_catalog.regconfig"},
		{"'./-_:\\'", "E'./-_:\\\\'"},
		{" || ", " OPERATOR(pg_catalog.||) "},
		{" ->> ", " OPERATOR(pg_catalog.->>) "}};
	Datum result = CStringGetTextDatum(expression);

	for (int i = 0; i < (int) lengthof(calls); i++)
		result = DirectFunctionCall3Coll(replace_text, C_COLLATION_OID, result,
										 CStringGetTextDatum(calls[i][0]),
										 CStringGetTextDatum(calls[i][1]));
	return TextDatumGetCString(result);
}

/*
 * The definition of a column, as CREATE TABLE and ADD COLUMN take it.
 */
char *
syncmaster_column_definition(const RelationInfo *relation,
							 const ColumnInfo *column, int revision)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s %s", quote_identifier(column->name),
					 column->filled_by == DEFAULT_SERIAL
						 ? "bigserial"
						 : syncmaster_qualified_type(column));
	if (column->not_null)
		appendStringInfoString(&sql, " NOT NULL");
	if (column->filled_by == DEFAULT_NOW)
		appendStringInfoString(&sql, " DEFAULT pg_catalog.now()");
	if (column->filled_by == DEFAULT_GENERATED)
		appendStringInfo(&sql, " GENERATED ALWAYS AS (%s) STORED",
						 qualify_calls(syncmaster_generated_expression(
							 relation->name, revision)));
	return sql.data;
}

/*
 * Statements that make the table or sequence with all that belongs to it.
 */
char *
syncmaster_table_definition(const RelationInfo *relation, const char *schema,
							int revision)
{
	char			 *name = quote_qualified_identifier(schema, relation->name);
	const ColumnInfo *columns;
	StringInfoData	  sql;

	if (relation->columns == NULL)
		return psprintf("CREATE SEQUENCE %s", name);

	columns = syncmaster_columns_at(relation, revision);
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (const ColumnInfo *column = columns; column->name != NULL; column++)
		appendStringInfo(&sql, "%s%s", column == columns ? "" : ", ",
						 syncmaster_column_definition(relation, column,
													  revision));
	for (int i = 0; i < syncmaster_nconstraints; i++)
	{
		const ExpectedConstraint *con = &syncmaster_constraints[i];

		if (strcmp(con->table, relation->name) == 0 &&
			con->revision <= revision)
			appendStringInfo(&sql, ", CONSTRAINT %s %s",
							 quote_identifier(con->name),
							 syncmaster_constraint_definition(con, schema));
	}
	appendStringInfoChar(&sql, ')');
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		const ExpectedIndex *index = &syncmaster_indexes[i];

		if (strcmp(index->table, relation->name) == 0 &&
			index->revision <= revision)
			appendStringInfo(&sql, "; %s",
							 syncmaster_index_definition(index, index->name,
														 schema));
	}
	return sql.data;
}
