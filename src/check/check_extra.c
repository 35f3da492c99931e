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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Triggers, and of those that come from a partitioned table the ones that are
 * enabled although theirs is not.  Before PostgreSQL 15 these are marked as
 * internal.
 */
#define TRIGGERS_QUERY \
	"SELECT t.tgname, pg_get_triggerdef(t.oid), t.tgenabled, " \
	"    p.oid IS NOT NULL FROM pg_trigger t " \
	"LEFT JOIN pg_trigger p ON p.oid = t.tgparentid " \
	"WHERE t.tgrelid = $1 AND CASE WHEN p.oid IS NULL " \
	"    THEN NOT t.tgisinternal " \
	"    ELSE t.tgenabled <> 'D' AND p.tgenabled = 'D' AND NOT EXISTS " \
	"        (SELECT FROM pg_constraint c WHERE c.oid = t.tgconstraint " \
	"         AND c.contype <> 't') END ORDER BY 1"

#define RULES_QUERY \
	"SELECT rulename, pg_get_ruledef(oid), ev_enabled FROM pg_rewrite " \
	"WHERE ev_class = $1 ORDER BY 1"

#define POLICIES_QUERY \
	"SELECT polname FROM pg_policy WHERE polrelid = $1 ORDER BY 1"

#define SECURITY_QUERY \
	"SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1"

/* relatives on either side, as SQL names them */
#define INHERITANCE_QUERY \
	"SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), " \
	"    i.inhparent = $1, c.relkind = 'p' " \
	"FROM pg_inherits i JOIN pg_class c " \
	"    ON c.oid = CASE i.inhparent WHEN $1 THEN i.inhrelid " \
	"               ELSE i.inhparent END " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE $1 IN (i.inhrelid, i.inhparent) " \
	"AND NOT (i.inhparent = $1 AND c.relispartition) ORDER BY 1"

/* foreign keys of other tables; those of partitions come from their parent */
#define REFERENCES_QUERY \
	"SELECT c.relname, n.nspname, k.conname, pg_get_constraintdef(k.oid), " \
	"    k.confdeltype IN ('a', 'r'), n.oid = r.relnamespace " \
	"FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"JOIN pg_class r ON r.oid = k.confrelid " \
	"WHERE k.confrelid = $1 AND k.contype = 'f' AND k.conparentid = 0 " \
	"ORDER BY 2, 1, 3"

/* whether an UPDATE can be published, and whether it is to be */
#define REPLICA_QUERY \
	"SELECT c.relreplident, EXISTS (SELECT FROM pg_publication_tables p " \
	"    JOIN pg_publication USING (pubname) " \
	"    WHERE p.schemaname = n.nspname AND p.tablename = c.relname " \
	"    AND (pubupdate OR pubdelete)) " \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE c.oid = $1"

#define COMMENTS_QUERY \
	"SELECT a.attname, d.description FROM pg_description d " \
	"LEFT JOIN pg_attribute a ON a.attrelid = d.objoid " \
	"    AND a.attnum = d.objsubid AND d.objsubid > 0 " \
	"WHERE d.classoid = 'pg_class'::regclass AND d.objoid = $1 " \
	"ORDER BY d.objsubid"

/* in the schema, of nobody's extension; indexes and the like are left out */
#define RELATIONS_QUERY \
	"SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'view' " \
	"    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' " \
	"    WHEN 'f' THEN 'foreign table' ELSE 'table' END " \
	"FROM pg_class c WHERE c.relnamespace = $1 " \
	"AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') " \
	"AND NOT c.relispartition " \
	"AND NOT EXISTS (SELECT FROM pg_depend d " \
	"    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid " \
	"    AND (d.deptype = 'e' OR " \
	"         (c.relkind = 'S' AND d.deptype IN ('a', 'i')))) ORDER BY 1"

static bool
is_known_relation(const char *name)
{
	if (strcmp(name, syncmaster_version_relation.name) == 0)
		return true;
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (strcmp(relation->name, name) == 0 ||
			(relation->columns != NULL &&
			 relation->columns[0].filled_by == DEFAULT_SERIAL &&
			 strcmp(psprintf("%s_id_seq", relation->name), name) == 0))
			return true;
	}
	return false;
}

/*
 * Unique indexes of one partition, which keep out rows that others may have.
 */
#define PARTITION_INDEXES_QUERY \
	"SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), " \
	"    c.relname, pg_get_indexdef(c.oid) " \
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE i.indrelid = $1 AND i.indisunique AND NOT c.relispartition " \
	"ORDER BY 2"

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
	finding->fix = psprintf("ALTER %s %s SET LOGGED",
							sequence ? "SEQUENCE" : "TABLE",
							syncmaster_qualify(context, name));
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

	/* a column's sequence has its table's owner, and goes with it */
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
 * What tables and sequences have in common.
 */
void
syncmaster_check_relation(CheckContext *context, const char *name, Oid relid)
{
	ListCell *lc;

	check_persistence(context, name, relid);
	check_owner(context, name, relid);
	syncmaster_check_rights(context, name, relid);
	foreach (lc, syncmaster_query_oid(COMMENTS_QUERY, relid))
	{
		char   **row = lfirst(lc);
		bool	 of_column = row[0] != NULL;
		Finding *finding = syncmaster_add_difference(
			context, SEVERITY_INFO, "comment",
			of_column ? syncmaster_column_name(name, row[0]) : name,
			"is extra");

		finding->actual = row[1];
		finding->fix = psprintf("COMMENT ON %s %s%s%s IS NULL",
								of_column ? "COLUMN"
								: get_rel_relkind(relid) == RELKIND_SEQUENCE
									? "SEQUENCE"
									: "TABLE",
								syncmaster_qualify(context, name),
								of_column ? "." : "",
								of_column ? quote_identifier(row[0]) : "");
		finding->left = LEFT_FOREIGN;
	}
}

static void
check_triggers(CheckContext *context, const char *name, Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(TRIGGERS_QUERY, relid))
	{
		char   **row = lfirst(lc);
		bool	 disabled = row[2][0] == 'D';
		Finding *finding = syncmaster_add_difference(
			context, disabled ? SEVERITY_INFO : SEVERITY_WARNING, "trigger",
			syncmaster_column_name(name, row[0]),
			disabled ? "is extra, and disabled" : "is extra");

		finding->actual = row[1];
		finding->fix = psprintf(row[3][0] == 't'
									? "ALTER TABLE %2$s DISABLE TRIGGER %1$s"
									: "DROP TRIGGER %1$s ON %2$s",
								quote_identifier(row[0]),
								syncmaster_qualify(context, name));
		finding->left = LEFT_FOREIGN;
	}
}

static void
check_rules(CheckContext *context, const char *name, Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(RULES_QUERY, relid))
	{
		char   **row = lfirst(lc);
		bool	 disabled = row[2][0] == 'D';
		Finding *finding = syncmaster_add_difference(
			context, disabled ? SEVERITY_INFO : SEVERITY_WARNING, "rule",
			syncmaster_column_name(name, row[0]),
			disabled ? "is extra, and disabled" : "is extra");

		finding->actual = row[1];
		finding->fix = psprintf("DROP RULE %s ON %s", quote_identifier(row[0]),
								syncmaster_qualify(context, name));
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * Row security hides rows from whoever is not the owner, and with FORCE from
 * the owner too.
 */
static void
check_row_security(CheckContext *context, const char *name, Oid relid)
{
	List	 *rows = syncmaster_query_oid(SECURITY_QUERY, relid);
	ListCell *lc;

	/* in no row of pg_class, if it has gone meanwhile */
	for (int i = 0; rows != NIL && i < 2; i++)
	{
		Finding *finding;

		if (((char **) linitial(rows))[i][0] != 't')
			continue;
		finding = syncmaster_add_difference(context, SEVERITY_WARNING, "table",
											name,
											i == 0 ? "has row security enabled"
												   : "has row security forced");
		finding->fix = psprintf("ALTER TABLE %s %s ROW LEVEL SECURITY",
								syncmaster_qualify(context, name),
								i == 0 ? "DISABLE" : "NO FORCE");
		finding->left = LEFT_FOREIGN;
	}
	foreach (lc, syncmaster_query_oid(POLICIES_QUERY, relid))
	{
		char   **policy = lfirst(lc);
		Finding *finding =
			syncmaster_add_difference(context, SEVERITY_WARNING, "policy",
									  syncmaster_column_name(name, policy[0]),
									  "is extra");

		finding->fix = psprintf("DROP POLICY %s ON %s",
								quote_identifier(policy[0]),
								syncmaster_qualify(context, name));
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * Rows of a child table show in the parent, and no foreign key knows them.
 */
static void
check_inheritance(CheckContext *context, const char *name, Oid relid)
{
	const char *table = syncmaster_qualify(context, name);
	ListCell   *lc;

	foreach (lc, syncmaster_query_oid(INHERITANCE_QUERY, relid))
	{
		char   **row = lfirst(lc);
		bool	 child = row[1][0] == 't';
		bool	 partitioned = row[2][0] == 't';
		Finding *finding =
			syncmaster_add_difference(context, SEVERITY_WARNING, "table", name,
									  child ? "has a child table"
									  : partitioned
										  ? "is a partition of another table"
										  : "inherits from another table");

		finding->actual = row[0];
		if (!child && partitioned)
			finding->fix = psprintf("ALTER TABLE %s DETACH PARTITION %s",
									row[0], table);
		else
			finding->fix = psprintf("ALTER TABLE %s NO INHERIT %s",
									child ? row[0] : table,
									child ? table : row[0]);
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * Rows that others refer to cannot be deleted, or take others with them.
 */
static void
check_references(CheckContext *context, const char *name, Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(REFERENCES_QUERY, relid))
	{
		char	  **row = lfirst(lc);
		bool		keeps = row[4][0] == 't';
		const char *table = quote_qualified_identifier(row[1], row[0]);
		Finding	   *finding;

		if (row[5][0] == 't' && is_known_relation(row[0]))
			continue;
		finding = syncmaster_add_difference(
			context, keeps ? SEVERITY_WARNING : SEVERITY_INFO, "constraint",
			syncmaster_column_name(table, row[2]),
			keeps ? psprintf("keeps rows of table \"%s\" from being deleted",
							 name)
				  : psprintf("refers to table \"%s\"", name));
		finding->actual = row[3];
		finding->fix = psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table,
								quote_identifier(row[2]));
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * What is published cannot be changed without a replica identity.
 */
static void
check_replica_identity(CheckContext *context, const char *name, Oid relid)
{
	List	*rows = syncmaster_query_oid(REPLICA_QUERY, relid);
	char   **row;
	bool	 published;
	Finding *finding;

	if (rows == NIL)
		return;
	row = linitial(rows);
	published = row[1][0] == 't';
	if (row[0][0] != REPLICA_IDENTITY_NOTHING)
		return;
	finding = syncmaster_add_difference(
		context, published ? SEVERITY_ERROR : SEVERITY_INFO, "table", name,
		published ? "has no replica identity, so that its rows cannot change"
				  : "has no replica identity");
	finding->expected = "DEFAULT";
	finding->actual = "NOTHING";
	finding->fix = psprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT",
							syncmaster_qualify(context, name));
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
 * What the owner of a table cannot trust, so that commands refuse to work on
 * the table.
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

static void
check_partition_indexes(CheckContext *context, Oid relid)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(PARTITION_INDEXES_QUERY, relid))
	{
		char   **row = lfirst(lc);
		Finding *finding = syncmaster_add_difference(context, SEVERITY_WARNING,
													 "index", row[1],
													 "is extra");

		finding->actual = row[2];
		finding->fix = psprintf("DROP INDEX %s", row[0]);
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * What matters of the partitions is what the table itself does not say.
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
		check_triggers(context, name, partition);
		check_references(context, name, partition);
		check_partition_indexes(context, partition);
		context->namespace = save.namespace;
		context->schema = save.schema;
	}
}

/*
 * All that may hang on a table.
 */
void
syncmaster_check_extras(CheckContext *context, const RelationInfo *relation,
						Oid relid)
{
	check_triggers(context, relation->name, relid);
	check_rules(context, relation->name, relid);
	check_row_security(context, relation->name, relid);
	check_inheritance(context, relation->name, relid);
	check_partitions(context, relid);
	check_references(context, relation->name, relid);
	check_replica_identity(context, relation->name, relid);
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
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(RELATIONS_QUERY, context->namespace))
	{
		char   **row = lfirst(lc);
		Finding *finding;

		if (is_known_relation(row[0]))
			continue;
		finding = syncmaster_add_difference(context, SEVERITY_INFO, row[1],
											row[0], "is extra");
		finding->left = LEFT_FOREIGN;
	}
}
