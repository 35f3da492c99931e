/*-------------------------------------------------------------------------
 *
 * check_extra.c
 *	  What can be added to a relation, or changed about it, beside its columns,
 *	  constraints and indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Queries for the columns of syncmaster_check(), without those at the end that
 * are not needed.  $1 is the relation, $2 the names of SyncMaster's relations.
 */
#define RELATION \
	"(SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name, " \
	"     CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind " \
	" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace " \
	" WHERE c.oid = $1) r "

#define COMMENTS_QUERY \
	"SELECT 'info', 'comment', concat_ws('.', r.relname, a.attname), " \
	"    'is extra', NULL, d.description, " \
	"    format('COMMENT ON %s IS NULL', CASE WHEN a.attname IS NULL " \
	"        THEN r.kind || ' ' || r.name " \
	"        ELSE format('COLUMN %s.%I', r.name, a.attname) END) " \
	"FROM " RELATION "JOIN pg_description d ON d.objoid = r.oid " \
	"    AND d.classoid = 'pg_class'::regclass " \
	"LEFT JOIN pg_attribute a ON a.attrelid = d.objoid " \
	"    AND a.attnum = d.objsubid AND d.objsubid > 0 " \
	"ORDER BY d.objsubid"

/*
 * Triggers; of those that come from a partitioned table, only the ones that
 * are enabled while the parent's is not.  Before PostgreSQL 15 these are
 * marked as internal.
 */
#define TRIGGERS_QUERY \
	"SELECT CASE t.tgenabled WHEN 'D' THEN 'info' ELSE 'warning' END, " \
	"    'trigger', format('%s.%s', r.relname, t.tgname), " \
	"    CASE t.tgenabled WHEN 'D' THEN 'is extra, and disabled' " \
	"    ELSE 'is extra' END, NULL, pg_get_triggerdef(t.oid), " \
	"    format(CASE WHEN p.oid IS NULL THEN 'DROP TRIGGER %I ON %s' " \
	"           ELSE 'ALTER TABLE %2$s DISABLE TRIGGER %1$I' END, " \
	"           t.tgname, r.name) " \
	"FROM " RELATION "JOIN pg_trigger t ON t.tgrelid = r.oid " \
	"LEFT JOIN pg_trigger p ON p.oid = t.tgparentid " \
	"WHERE CASE WHEN p.oid IS NULL THEN NOT t.tgisinternal " \
	"    ELSE t.tgenabled <> 'D' AND p.tgenabled = 'D' AND NOT EXISTS " \
	"        (SELECT FROM pg_constraint c WHERE c.oid = t.tgconstraint " \
	"         AND c.contype <> 't') END ORDER BY t.tgname"

#define RULES_QUERY \
	"SELECT CASE w.ev_enabled WHEN 'D' THEN 'info' ELSE 'warning' END, " \
	"    'rule', format('%s.%s', r.relname, w.rulename), " \
	"    CASE w.ev_enabled WHEN 'D' THEN 'is extra, and disabled' " \
	"    ELSE 'is extra' END, NULL, pg_get_ruledef(w.oid), " \
	"    format('DROP RULE %I ON %s', w.rulename, r.name) " \
	"FROM " RELATION "JOIN pg_rewrite w ON w.ev_class = r.oid " \
	"ORDER BY w.rulename"

/*
 * Row security hides rows from all roles but the owner, and with FORCE from
 * the owner too.
 */
#define SECURITY_QUERY \
	"SELECT 'warning', 'table', r.relname, " \
	"    'has row security ' || s.state, NULL, NULL, " \
	"    format('ALTER TABLE %s %s ROW LEVEL SECURITY', r.name, s.undo) " \
	"FROM " RELATION "CROSS JOIN LATERAL (VALUES " \
	"    (1, r.relrowsecurity, 'enabled', 'DISABLE'), " \
	"    (2, r.relforcerowsecurity, 'forced', 'NO FORCE')) " \
	"    s (number, is_set, state, undo) WHERE s.is_set ORDER BY s.number"

#define POLICIES_QUERY \
	"SELECT 'warning', 'policy', format('%s.%s', r.relname, p.polname), " \
	"    'is extra', NULL, NULL, " \
	"    format('DROP POLICY %I ON %s', p.polname, r.name) " \
	"FROM " RELATION "JOIN pg_policy p ON p.polrelid = r.oid " \
	"ORDER BY p.polname"

/*
 * Rows of a child table show in the parent, but foreign keys do not see them.
 */
#define INHERITANCE_QUERY \
	"SELECT 'warning', 'table', r.relname, " \
	"    CASE WHEN i.inhparent = r.oid THEN 'has a child table' " \
	"    WHEN c.relkind = 'p' THEN 'is a partition of another table' " \
	"    ELSE 'inherits from another table' END, NULL, o.name, " \
	"    format(CASE WHEN i.inhparent = r.oid " \
	"           THEN 'ALTER TABLE %2$s NO INHERIT %1$s' " \
	"           WHEN c.relkind = 'p' " \
	"           THEN 'ALTER TABLE %2$s DETACH PARTITION %1$s' " \
	"           ELSE 'ALTER TABLE %1$s NO INHERIT %2$s' END, r.name, o.name) " \
	"FROM " RELATION \
	"JOIN pg_inherits i ON r.oid IN (i.inhrelid, i.inhparent) " \
	"JOIN pg_class c ON c.oid = CASE i.inhparent WHEN r.oid THEN i.inhrelid " \
	"                           ELSE i.inhparent END " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"CROSS JOIN LATERAL format('%I.%I', n.nspname, c.relname) o (name) " \
	"WHERE NOT (i.inhparent = r.oid AND c.relispartition) ORDER BY o.name"

/*
 * Foreign keys of other tables: rows that they refer to cannot be deleted, or
 * are deleted with the rows that refer.  Foreign keys of partitions come from
 * their parent.
 */
#define REFERENCES_QUERY \
	"SELECT CASE WHEN keeps THEN 'warning' ELSE 'info' END, 'constraint', " \
	"    format('%I.%I.%s', n.nspname, c.relname, k.conname), " \
	"    format(CASE WHEN keeps " \
	"           THEN 'keeps rows of table \"%s\" from being deleted' " \
	"           ELSE 'refers to table \"%s\"' END, r.relname), " \
	"    NULL, pg_get_constraintdef(k.oid), " \
	"    format('ALTER TABLE %I.%I DROP CONSTRAINT %I', " \
	"           n.nspname, c.relname, k.conname) " \
	"FROM " RELATION "JOIN pg_constraint k ON k.confrelid = r.oid " \
	"JOIN pg_class c ON c.oid = k.conrelid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"CROSS JOIN LATERAL (SELECT k.confdeltype IN ('a', 'r') AND " \
	"    (to_jsonb(k) ->> 'conenforced') IS DISTINCT FROM 'false') d (keeps) " \
	"WHERE k.contype = 'f' AND k.conparentid = 0 " \
	"AND NOT (n.oid = r.relnamespace AND c.relname = ANY ($2)) " \
	"ORDER BY n.nspname, c.relname, k.conname"

/* A published table cannot be updated without a replica identity. */
#define REPLICA_QUERY \
	"SELECT CASE WHEN p.published THEN 'error' ELSE 'info' END, 'table', " \
	"    r.relname, 'has no replica identity' || CASE WHEN p.published " \
	"        THEN ', so that its rows cannot change' ELSE '' END, " \
	"    'DEFAULT', 'NOTHING', " \
	"    format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', r.name) " \
	"FROM " RELATION "JOIN pg_namespace n ON n.oid = r.relnamespace " \
	"CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_publication_tables t " \
	"    JOIN pg_publication USING (pubname) " \
	"    WHERE t.schemaname = n.nspname AND t.tablename = r.relname " \
	"    AND (pubupdate OR pubdelete))) p (published) " \
	"WHERE r.relreplident = 'n'"

/*
 * Unique indexes of single partitions, which refuse rows that another
 * partition could have.
 */
#define PARTITION_INDEXES_QUERY \
	"SELECT 'warning', 'index', c.relname, 'is extra', NULL, " \
	"    pg_get_indexdef(c.oid), " \
	"    format('DROP INDEX %I.%I', n.nspname, c.relname) " \
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE i.indrelid = $1 AND i.indisunique AND NOT c.relispartition " \
	"ORDER BY c.relname"

/*
 * Relations in the schema that belong to no extension, without indexes and the
 * like.
 */
#define RELATIONS_QUERY \
	"SELECT 'info', CASE c.relkind WHEN 'v' THEN 'view' " \
	"    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' " \
	"    WHEN 'f' THEN 'foreign table' ELSE 'table' END, c.relname, " \
	"    'is extra', NULL, NULL, NULL " \
	"FROM pg_class c WHERE c.relnamespace = $1 " \
	"AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') " \
	"AND NOT c.relispartition AND c.relname <> ALL ($2) " \
	"AND NOT EXISTS (SELECT FROM pg_depend d " \
	"    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid " \
	"    AND (d.deptype = 'e' OR " \
	"         (c.relkind = 'S' AND d.deptype IN ('a', 'i')))) " \
	"ORDER BY c.relname"

/*
 * The names of SyncMaster's relations, with the sequences of their columns.
 */
static Datum
known_names(void)
{
	List *names = list_make1((char *) syncmaster_version_relation.name);

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		names = lappend(names, (char *) relation->name);
		if (relation->columns != NULL &&
			relation->columns[0].filled_by == DEFAULT_SERIAL)
			names = lappend(names, psprintf("%s_id_seq", relation->name));
	}
	return syncmaster_text_array(names);
}

/*
 * Add the differences that a query finds.
 */
static void
add_rows(CheckContext *context, const char *sql, Oid object, const char *left)
{
	Oid		  types[] = {OIDOID, TEXTARRAYOID};
	Datum	  values[] = {ObjectIdGetDatum(object), known_names()};
	ListCell *lc;

	foreach (lc, syncmaster_query(sql, lengthof(types), types, values))
	{
		char   **row = lfirst(lc);
		Finding *finding = syncmaster_add_difference(
			context, syncmaster_parse_severity(row[0]), row[1], row[2], row[3]);

		finding->expected = row[4];
		finding->actual = row[5];
		finding->fix = row[6];
		finding->left = left;
	}
}

static void
check_persistence(CheckContext *context, const char *name, Oid relid)
{
	bool	 sequence = get_rel_relkind(relid) == RELKIND_SEQUENCE;
	Finding *finding;

	if (get_rel_persistence(relid) == RELPERSISTENCE_PERMANENT)
		return;
	finding =
		syncmaster_add_difference(context, SEVERITY_ERROR,
								  sequence ? "sequence" : "table", name,
								  "is unlogged, so that a crash empties it");
	finding->expected = "LOGGED";
	finding->actual = "UNLOGGED";
	syncmaster_fix_by_rewrite(finding, relid,
							  psprintf("ALTER %s %s SET LOGGED",
									   sequence ? "SEQUENCE" : "TABLE",
									   syncmaster_qualify(context, name)));
}

static void
check_owner(CheckContext *context, const char *name, Oid relid)
{
	Oid				 owner = syncmaster_relation_owner(relid);
	bool			 sequence = get_rel_relkind(relid) == RELKIND_SEQUENCE;
	MigrationContext migration;
	Finding			*finding;
	Oid				 table;
	int32			 column;

	/*
	 * a column's sequence belongs to its table's owner, and is dropped with it
	 */
	if (owner == context->owner ||
		(sequence && sequenceIsOwned(relid, DEPENDENCY_AUTO, &table, &column)))
		return;
	finding =
		syncmaster_add_difference(context, SEVERITY_WARNING,
								  sequence ? "sequence" : "table", name,
								  "has another owner than the other tables");
	finding->expected = GetUserNameFromId(context->owner, false);
	finding->actual = GetUserNameFromId(owner, true);
	syncmaster_fill_context(&migration, GetUserId());
	finding->fix = syncmaster_hand_over(&migration,
										syncmaster_owned_objects(relid),
										context->owner, true);
	finding->left = "which role should own them is for you to say; see "
					"syncmaster_set_owner()";
}

/*
 * Check what applies to tables and sequences alike.
 */
void
syncmaster_check_relation(CheckContext *context, const char *name, Oid relid)
{
	check_persistence(context, name, relid);
	check_owner(context, name, relid);
	syncmaster_check_rights(context, name, relid);
	add_rows(context, COMMENTS_QUERY, relid, LEFT_FOREIGN);
}

static bool
is_fixed(const CheckContext *context, const char *fix)
{
	ListCell *lc;

	foreach (lc, context->findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->fix != NULL && strcmp(finding->fix, fix) == 0)
			return true;
	}
	return false;
}

/*
 * Add findings about what the owner of a table cannot trust, because of which
 * commands refuse to work on the table.
 */
void
syncmaster_add_distrust(CheckContext *context, List *findings)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		const Finding *finding = lfirst(lc);
		Finding		  *difference = syncmaster_add_difference(
				  context, SEVERITY_WARNING, finding->kind,
			  finding->actual != NULL ? finding->actual : finding->subject,
			  finding->actual != NULL ? "may run another role's code"
										  : finding->message);

		difference->actual = finding->detail;
		difference->left = finding->left;
		if (finding->fix != NULL && !is_fixed(context, finding->fix))
			difference->fix = finding->fix;
	}
}

/*
 * Check partitions for what can differ from the table itself.
 */
static void
check_partitions(CheckContext *context, Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_partitions(relid))
	{
		Oid				   partition = lfirst_oid(lc);
		const char		  *name = get_rel_name(partition);
		const CheckContext save = *context;

		if (name == NULL)
			continue; /* dropped meanwhile */
		context->namespace = get_rel_namespace(partition);
		context->schema = get_namespace_name(context->namespace);
		check_persistence(context, name, partition);
		check_owner(context, name, partition);
		add_rows(context, TRIGGERS_QUERY, partition, LEFT_FOREIGN);
		add_rows(context, SECURITY_QUERY, partition, LEFT_FOREIGN);
		add_rows(context, POLICIES_QUERY, partition, LEFT_FOREIGN);
		add_rows(context, REFERENCES_QUERY, partition, LEFT_FOREIGN);
		add_rows(context, PARTITION_INDEXES_QUERY, partition, LEFT_FOREIGN);
		context->namespace = save.namespace;
		context->schema = save.schema;
	}
}

/*
 * Check for additions to a table.
 */
void
syncmaster_check_extras(CheckContext *context, const RelationInfo *relation,
						Oid relid)
{
	add_rows(context, TRIGGERS_QUERY, relid, LEFT_FOREIGN);
	add_rows(context, RULES_QUERY, relid, LEFT_FOREIGN);
	add_rows(context, SECURITY_QUERY, relid, LEFT_FOREIGN);
	add_rows(context, POLICIES_QUERY, relid, LEFT_FOREIGN);
	add_rows(context, INHERITANCE_QUERY, relid, LEFT_FOREIGN);
	check_partitions(context, relid);
	add_rows(context, REFERENCES_QUERY, relid, LEFT_FOREIGN);
	add_rows(context, REPLICA_QUERY, relid, NULL);
	syncmaster_check_grants(context, relation->name, relid);
	syncmaster_add_distrust(
		context, syncmaster_distrusted_in(relid, relation->name,
										  syncmaster_relation_owner(relid)));
}

/*
 * Other tables, views and sequences in the application's schema.
 */
void
syncmaster_check_other_relations(CheckContext *context)
{
	add_rows(context, RELATIONS_QUERY, context->namespace, LEFT_FOREIGN);
}
