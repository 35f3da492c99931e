/*-------------------------------------------------------------------------
 *
 * vector_column.c
 *	  The search vector that a statement of a migration adds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/value.h"

#include "vectors/vectors.h"

#define SCHEMA "pg_catalog."
#define TYPE "tsvector"
#define STORED "STORED"

/*
 * Find the end of an expression in parentheses, which is from the extension's
 * own scripts: the closing parenthesis.  A quote doubled within a string ends
 * that string and begins another.
 */
static const char *
find_end(const char *expr)
{
	bool in_string = false;

	for (int depth = 1; *expr != '\0'; expr++)
	{
		if (*expr == '\'')
			in_string = !in_string;
		else if (!in_string && *expr == '(')
			depth++;
		else if (!in_string && *expr == ')' && --depth == 0)
			return expr;
	}
	elog(ERROR, "no end of expression: %s", expr);
}

/*
 * Take the column's clause out of the text of the statement: "type" is where
 * the type is named, "generated" where GENERATED ALWAYS AS (...) STORED
 * begins.
 */
static void
split_statement(const char *sql, const char *type, const char *generated,
				VectorColumn *column)
{
	const char *expr = strchr(generated, '(') + 1;
	const char *end = find_end(expr);

	column->expr = pnstrdup(expr, end - expr);
	end++;
	end += strspn(end, " \n\t");
	if (strncmp(type, SCHEMA, strlen(SCHEMA)) == 0)
		type += strlen(SCHEMA);
	if (strncmp(type, TYPE, strlen(TYPE)) != 0 ||
		strncmp(end, STORED, strlen(STORED)) != 0)
		elog(ERROR, "unexpected clause: %s", type);
	column->plain_sql = psprintf("%.*s%s", (int) (type - sql + strlen(TYPE)),
								 sql, end + strlen(STORED));
}

static bool
describe_column(const TableStatement *statement, const ColumnDef *definition,
				VectorColumn *column)
{
	const char		 *source = statement->sql - statement->location;
	const Constraint *generated = NULL;
	ListCell		 *lc;

	if (strcmp(strVal(llast(definition->typeName->names)), TYPE) != 0)
		return false;
	column->not_null = false;
	foreach (lc, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_GENERATED)
			generated = constraint;
		else if (constraint->contype == CONSTR_NOTNULL)
			column->not_null = true;
	}
	if (generated == NULL)
		return false;
	column->name = definition->colname;
	column->raw_expr = generated->raw_expr;
	split_statement(statement->sql, source + definition->typeName->location,
					source + generated->location, column);
	return true;
}

/*
 * Find the search vector that a statement adds to a table that is there;
 * false if it adds none, or several.
 */
bool
syncmaster_find_vector_column(const TableStatement *statement,
							  VectorColumn		   *column)
{
	int		  found = 0;
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
