/*-------------------------------------------------------------------------
 *
 * preflight_objects.c
 *	  What others have added to the application's tables, and replication,
 *	  as far as it matters to an upgrade.
 *
 * Each check is a query on the catalogues that gives severity, subject,
 * detail and hint.  Its parameters are the schema ($1) and the application's
 * tables ($2), or a table ($1) and a column of it ($2), and the names of the
 * indexes that the upgrade makes ($3).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "engine/engine.h"
#include "preflight/preflight.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Objects that a migration runs, on alembic_version, or that it changes as
 * well.
 */
static const char *const object_queries[] = {
	"SELECT CASE c.relname WHEN 'alembic_version' THEN 'warning' "
	"       ELSE 'info' END, 'trigger', "
	"       format('trigger \"%s\" on table \"%s\" is not SyncMaster''s', "
	"              t.tgname, c.relname), "
	"       CASE c.relname WHEN 'alembic_version' THEN "
	"           'It runs when the revision is written: drop or disable it.' "
	"       ELSE 'It stays, and does not run during the upgrade.' END "
	"FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
	"WHERE t.tgrelid = ANY ($2) AND NOT t.tgisinternal "
	"AND t.tgenabled <> 'D' ORDER BY c.relname, t.tgname",

	"SELECT CASE c.relname WHEN 'alembic_version' THEN 'warning' "
	"       ELSE 'info' END, 'rule', "
	"       format('rule \"%s\" on table \"%s\" is not SyncMaster''s', "
	"              r.rulename, c.relname), "
	"       CASE c.relname WHEN 'alembic_version' THEN "
	"           'It may keep the revision from being written: drop it.' "
	"       ELSE 'It stays.' END "
	"FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class "
	"WHERE r.ev_class = ANY ($2) ORDER BY c.relname, r.rulename",

	"SELECT CASE WHEN c.relname = 'alembic_version' "
	"       AND c.relrowsecurity AND c.relforcerowsecurity THEN 'error' "
	"       ELSE 'info' END, 'policy', "
	"       format('policy \"%s\" on table \"%s\" is not SyncMaster''s', "
	"              p.polname, c.relname), "
	"       CASE WHEN c.relname = 'alembic_version' "
	"       AND c.relrowsecurity AND c.relforcerowsecurity THEN "
	"           format('It keeps the revision from being written: ALTER "
	"TABLE %s NO FORCE ROW LEVEL SECURITY.', c.oid::regclass) "
	"       ELSE 'It stays, and does not keep the upgrade from any row.' END "
	"FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid "
	"WHERE p.polrelid = ANY ($2) ORDER BY c.relname, p.polname",

	"SELECT 'info', 'column', "
	"       format('generated column \"%s\" of table \"%s\" is not "
	"SyncMaster''s', a.attname, c.relname), "
	"       'It stays; a rewrite of the table computes it again.' "
	"FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
	"WHERE a.attrelid = ANY ($2) AND a.attgenerated <> '' "
	"AND NOT a.attisdropped AND a.attname <> 'search_vector' "
	"ORDER BY c.relname, a.attnum",

	"SELECT 'error', 'rights', "
	"       format('role \"%s\" lacks USAGE on schema \"%s\"', "
	"              pg_get_userbyid(o.owner), n.nspname), "
	"       format('GRANT USAGE ON SCHEMA %I TO %I.', n.nspname, "
	"              pg_get_userbyid(o.owner)) "
	"FROM (SELECT DISTINCT relowner FROM pg_class WHERE oid = ANY ($2)) "
	"     o(owner), pg_namespace n "
	"WHERE n.oid = $1 AND NOT has_schema_privilege(o.owner, n.oid, 'USAGE') "
	"ORDER BY 3",

	"SELECT CASE WHEN pg_has_role(c.relowner, k.relowner, 'USAGE') "
	"       THEN 'warning' ELSE 'error' END, 'child table', "
	"       format('table %s inherits from table \"%s\"', "
	"              i.inhrelid::regclass, c.relname), "
	"       'It is locked and changed along with its parent; its owner must "
	"be the parent''s.' "
	"FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent "
	"JOIN pg_class k ON k.oid = i.inhrelid "
	"WHERE i.inhparent = ANY ($2) AND NOT k.relispartition "
	"ORDER BY c.relname, i.inhrelid",

	"SELECT 'warning', 'event trigger', "
	"       format('event trigger \"%s\" fires on %s', evtname, evtevent), "
	"       'It runs with the statements of the upgrade, and may refuse them: "
	"disable it if it does.' "
	"FROM pg_event_trigger "
	"WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login' ORDER BY evtname",

	"SELECT 'warning', 'prepared transaction', "
	"       format('transaction \"%s\" of user \"%s\" is prepared since %s', "
	"              gid, owner, date_trunc('second', prepared)), "
	"       'COMMIT PREPARED or ROLLBACK PREPARED: it keeps its locks until "
	"then.' "
	"FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid",

	"SELECT 'warning', 'pg_trgm', "
	"       format('extension \"pg_trgm\" is in schema \"%s\"', n.nspname), "
	"       format('SyncMaster''s search for users needs that schema on its "
	"search_path: ALTER DATABASE ... SET search_path = %I, %I.', "
	"              a.nspname, n.nspname) "
	"FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
	"CROSS JOIN pg_namespace a "
	"WHERE e.extname = 'pg_trgm' AND a.oid = $1 AND n.oid <> a.oid "
	"AND n.nspname NOT IN ('public', 'pg_catalog')",

	"SELECT 'error', 'pg_trgm', "
	"       format('function %s is there without extension \"pg_trgm\"', "
	"              min(p.oid::regprocedure::text)), "
	"       'Drop what is left of pg_trgm, so that the extension can be made.' "
	"FROM pg_proc p WHERE p.pronamespace = $1 AND p.proname IN ('set_limit', "
	"'show_limit', 'show_trgm', 'similarity', 'similarity_op') "
	"AND NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm') "
	"HAVING count(*) > 0",

	"SELECT 'warning', 'index', "
	"       format('index \"%s\" of table \"%s\" is not valid', "
	"              x.relname, c.relname), "
	"       'An interrupted CREATE INDEX CONCURRENTLY left it: DROP INDEX it, "
	"or REINDEX INDEX CONCURRENTLY.' "
	"FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
	"JOIN pg_class c ON c.oid = i.indrelid "
	"WHERE i.indrelid = ANY ($2) AND NOT i.indisvalid "
	"AND x.relname NOT LIKE 'ix\\_syncmaster\\_\\_%' "
	"ORDER BY x.relname",
};

static const char *const replication_queries[] = {
	"SELECT 'info', 'standby', "
	"       format('standby \"%s\" is connected', r.application_name), "
	"       'It needs the library''s files for the functions, not for the "
	"tables. To verify, run there: SELECT syncmaster_full_version().' "
	"FROM pg_stat_replication r "
	"LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid "
	"WHERE s.slot_type IS DISTINCT FROM 'logical' "
	"ORDER BY r.application_name, r.pid",

	/*
	 * The row that names the revision must not come from another database.  A
	 * table cannot be taken out of a publication of all tables, nor out of one
	 * of a schema (since 15; older majors have no such catalogue).
	 */
	"WITH published AS ( "
	"    SELECT p.pubname, p.puballtables AS of_all, concat( "
	"               ' WITH (publish = ''', concat_ws(', ', "
	"                   CASE WHEN pubinsert THEN 'insert' END, "
	"                   CASE WHEN pubupdate THEN 'update' END, "
	"                   CASE WHEN pubdelete THEN 'delete' END, "
	"                   CASE WHEN pubtruncate THEN 'truncate' END), '''', "
	"               CASE WHEN pubviaroot "
	"                   THEN ', publish_via_partition_root' END, "
	"               CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' "
	"                   THEN ', publish_generated_columns = stored' END, ')') "
	"               AS options, "
	"           n.nspname, format('%I.%I', n.nspname, c.relname) AS name, "
	"           c.oid = ANY ($2) AND c.relname <> 'alembic_version' AS own, "
	"           c.oid = ANY ($2) AND c.relname = 'alembic_version' "
	"               OR n.nspname = '" HISTORY_SCHEMA "' AS apart, "
	"           EXISTS (SELECT FROM pg_publication_rel r "
	"               WHERE r.prpubid = p.oid AND r.prrelid = c.oid) AS named "
	"    FROM pg_publication p JOIN pg_publication_tables t USING (pubname) "
	"    JOIN pg_namespace n ON n.nspname = t.schemaname "
	"    JOIN pg_class c ON c.relnamespace = n.oid "
	"        AND c.relname = t.tablename), "
	"change AS ( "
	"    SELECT pubname, format('BEGIN; DROP PUBLICATION %1$I; CREATE "
	"PUBLICATION %1$I%2$s%3$s; COMMIT;', pubname, "
	"               ' FOR TABLE ' || string_agg(name, ', ' ORDER BY name) "
	"                   FILTER (WHERE NOT apart), options) AS sql "
	"    FROM published WHERE of_all GROUP BY pubname, options "
	"    UNION ALL "
	"    SELECT pubname, format('ALTER PUBLICATION %I DROP TABLE %s;', "
	"               pubname, string_agg(name, ', ' ORDER BY name)) "
	"    FROM published WHERE apart AND named GROUP BY pubname "
	"    UNION ALL "
	"    SELECT pubname, concat(format('ALTER PUBLICATION %I ADD TABLE ', "
	"               pubname) || string_agg(name, ', ' ORDER BY name) "
	"                   FILTER (WHERE NOT apart) || '; ', "
	"               format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I;', "
	"                      pubname, nspname)) "
	"    FROM published WHERE NOT of_all AND NOT named "
	"    GROUP BY pubname, nspname HAVING bool_or(apart)) "
	"SELECT CASE WHEN bool_or(apart) THEN 'warning' ELSE 'info' END, "
	"       'publication', "
	"       format('publication \"%s\" has %s of SyncMaster''s tables%s', "
	"              pubname, count(*) FILTER (WHERE own), "
	"              ', and ' || string_agg(name, ', ' ORDER BY name) "
	"                  FILTER (WHERE apart)), "
	"       CASE WHEN bool_or(apart) "
	"       THEN format('Each database has its own revision and history. Take "
	"these out: %s On the subscriber, ALTER SUBSCRIPTION ... REFRESH "
	"PUBLICATION. Then upgrade', (SELECT string_agg(c.sql, ' ') "
	"                   FROM change c WHERE c.pubname = p.pubname)) "
	"       ELSE 'Upgrade' END || ' the subscriber first.' "
	"FROM published p GROUP BY pubname HAVING bool_or(own OR apart) "
	"ORDER BY pubname",

	"SELECT CASE WHEN bool_or(c.apart) THEN 'warning' ELSE 'info' END, "
	"       'subscription', "
	"       format('%s has %s of SyncMaster''s tables%s', "
	"              pg_describe_object('pg_subscription'::regclass, "
	"                                 r.srsubid, 0), "
	"              count(*) FILTER (WHERE NOT c.apart), "
	"              ', and ' || string_agg(c.name, ', ' ORDER BY c.name) "
	"                  FILTER (WHERE c.apart)), "
	"       CASE WHEN bool_or(c.apart) "
	"       THEN 'Each database has its own revision and history. Take these "
	"out of the publication, as syncmaster_preflight() says there, and run "
	"ALTER SUBSCRIPTION ... REFRESH PUBLICATION here. Then upgrade' "
	"       ELSE 'Upgrade' END || ' this database before the publisher.' "
	"FROM pg_subscription_rel r JOIN ( "
	"    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, "
	"           c.relname = 'alembic_version' "
	"               OR n.nspname = '" HISTORY_SCHEMA "' AS apart "
	"    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
	"    WHERE c.oid = ANY ($2) OR n.nspname = '" HISTORY_SCHEMA "') c "
	"    ON c.oid = r.srrelid "
	"GROUP BY r.srsubid ORDER BY r.srsubid",
};

/*
 * What depends on a column that is dropped and added again.  The server drops
 * some dependent objects with the column, and refuses because of others.  From
 * 18 on NOT NULL is a constraint, which is created again with the column.
 */
#define DROPPED_WITH_QUERY \
	"SELECT CASE WHEN bool_and(d.deptype = 'n') THEN 'error' " \
	"       ELSE 'warning' END, 'dependency', " \
	"       format('%s depends on column \"%s\" of table \"%s\"', " \
	"              pg_describe_object(d.classid, d.objid, d.objsubid), " \
	"              a.attname, c.relname), " \
	"       CASE WHEN bool_and(d.deptype = 'n') " \
	"       THEN 'Drop it before the upgrade, which drops that column and " \
	"makes it anew, and create it again afterwards.' " \
	"       ELSE 'It is dropped with that column: create it again after the " \
	"upgrade.' END " \
	"FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid " \
	"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid " \
	"WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 " \
	"AND d.refobjsubid = $2 AND d.deptype IN ('n', 'a') " \
	"AND d.classid <> 'pg_attrdef'::regclass " \
	"AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN " \
	"    (SELECT oid FROM pg_constraint WHERE contype = 'n')) " \
	"AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN " \
	"    (SELECT oid FROM pg_class WHERE relname = ANY ($3))) " \
	"GROUP BY d.classid, d.objid, d.objsubid, a.attname, c.relname " \
	"ORDER BY 3"

/*
 * What a DBA has set for indexes of SyncMaster's that are dropped with the
 * column and created again.
 */
#define INDEX_SETTINGS_QUERY \
	"SELECT 'warning', 'index', " \
	"       format('index \"%s\" of table \"%s\" has settings of its own', " \
	"              i.relname, c.relname), " \
	"       'They are dropped with column \"' || a.attname || '\". After the " \
	"upgrade: ' || concat_ws('; ', " \
	"           'ALTER INDEX ' || n.name || ' SET (' || (SELECT string_agg( " \
	"               quote_ident(option_name) || ' = ' || " \
	"               quote_literal(option_value), ', ') " \
	"               FROM pg_options_to_table(i.reloptions)) || ')', " \
	"           'ALTER INDEX ' || n.name || ' SET TABLESPACE ' || " \
	"               quote_ident(t.spcname), " \
	"           'COMMENT ON INDEX ' || n.name || ' IS ' || " \
	"               quote_literal(m.description)) " \
	"FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid " \
	"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid " \
	"JOIN pg_class i ON i.oid = d.objid " \
	"LEFT JOIN pg_tablespace t ON t.oid = i.reltablespace " \
	"LEFT JOIN pg_description m ON m.classoid = 'pg_class'::regclass " \
	"    AND m.objoid = i.oid AND m.objsubid = 0 " \
	"JOIN LATERAL (SELECT quote_ident(nspname) || '.' || " \
	"        quote_ident(i.relname) AS name FROM pg_namespace " \
	"    WHERE oid = i.relnamespace) n ON true " \
	"WHERE d.classid = 'pg_class'::regclass " \
	"AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 " \
	"AND d.refobjsubid = $2 AND i.relkind IN ('i', 'I') " \
	"AND i.relname = ANY ($3) AND (i.reloptions IS NOT NULL " \
	"    OR t.oid IS NOT NULL OR m.description IS NOT NULL) " \
	"ORDER BY 3"

/*
 * What depends on these objects, directly or not, and has to be dropped before
 * them: on a view by its rule, its columns or its row type.
 */
#define INDIRECT_QUERY \
	"WITH RECURSIVE dependent (classid, objid, objsubid, through) AS ( " \
	"    SELECT d.classid, d.objid, d.objsubid, NULL::text FROM pg_depend d " \
	"    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 " \
	"    AND d.refobjsubid = $2 AND d.deptype = 'n' " \
	"    UNION " \
	"    SELECT d.classid, d.objid, d.objsubid, " \
	"           pg_describe_object(o.classid, o.objid, 0) " \
	"    FROM dependent p " \
	"    LEFT JOIN pg_rewrite r ON p.classid = 'pg_rewrite'::regclass " \
	"         AND r.oid = p.objid AND r.rulename = '_RETURN' " \
	"    LEFT JOIN pg_class v ON v.oid = r.ev_class " \
	"    LEFT JOIN pg_type t ON t.oid = v.reltype " \
	"    CROSS JOIN LATERAL (VALUES " \
	"        (CASE WHEN v.oid IS NULL THEN p.classid END, p.objid), " \
	"        ('pg_class'::regclass, v.oid), ('pg_type'::regclass, t.oid), " \
	"        ('pg_type'::regclass, t.typarray)) o (classid, objid) " \
	"    JOIN pg_depend d ON d.refclassid = o.classid " \
	"         AND d.refobjid = o.objid AND d.deptype = 'n' " \
	"         AND (d.classid, d.objid) <> (p.classid, p.objid)) " \
	"SELECT 'error', 'dependency', " \
	"       format('%s depends on %s, and with it on column \"%s\" of table " \
	"\"%s\"', pg_describe_object(d.classid, d.objid, d.objsubid), " \
	"              d.through, a.attname, c.relname), " \
	"       'Drop it before the upgrade, and create it again afterwards.' " \
	"FROM dependent d JOIN pg_class c ON c.oid = $1 " \
	"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = $2 " \
	"WHERE d.through IS NOT NULL AND $3 IS NOT NULL ORDER BY 3"

/* A column of a parent cannot be dropped from the child alone. */
#define INHERITED_QUERY \
	"SELECT 'error', 'dependency', " \
	"       format('column \"%s\" of table \"%s\" is inherited from table " \
	"%s', a.attname, c.relname, i.inhparent::regclass), " \
	"       format('ALTER TABLE %s NO INHERIT %s.', c.oid::regclass, " \
	"              i.inhparent::regclass) " \
	"FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid " \
	"JOIN pg_inherits i ON i.inhrelid = c.oid " \
	"JOIN pg_attribute p ON p.attrelid = i.inhparent " \
	"     AND p.attname = a.attname AND NOT p.attisdropped " \
	"WHERE a.attrelid = $1 AND a.attnum = $2 AND $3 IS NOT NULL ORDER BY 3"

/* A table whose row type has been stored elsewhere cannot be rewritten. */
#define ROW_TYPE_QUERY \
	"SELECT 'error', 'dependency', " \
	"       format('%s is of the row type of table \"%s\"', " \
	"              h.holder, c.relname), " \
	"       'Drop that column before the upgrade, which rewrites the table.' " \
	"FROM pg_class c CROSS JOIN (" SYNCMASTER_ROW_HOLDERS ") h " \
	"WHERE c.oid = $1 AND $2 > 0 AND $3 IS NOT NULL ORDER BY 3"

/*
 * Run one check and report its rows.
 */
static void
run_query(Preflight *preflight, const char *sql, int nargs, Oid *types,
		  Datum *values)
{
	ListCell *lc;

	foreach (lc, syncmaster_query(sql, nargs, types, values))
	{
		char **row = lfirst(lc);

		syncmaster_report(preflight, syncmaster_parse_severity(row[0]), row[1],
						  row[2], row[3]);
	}
}

/*
 * Run checks of the application's tables and alembic_version.
 */
static void
run_queries(Preflight *preflight, const char *const *queries, int count)
{
	const MigrationContext *context = &preflight->context;
	Oid						types[2] = {OIDOID, OIDARRAYOID};
	Datum					values[2];
	List *tables = syncmaster_present_tables(context->namespace);

	if (OidIsValid(context->revision.version_table))
		tables = lcons_oid(context->revision.version_table, tables);
	values[0] = ObjectIdGetDatum(context->namespace);
	values[1] = syncmaster_oid_array(tables);
	for (int i = 0; i < count; i++)
		run_query(preflight, queries[i], 2, types, values);
}

/*
 * Names of the indexes that the plan makes.
 */
static Datum
planned_indexes(const UpgradePlan *plan)
{
	List	 *names = NIL;
	ListCell *lc;

	foreach (lc, plan->effects)
	{
		StatementEffect *effect = lfirst(lc);

		if (effect->builds_index)
			names = lappend(names, (char *) effect->object);
	}
	return syncmaster_text_array(names);
}

/*
 * Report what depends on the columns that a statement drops.
 */
static void
check_dropped_columns(Preflight *preflight, const StatementEffect *effect)
{
	Oid		  types[3] = {OIDOID, INT4OID, TEXTARRAYOID};
	Datum	  values[3];
	ListCell *lc;

	if (!IsA(effect->stmt, AlterTableStmt) || !OidIsValid(effect->relid))
		return;
	foreach (lc, ((AlterTableStmt *) effect->stmt)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype != AT_DropColumn)
			continue;
		values[0] = ObjectIdGetDatum(effect->relid);
		values[1] = Int32GetDatum(get_attnum(effect->relid, command->name));
		values[2] = planned_indexes(preflight->plan);
		run_query(preflight, DROPPED_WITH_QUERY, 3, types, values);
		run_query(preflight, INDEX_SETTINGS_QUERY, 3, types, values);
		run_query(preflight, INDIRECT_QUERY, 3, types, values);
		run_query(preflight, INHERITED_QUERY, 3, types, values);
		run_query(preflight, ROW_TYPE_QUERY, 3, types, values);
	}
}

/*
 * Return whether the upgrade changes the definition of a table.
 */
static bool
is_changed(const Preflight *preflight, Oid relid)
{
	ListCell *lc;

	foreach (lc, preflight->plan->effects)
	{
		const StatementEffect *effect = lfirst(lc);

		if (effect->relid == relid && !effect->skipped)
			return true;
	}
	return false;
}

/*
 * Report what a table's owner cannot trust: as an error if the upgrade would
 * run it, as a warning if only other commands would.
 */
static void
check_trust(Preflight *preflight, Oid relid, const char *table)
{
	Oid		  owner = syncmaster_relation_owner(relid);
	bool	  stamped = relid == preflight->context.revision.version_table;
	List	 *definitions = syncmaster_distrusted(relid, owner, 0);
	ListCell *lc;

	foreach (lc, syncmaster_distrusted_in(relid, table, owner))
	{
		Finding *finding = lfirst(lc);

		if (!stamped && (!is_changed(preflight, relid) ||
						 !syncmaster_is_reported(definitions, finding)))
			finding->severity = SEVERITY_WARNING;
		preflight->findings = lappend(preflight->findings, finding);
	}
}

static void
check_trust_of_tables(Preflight *preflight)
{
	Oid services = syncmaster_find_service_table();

	if (OidIsValid(preflight->context.revision.version_table))
		check_trust(preflight, preflight->context.revision.version_table,
					"alembic_version");
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid					relid = syncmaster_relation_oid(relation,
															preflight->context.namespace);

		if (OidIsValid(relid) && relation->kind == RELKIND_RELATION &&
			syncmaster_is_of_kind(relation, relid))
			check_trust(preflight, relid, relation->name);
	}
	if (OidIsValid(services))
	{
		const char *distrust = syncmaster_service_distrust(&preflight->context,
														   services);

		if (distrust != NULL)
			syncmaster_report(preflight, SEVERITY_WARNING, "services",
							  psprintf("table \"%s\" is not trusted: %s",
									   SERVICE_NAME, distrust),
							  psprintf("It grants nothing. Run %s.",
									   syncmaster_service_remedy(
										   &preflight->context)));
	}
}

void
syncmaster_check_objects(Preflight *preflight)
{
	ListCell *lc;

	foreach (lc, preflight->plan->effects)
	{
		check_dropped_columns(preflight, lfirst(lc));
	}
	run_queries(preflight, object_queries, lengthof(object_queries));
	check_trust_of_tables(preflight);
}

void
syncmaster_check_replication(Preflight *preflight)
{
	run_queries(preflight, replication_queries, lengthof(replication_queries));
}
