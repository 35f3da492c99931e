/*-------------------------------------------------------------------------
 *
 * place.c
 *	  Tables of SyncMaster in other schemas than the extension's.
 *
 * Services and Alembic find their tables by search_path; the extension knows
 * its schema, and can be in a database once.  A second set of tables is hardly
 * ever meant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "schema/schema.h"

/*
 * Schemas with SyncMaster's first table and Alembic's beside it.  Other
 * applications have either of them, but no table "user" with these columns.
 */
#define PLACES_QUERY \
	"SELECT n.nspname, pg_get_userbyid(u.relowner) " \
	"FROM pg_class u JOIN pg_namespace n ON n.oid = u.relnamespace " \
	"JOIN pg_class v ON v.relnamespace = n.oid " \
	"    AND v.relname = 'alembic_version' AND v.relkind IN ('r', 'p') " \
	"WHERE u.relname = 'user' AND u.relkind IN ('r', 'p') " \
	"AND n.oid <> $1 AND n.nspname NOT LIKE 'pg\\_temp\\_%' " \
	"AND 5 = (SELECT count(*) FROM pg_attribute a " \
	"    WHERE a.attrelid = u.oid AND NOT a.attisdropped " \
	"    AND a.attname IN ('username', 'is_superuser', 'is_active', " \
	"        'created_at', 'updated_at')) ORDER BY 1"

/*
 * The other schemas that have tables of SyncMaster, and their owners; NULL if
 * there is none.
 */
char *
syncmaster_describe_places(Oid namespace)
{
	List		  *rows = syncmaster_query_oid(PLACES_QUERY, namespace);
	StringInfoData text;
	ListCell	  *lc;

	if (rows == NIL)
		return NULL;
	initStringInfo(&text);
	foreach (lc, rows)
	{
		char **row = lfirst(lc);

		appendStringInfo(&text, "%sschema \"%s\" of role \"%s\"",
						 text.len > 0 ? ", " : "", row[0], row[1]);
	}
	return text.data;
}

/*
 * Report that tables are about to be created in the extension's schema
 * although other schemas have some.  "meant": the extension or the tables were
 * there before.  A command that names the schema is meant, too.
 */
void
syncmaster_place_problems(List **problems, const MigrationContext *context,
						  bool meant)
{
	char	   *places = syncmaster_describe_places(context->namespace);
	const char *schema = quote_identifier(context->schema);
	const char *other;
	Finding	   *finding;

	if (places == NULL || syncmaster_first_relation(context->namespace) != NULL)
		return;
	other = quote_identifier(((char **) linitial(
		syncmaster_query_oid(PLACES_QUERY, context->namespace)))[0]);
	finding = syncmaster_add_error(
		problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "schema",
		finding_message("SyncMaster's tables are in %s; a second set would be "
						"made in schema \"%s\"",
						places, context->schema),
		psprintf("To use those, CREATE EXTENSION syncmaster SCHEMA %s. If a "
				 "second set is meant, CREATE EXTENSION syncmaster SCHEMA %s, "
				 "as a statement of its own. A database can have the extension "
				 "once; DROP EXTENSION syncmaster leaves all tables.",
				 other, schema));
	if (meant ||
		OidIsValid(get_relname_relid(VERSION_TABLE, context->namespace)) ||
		syncmaster_command_names_schema())
		finding->severity = SEVERITY_WARNING;
}

/*
 * Return whether the tables of the schema are empty.  If a session has one of
 * them locked, they are taken to be in use, because reading them would wait.
 */
static bool
is_unused(Oid namespace)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		Oid		 relid = syncmaster_relation_oid(&syncmaster_relations[i],
												 namespace);
		Relation rel;
		bool	 unused;

		if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_SEQUENCE)
			continue;
		if (get_rel_relkind(relid) != RELKIND_RELATION ||
			syncmaster_is_distributed(relid))
			return false;
		rel = syncmaster_open_relation(relid, AccessShareLock);
		unused = RelationGetNumberOfBlocks(rel) == 0;
		relation_close(rel, AccessShareLock);
		if (!unused)
			return false;
	}
	return true;
}

/*
 * Append the commands that drop the schema's tables and sequences.  A
 * downgrade to base instead would drop pg_trgm as well, which another set of
 * tables may use.
 */
static void
append_drops(StringInfo sql, Oid namespace, char relkind)
{
	const char *schema = get_namespace_name(namespace);
	bool		any = false;

	for (int i = -1; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = i < 0 ? &syncmaster_version_relation
											 : &syncmaster_relations[i];

		if (relation->kind != relkind ||
			!OidIsValid(syncmaster_relation_oid(relation, namespace)))
			continue;
		appendStringInfo(sql, "%s%s",
						 any						   ? ", "
						 : relkind == RELKIND_SEQUENCE ? "DROP SEQUENCE "
													   : "DROP TABLE ",
						 quote_qualified_identifier(schema, relation->name));
		any = true;
	}
	if (any)
		appendStringInfoString(sql, "; ");
}

/*
 * The other schemas with tables of SyncMaster, as a list of findings.  The SQL
 * makes the extension use the other tables, and drops those in its present
 * schema only if they were never used.
 */
List *
syncmaster_other_places(Oid namespace)
{
	bool	  unused = false;
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(PLACES_QUERY, namespace))
	{
		char		 **row = lfirst(lc);
		Finding		  *finding;
		StringInfoData sql;

		if (result == NIL)
			unused = is_unused(namespace);
		finding = syncmaster_add_finding(
			&result, unused ? SEVERITY_WARNING : SEVERITY_INFO, "schema",
			row[0],
			"has tables of SyncMaster, which the extension does not reach",
			NULL);
		finding->expected = get_namespace_name(namespace);
		finding->actual = row[0];
		initStringInfo(&sql);
		appendStringInfoString(&sql, "DROP EXTENSION syncmaster; ");
		if (unused)
		{
			append_drops(&sql, namespace, RELKIND_RELATION);
			append_drops(&sql, namespace, RELKIND_SEQUENCE);
		}
		appendStringInfo(&sql, "CREATE EXTENSION syncmaster SCHEMA %s",
						 quote_identifier(row[0]));
		finding->fix = sql.data;
		finding->left = "which tables are meant is for you to say";
	}
	return result;
}
