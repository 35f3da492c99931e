/*-------------------------------------------------------------------------
 *
 * difference.c
 *	  Differences between a schema and what its revision should be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "difference.h"

/*
 * Add one; the caller fills in what more there is to say.
 */
Difference *
syncmaster_add_difference(CheckContext *context, Severity severity,
					   const char *object_type, const char *object_name,
					   const char *problem)
{
	Difference *result = palloc0(sizeof(Difference));

	result->severity = severity;
	result->object_type = object_type;
	result->object_name = pstrdup(object_name);
	result->problem = problem;
	context->problems = lappend(context->problems, result);

	return result;
}

/*
 * An object of the application's schema, as SQL names it.
 */
char *
syncmaster_qualify(const CheckContext *context, const char *name)
{
	return quote_qualified_identifier(context->schema, name);
}

/*
 * A column, constraint, trigger or the like, as object_name gives it.
 */
char *
syncmaster_column_name(const char *table, const char *column)
{
	return psprintf("%s.%s", table, column);
}
