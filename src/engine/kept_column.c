/*-------------------------------------------------------------------------
 *
 * kept_column.c
 *	  What a column keeps that a statement drops and adds again.
 *
 * A migration makes a generated column anew because its expression cannot be
 * changed.  For the DBA it remains the same column: its comment, the privileges
 * on it, and how it is stored and analyzed are given to the new one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "engine/engine.h"

/*
 * A row for each property of column $2 of table $1 that a new column would not
 * have: its name, and the part of ALTER TABLE that sets it, or a statement and
 * the role that runs it.  Privileges are granted again by the role that
 * granted them, if it still may use the schema, and after those that this role
 * was given itself.  14 adds attcompression.  attoptions also holds an option
 * of the server itself: in some minor versions, the version of the row type.
 */
#define PROPERTIES_QUERY \
	"WITH c AS (SELECT a.*, t.typstorage, r.relowner, n.oid AS schema, " \
	"       format('%I.%I', n.nspname, r.relname) AS relation, " \
	"       to_jsonb(a) ->> 'attcompression' AS compression " \
	"    FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid " \
	"    JOIN pg_namespace n ON n.oid = r.relnamespace " \
	"    JOIN pg_type t ON t.oid = a.atttypid " \
	"    WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped) " \
	"SELECT 'storage', format('ALTER COLUMN %I SET STORAGE %s', attname, " \
	"       CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' " \
	"       WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END), NULL, NULL " \
	"FROM c WHERE attstorage <> typstorage " \
	"UNION ALL " \
	"SELECT 'compression', format('ALTER COLUMN %I SET COMPRESSION %s', " \
	"       attname, CASE compression WHEN 'l' THEN 'lz4' ELSE 'pglz' END), " \
	"       NULL, NULL " \
	"FROM c WHERE compression <> '' " \
	"UNION ALL " \
	"SELECT 'statistics target', " \
	"       format('ALTER COLUMN %I SET STATISTICS %s', attname, " \
	"              attstattarget), NULL, NULL " \
	"FROM c WHERE attstattarget >= 0 " \
	"UNION ALL " \
	"SELECT 'options', format('ALTER COLUMN %I SET (%s)', attname, " \
	"       string_agg(format('%I = %L', option_name, option_value), ', ' " \
	"                  ORDER BY option_name)), NULL, NULL " \
	"FROM c, pg_options_to_table(attoptions) " \
	"WHERE option_name IN ('n_distinct', 'n_distinct_inherited') " \
	"GROUP BY attname " \
	"UNION ALL " \
	"SELECT 'comment', NULL, format('COMMENT ON COLUMN %s.%I IS %L', " \
	"       relation, attname, description), relowner::text " \
	"FROM c JOIN pg_description d ON d.classoid = 'pg_class'::regclass " \
	"     AND d.objoid = attrelid AND d.objsubid = attnum " \
	"UNION ALL " \
	"(SELECT 'privileges', NULL, " \
	"       format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, " \
	"              attname, relation, CASE grantee WHEN 0 THEN 'PUBLIC' " \
	"              ELSE quote_ident(pg_get_userbyid(grantee)) END, " \
	"              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END), " \
	"       CASE WHEN has_schema_privilege(grantor, schema, 'USAGE') " \
	"       THEN grantor ELSE relowner END::text " \
	"FROM c, aclexplode(attacl) WITH ORDINALITY " \
	"     AS g(grantor, grantee, privilege_type, is_grantable, position) " \
	"ORDER BY grantor <> relowner, position)"

static List *
read_properties(Oid relid, const char *column)
{
	Oid	  types[2] = {OIDOID, TEXTOID};
	Datum values[2];

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(column);
	return syncmaster_query(PROPERTIES_QUERY, 2, types, values);
}

static void
add_afterwards(StatementEffect *effect, const char *sql, Oid role)
{
	RoleStatement *statement = palloc(sizeof(RoleStatement));

	statement->sql = sql;
	statement->role = role;
	effect->afterwards = lappend(effect->afterwards, statement);
}

/*
 * Keep the properties of one column of one relation.  Parts of ALTER TABLE are
 * appended to the statement, so that the rows are written with them; the
 * statement would change the child tables of this one in the same way, which
 * are altered one by one then.
 */
static void
keep_column(StatementEffect *effect, Oid relid, const char *column, bool alone,
			StringInfo sql, List **names)
{
	const char *relation = syncmaster_quoted_relation(relid);
	ListCell   *lc;

	foreach (lc, read_properties(relid, column))
	{
		char **property = lfirst(lc);

		if (property[1] == NULL)
			add_afterwards(effect, property[2],
						   DatumGetObjectId(DirectFunctionCall1(
							   oidin, CStringGetDatum(property[3]))));
		else if (alone)
			appendStringInfo(sql, ",\n    %s", property[1]);
		else
			add_afterwards(effect,
						   psprintf("ALTER TABLE ONLY %s %s", relation,
									property[1]),
						   syncmaster_relation_owner(relid));
		if (!list_member(*names, makeString(property[0])))
			*names = lappend(*names, makeString(property[0]));
	}
}

/*
 * Return whether a statement adds a column of this name.
 */
static bool
adds_column(const AlterTableStmt *stmt, const char *column)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn &&
			strcmp(((ColumnDef *) command->def)->colname, column) == 0)
			return true;
	}
	return false;
}

/*
 * Append text to a statement.
 */
static void
replace_sql(StatementEffect *effect, const char *sql)
{
	RawStmt *raw = linitial_node(RawStmt, pg_parse_query(sql));

	effect->sql = sql;
	effect->stmt = raw->stmt;
	effect->location = 0;
}

/*
 * Change the effect of a statement so that columns which it drops and adds
 * again keep their properties.  To be called once for each effect: the engine
 * calls it when the locks are held.
 */
void
syncmaster_keep_columns(StatementEffect *effect)
{
	StringInfoData sql;
	StringInfoData action;
	List		  *names = NIL;
	ListCell	  *lc;

	if (effect->skipped || !OidIsValid(effect->relid) ||
		!IsA(effect->stmt, AlterTableStmt))
		return;
	initStringInfo(&sql);
	appendStringInfoString(&sql, effect->sql);
	foreach (lc, ((AlterTableStmt *) effect->stmt)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		ListCell	  *lock;

		if (command->subtype != AT_DropColumn ||
			!adds_column((AlterTableStmt *) effect->stmt, command->name))
			continue;
		foreach (lock, effect->locks)
		{
			keep_column(effect, ((TableLock *) lfirst(lock))->relid,
						command->name, list_length(effect->locks) == 1, &sql,
						&names);
		}
	}
	if (names == NIL)
		return;

	initStringInfo(&action);
	appendStringInfo(&action, "%s, keep its ", effect->action);
	foreach (lc, names)
	{
		appendStringInfo(&action, "%s%s", lc == list_head(names) ? "" : ", ",
						 strVal(lfirst(lc)));
	}
	effect->action = action.data;
	replace_sql(effect, sql.data);
}
