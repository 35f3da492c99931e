/*-------------------------------------------------------------------------
 *
 * difference.c
 *	  Differences between a schema and what its revision should be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "schema/schema.h"

/* How many differences are named; others are only counted. */
#define MAX_DIFFERENCES_NAMED 5

/*
 * Add a difference; the caller may fill in its other fields.
 */
Finding *
syncmaster_add_difference(CheckContext *context, Severity severity,
						  const char *object_type, const char *object_name,
						  const char *message)
{
	Assert(object_type != NULL);
	return syncmaster_add_finding(&context->findings, severity, object_type,
								  object_name, message, NULL);
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
 * A column, constraint, trigger or the like, written as in column
 * "object_name".
 */
char *
syncmaster_column_name(const char *table, const char *column)
{
	return psprintf("%s.%s", table, column);
}

/*
 * Statements that create a relation which belongs to the tables' owner,
 * whoever runs them.
 */
char *
syncmaster_make_relation(const CheckContext *context,
						 const RelationInfo *relation)
{
	return psprintf("%s; ALTER %s %s OWNER TO %s",
					syncmaster_table_definition(relation, context->schema,
												context->revision),
					relation->kind == RELKIND_SEQUENCE ? "SEQUENCE" : "TABLE",
					syncmaster_qualify(context, relation->name),
					syncmaster_quoted_role(context->owner));
}

/*
 * A statement that renames the relation that has a name, with the separator
 * before the next statement; empty if none has it.
 */
char *
syncmaster_free_name(const CheckContext *context, const char *name)
{
	Oid relid = get_relname_relid(name, context->namespace);

	if (!OidIsValid(relid))
		return pstrdup("");
	return psprintf(
		"ALTER %s %s RENAME TO %s; ",
		get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE ? "TYPE" : "TABLE",
		syncmaster_qualify(context, name),
		quote_identifier(ChooseRelationName(name, NULL, "other",
											context->namespace, false)));
}

/*
 * Return whether a difference shows that the tables are at another revision,
 * or cannot be used at this one.  Revision 0013 only adds two indexes.
 */
bool
syncmaster_contradicts(const Finding *finding)
{
	if (finding->of_rows)
		return false;
	return finding->severity == SEVERITY_ERROR ||
		   (finding->severity == SEVERITY_WARNING &&
			strcmp(finding->kind, "index") == 0 &&
			strcmp(finding->message, "is missing") == 0);
}

/*
 * Name differences in the detail of an error or a warning.
 */
char *
syncmaster_name_differences(List *findings)
{
	StringInfoData names;
	ListCell	  *lc;
	int			   found = 0;

	initStringInfo(&names);
	foreach (lc, findings)
	{
		const Finding *finding = lfirst(lc);

		if (found++ < MAX_DIFFERENCES_NAMED)
			appendStringInfo(&names, "%s%s \"%s\" %s",
							 names.len > 0 ? ", " : "", finding->kind,
							 finding->subject, finding->message);
	}
	if (found > MAX_DIFFERENCES_NAMED)
		appendStringInfo(&names, " and %d more", found - MAX_DIFFERENCES_NAMED);
	return names.data;
}

/*
 * Give a finding the SQL that repairs it and rewrites the table, unless
 * PostgreSQL would refuse that.
 */
void
syncmaster_fix_by_rewrite(Finding *finding, Oid relid, const char *fix)
{
	List *holders = syncmaster_query_oid(SYNCMASTER_ROW_HOLDERS
										 " ORDER BY 1 LIMIT 1",
										 relid);

	finding->fix = fix;
	if (holders == NIL)
		return;
	finding->left = psprintf("the table cannot be rewritten while %s holds its "
							 "rows",
							 ((char **) linitial(holders))[0]);
	finding->message = psprintf("%s: %s", finding->message, finding->left);
	finding->fix = NULL;
}

/*
 * Leave out the SQL that is withheld, and say why.
 */
void
syncmaster_withhold_fixes(CheckContext *context)
{
	ListCell *lc;

	foreach (lc, context->findings)
	{
		Finding	   *finding = lfirst(lc);
		const char *why = syncmaster_withheld(finding->fix);

		if (why == NULL)
			continue;
		finding->message = psprintf("%s; %s", finding->message, why);
		finding->fix = NULL;
	}
}
