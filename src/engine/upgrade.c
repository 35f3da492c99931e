/*-------------------------------------------------------------------------
 *
 * upgrade.c
 *	  Upgrade and syncmaster_downgrade(): the schema and the extension's
 *	  version, moved together to a target.
 *
 * ALTER EXTENSION UPDATE moves the version, and the schema with it when the
 * two agree.  They do not after a restore of an older dump, or when Alembic
 * moved the schema; then the missing steps are taken from the scripts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "engine/engine.h"
#include "privilege/privilege.h"
#include "schema/schema.h"
#include "settings.h"

/* How many rows are counted before a table is dropped. */
#define MAX_ROWS_COUNTED 100000

PG_FUNCTION_INFO_V1(syncmaster_downgrade);

/*
 * Run ALTER EXTENSION UPDATE, which moves the schema as well.
 */
static void
update_extension(MigrationContext *context, const char *version)
{
	syncmaster_update_extension(version);
	syncmaster_require_revision(context->namespace, &context->revision);
}

/*
 * Upgrade, and return the revision that was reached.
 */
int
syncmaster_upgrade_to(const char *text)
{
	MigrationContext context;
	ExtensionEntry	 extension;
	RevisionTarget	 target;
	char			*version;
	int				 current;

	syncmaster_begin_command(&context, "syncmaster_upgrade()");
	syncmaster_lock_version_table(&context);
	syncmaster_get_extension(&extension);
	syncmaster_require_revision(context.namespace, &context.revision);
	current = context.revision.number;
	syncmaster_parse_target(text, true, current, &target);
	version = syncmaster_version_to_install(&extension, &target);

	syncmaster_try_locks(&context, Max(current, target.number));
	syncmaster_migrate_to(&context,
						  Max(current,
							  Min(target.number, syncmaster_version_revision(
													 extension.version))),
						  true);
	if (version != NULL)
		update_extension(&context, version);

	current = context.revision.number;
	if (current == REVISION_HEAD && syncmaster_create_indexes_enabled)
		syncmaster_build_indexes(&context, WARNING);
	syncmaster_extend_grants(&context);
	syncmaster_complete_members();
	(void) syncmaster_require_shape(context.namespace, &context.revision);
	return current;
}

/*
 * Count rows by SQL, which finds them wherever Citus has put them, and waits
 * for partitions.
 */
static int
count_rows_by_sql(Relation rel)
{
	bool isnull;

	return (int) syncmaster_query_int8_as(
		psprintf("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d) r",
				 syncmaster_quoted_relation(RelationGetRelid(rel)),
				 MAX_ROWS_COUNTED),
		rel->rd_rel->relowner, &isnull);
}

/*
 * Count the rows of a table, up to a limit.  They are read directly: the
 * caller may lack SELECT, and the owner's policies must not run.
 */
static int
count_rows(Oid relid)
{
	Relation   rel;
	DirectScan scan;
	int		   count = 0;

	syncmaster_lock_relation(relid, AccessShareLock);
	rel = table_open(relid, NoLock);
	if (syncmaster_begin_scan(&scan, rel))
	{
		while (count < MAX_ROWS_COUNTED && syncmaster_next_row(&scan))
			count++;
		syncmaster_end_scan(&scan);
	}
	else
		count = count_rows_by_sql(rel);
	table_close(rel, NoLock);

	return count;
}

/* Has a downgrade of this transaction dropped tables? */
static bool destroyed;

/*
 * XactCallback: switches the permission to drop tables off after the
 * transaction that used it.  Behind a pooler, the next client would have it
 * otherwise.
 */
static void
use_up_allow_destroy(XactEvent event, void *arg pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (destroyed)
				syncmaster_switch_off("syncmaster.allow_destroy");
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			destroyed = false;
			break;
		default:
			break;
	}
}

/*
 * Refuse to drop tables unless the caller has allowed it; name them, and their
 * numbers of rows.
 */
static void
require_allow_destroy(const MigrationContext *context, int to)
{
	static bool	   registered = false;
	StringInfoData tables;

	if (context->revision.number <= to || to >= REVISION_BASE_SCRIPT)
		return;
	if (syncmaster_allow_destroy)
	{
		if (!registered)
			RegisterXactCallback(use_up_allow_destroy, NULL);
		registered = true;
		destroyed = true;
		return;
	}

	initStringInfo(&tables);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, context->namespace);
		int rows;

		if (relation->revision <= to || relation->kind != RELKIND_RELATION ||
			!OidIsValid(relid) || !syncmaster_is_of_kind(relation, relid))
			continue;
		rows = count_rows(relid);
		appendStringInfo(&tables, "%s%s (%s%d %s)", tables.len > 0 ? ", " : "",
						 relation->name,
						 rows == MAX_ROWS_COUNTED ? "at least " : "", rows,
						 rows == 1 ? "row" : "rows");
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a downgrade to %s would drop tables of schema \"%s\" in "
					"database \"%s\"",
					syncmaster_revision_id(to), context->schema,
					current_database_name()),
			 tables.len > 0 ? errdetail("Lost would be: %s.", tables.data)
							: errdetail("Lost would be the extension pg_trgm."),
			 errhint("To drop them, run the command again in a transaction "
					 "that begins with SET LOCAL syncmaster.allow_destroy = "
					 "on. A dump made before is the only way back.")));
}

/*
 * syncmaster_downgrade(target text) returns text: the revision reached
 */
Datum
syncmaster_downgrade(PG_FUNCTION_ARGS)
{
	char			*text = syncmaster_target_argument(fcinfo);
	MigrationContext context;
	ExtensionEntry	 extension;
	RevisionTarget	 target;

	syncmaster_begin_command(&context, "syncmaster_downgrade()");
	syncmaster_lock_version_table(&context);
	syncmaster_get_extension(&extension);
	syncmaster_require_revision(context.namespace, &context.revision);
	syncmaster_parse_target(text, false, context.revision.number, &target);
	require_allow_destroy(&context, target.number);

	if (target.number < REVISION_BASE_SCRIPT)
		syncmaster_remove_indexes(&context);
	if (target.version == NULL)
		target.version = syncmaster_revision_version(target.number);
	if (syncmaster_version_revision(extension.version) >
		Max(target.number, REVISION_BASE_SCRIPT))
		update_extension(&context, target.version);
	if (context.revision.number != target.number)
		syncmaster_migrate_to(&context, target.number, false);
	(void) syncmaster_require_shape(context.namespace, &context.revision);

	PG_RETURN_TEXT_P(
		cstring_to_text(syncmaster_revision_id(context.revision.number)));
}
