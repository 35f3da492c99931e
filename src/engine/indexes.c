/*-------------------------------------------------------------------------
 *
 * indexes.c
 *	  The extra indexes: those that SyncMaster's own queries need and its
 *	  migrations do not make.
 *
 * They never replace an index of SyncMaster's, whose downgrades drop those by
 * name.  A DBA may build one beforehand under the same name with CREATE INDEX
 * CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "engine/engine.h"
#include "schema/schema.h"

#define INDEX_PREFIX "ix_syncmaster__"

typedef struct ExtraIndex
{
	const char *name;
	const char *table;
	const char *definition; /* from USING on, as pg_get_indexdef() writes it */
	const char *columns[2]; /* of the table, that it needs */
} ExtraIndex;

/*
 * None of them needs pg_trgm: such an index would stop Alembic's own
 * downgrade, which drops that extension.
 */
static const ExtraIndex extra_indexes[] = {
	/* the scheduler asks every few seconds for transfers changed since */
	{INDEX_PREFIX "transfer_updated_at",
	 "transfer",
	 "btree (updated_at)",
	 {"updated_at"}},
	/* transfers of a queue; deleting a queue, a group, a user */
	{INDEX_PREFIX "transfer_queue_id",
	 "transfer",
	 "btree (queue_id)",
	 {"queue_id"}},
	/* a group's list of transfers, by name */
	{INDEX_PREFIX "transfer_group_id_name",
	 "transfer",
	 "btree (group_id, name)",
	 {"group_id", "name"}},
	/* a group's list of connections, by name */
	{INDEX_PREFIX "connection_group_id_name",
	 "connection",
	 "btree (group_id, name)",
	 {"group_id", "name"}},
	/* runs of a transfer, newest first */
	{INDEX_PREFIX "run_transfer_id_created_at",
	 "run",
	 "btree (transfer_id, created_at DESC)",
	 {"transfer_id", "created_at"}},
	/* list and count of users */
	{INDEX_PREFIX "user_active_username",
	 "user",
	 "btree (username) WHERE (is_active IS TRUE)",
	 {"username", "is_active"}},
	/* search for a group */
	{INDEX_PREFIX "group_search_vector",
	 "group",
	 "gin (search_vector)",
	 {"search_vector"}},
};

static const int nextra_indexes = lengthof(extra_indexes);

PG_FUNCTION_INFO_V1(syncmaster_create_indexes);
PG_FUNCTION_INFO_V1(syncmaster_drop_indexes);

/*
 * The index as pg_get_indexdef() writes it under the engine's settings.
 */
static char *
index_definition(const ExtraIndex *index, const char *schema)
{
	int	  save_nestlevel = syncmaster_enter_safe_settings();
	char *definition = psprintf("CREATE INDEX %s ON %s USING %s", index->name,
								quote_qualified_identifier(schema,
														   index->table),
								index->definition);

	syncmaster_leave_settings(save_nestlevel);

	return definition;
}

/*
 * The definition of an index.  That of a partitioned table names the table
 * alone, although the index has a part for each partition.
 */
static char *
actual_definition(Oid indexid, Datum actual)
{
	static const char only[] = " ON ONLY ";
	char			 *definition = TextDatumGetCString(actual);
	char			 *found = strstr(definition, only);

	if (found == NULL || get_rel_relkind(indexid) != RELKIND_PARTITIONED_INDEX)
		return definition;
	return psprintf("%.*s ON %s", (int) (found - definition), definition,
					found + strlen(only));
}

/*
 * Return whether an index, whose table is locked, has that definition.  *there
 * is false if it was dropped meanwhile.
 */
static bool
has_definition(Oid indexid, const char *definition, bool *there)
{
	int		  save_nestlevel;
	HeapTuple tuple;
	Datum	  actual;
	bool	  fits;

	*there = false;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tuple))
		return false;
	fits = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);

	save_nestlevel = syncmaster_enter_safe_settings();
	*there = syncmaster_ask(pg_get_indexdef, indexid, &actual);
	fits = fits && *there &&
		   strcmp(actual_definition(indexid, actual), definition) == 0;
	syncmaster_leave_settings(save_nestlevel);

	return fits;
}

/*
 * Lock the table of an index, for which pg_get_indexdef() would wait without a
 * limit; "waits" says whether to wait with a limit, or not at all.  *there is
 * false if the table was dropped meanwhile.
 */
static bool
lock_table(Oid table, bool waits, bool *there)
{
	if (!waits)
		return ConditionalLockRelationOid(table, AccessShareLock);
	*there = syncmaster_lock_if_there(table, AccessShareLock);
	return *there;
}

/*
 * Return the state of an extra index that should have this definition.  A
 * caller that does not wait gets EXTRA_INDEX_LOCKED if the table is locked;
 * its own lock is given back.
 */
static ExtraIndexState
index_state(const ExtraIndex *index, Oid namespace, const char *definition,
			bool waits)
{
	Oid indexid;

	while (OidIsValid(indexid = get_relname_relid(index->name, namespace)))
	{
		Oid	 table = IndexGetRelation(indexid, true);
		bool there = get_rel_relkind(indexid) != '\0';
		bool fits = false;

		if (OidIsValid(table) && lock_table(table, waits, &there))
		{
			fits = has_definition(indexid, definition, &there);
			if (!waits)
				UnlockRelationOid(table, AccessShareLock);
		}
		else if (OidIsValid(table) && !waits)
			return EXTRA_INDEX_LOCKED;
		CHECK_FOR_INTERRUPTS();
		if (there)
			return fits ? EXTRA_INDEX_PRESENT : EXTRA_INDEX_OTHER;
	}
	return EXTRA_INDEX_MISSING;
}

/*
 * Why the index cannot be built on the table as it is; NULL if it can.
 */
static char *
obstacle(const ExtraIndex *index, Oid table)
{
	char kind = get_rel_relkind(table);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		return psprintf("\"%s\" is not a table", index->table);
	for (int i = 0; i < (int) lengthof(index->columns); i++)
	{
		const char *column = index->columns[i];

		if (column != NULL && get_attnum(table, column) <= 0)
			return psprintf("column \"%s\" of table \"%s\" is missing", column,
							index->table);
	}
	return NULL;
}

int
syncmaster_extra_index_count(void)
{
	return nextra_indexes;
}

bool
syncmaster_is_extra_index(const char *name)
{
	for (int i = 0; i < nextra_indexes; i++)
	{
		if (strcmp(extra_indexes[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Name, definition and state of an extra index.
 */
ExtraIndexState
syncmaster_extra_index(int i, Oid namespace, const char *schema,
					   const char **name, char **definition)
{
	const ExtraIndex *index = &extra_indexes[i];
	Oid				  table = get_relname_relid(index->table, namespace);

	*name = index->name;
	*definition = index_definition(index, schema);
	if (!OidIsValid(table) || obstacle(index, table) != NULL)
		return EXTRA_INDEX_NOT_POSSIBLE;
	return index_state(index, namespace, *definition, true);
}

/*
 * An index with this name but another definition is not the extension's:
 * report it and leave it alone.
 */
static void
report_other_index(List **problems, const ExtraIndex *index,
				   const char *definition)
{
	Finding *finding = syncmaster_add_error(
		problems, ERRCODE_DUPLICATE_OBJECT, "index",
		finding_message("relation \"%s\" is not the extra index of that name, "
						"or is not valid",
						index->name),
		"Drop or rename it, and run SELECT syncmaster_create_indexes().");

	finding->detail = psprintf("Expected is: %s", definition);
	finding->severity = SEVERITY_WARNING;
}

/*
 * Report an index that cannot be built on the table as it is.
 */
static void
report_obstacle(List **problems, const ExtraIndex *index, const char *why)
{
	syncmaster_add_error(problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						 "index",
						 finding_message("extra index \"%s\" cannot be built, "
										 "because %s",
										 index->name, why),
						 "SELECT * FROM syncmaster_check() lists what is "
						 "different, with SQL that repairs it.")
		->severity = SEVERITY_WARNING;
}

/*
 * Statements that build the missing indexes of the tables that will exist
 * after a migration with the given effects.  Why others are not built is added
 * to *problems, and so are indexes whose state is not known because the caller
 * does not wait for locks.
 */
List *
syncmaster_missing_indexes(const MigrationContext *context, List *earlier,
						   bool waits, List **problems)
{
	List *definitions = NIL;

	for (int i = 0; i < nextra_indexes; i++)
	{
		const ExtraIndex *index = &extra_indexes[i];
		Oid	  indexid = get_relname_relid(index->name, context->namespace);
		Oid	  table = get_relname_relid(index->table, context->namespace);
		char *definition = index_definition(index, context->schema);
		char *why = NULL;
		ExtraIndexState state = EXTRA_INDEX_MISSING;

		if (!OidIsValid(table) && !syncmaster_is_made(earlier, index->table))
			continue;
		if (earlier == NIL) /* else a step may make what is missing */
			why = obstacle(index, table);
		if (!OidIsValid(indexid) || !syncmaster_is_dropped(earlier, indexid))
			state = index_state(index, context->namespace, definition, waits);
		if (state == EXTRA_INDEX_MISSING && why != NULL)
			report_obstacle(problems, index, why);
		else if (state == EXTRA_INDEX_MISSING)
			definitions = lappend(definitions, definition);
		else if (state == EXTRA_INDEX_OTHER)
			report_other_index(problems, index, definition);
		else if (state == EXTRA_INDEX_LOCKED)
			syncmaster_add_finding(
				problems, SEVERITY_WARNING, NULL, "index",
				psprintf("extra index \"%s\" was not looked at, because table "
						 "\"%s\" is locked",
						 index->name, index->table),
				"Ask again later.");
	}
	return definitions;
}

/*
 * Build an index, unless another session has built it while this one waited
 * for the lock.
 */
static void
build_index(const MigrationContext *context, const ExtraIndex *index)
{
	char *definition = index_definition(index, context->schema);
	Oid	  table = get_relname_relid(index->table, context->namespace);

	if (!OidIsValid(table) || obstacle(index, table) != NULL ||
		index_state(index, context->namespace, definition, true) !=
			EXTRA_INDEX_MISSING)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_lock_relation(table, ShareLock);
	syncmaster_lock_partitions(table, ShareLock);
	if (index_state(index, context->namespace, definition, true) !=
		EXTRA_INDEX_PRESENT)
		syncmaster_run_statements(context, definition, "syncmaster");
}

/*
 * Lock the tables of all indexes in this state together: no lock is given back
 * before the transaction ends.
 */
static void
lock_tables(const MigrationContext *context, ExtraIndexState state,
			LOCKMODE mode)
{
	List *locks = NIL;

	for (int i = 0; i < nextra_indexes; i++)
	{
		const ExtraIndex *index = &extra_indexes[i];
		Oid table = get_relname_relid(index->table, context->namespace);

		if (OidIsValid(table) && obstacle(index, table) == NULL &&
			index_state(index, context->namespace,
						index_definition(index, context->schema),
						true) == state)
			locks = syncmaster_add_lock(locks, table, mode);
	}
	if (locks == NIL)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_lock_together(locks);
}

/*
 * Build all missing indexes; report at "elevel" why others are not built.
 */
void
syncmaster_build_indexes(const MigrationContext *context, int elevel)
{
	List *problems = NIL;

	/*
	 * what other sessions create during the wait for a lock is reported as
	 * well
	 */
	lock_tables(context, EXTRA_INDEX_MISSING, ShareLock);
	(void) syncmaster_missing_indexes(context, NIL, true, &problems);
	syncmaster_report_findings(problems, elevel);
	for (int i = 0; i < nextra_indexes; i++)
		build_index(context, &extra_indexes[i]);
}

/*
 * Drop the indexes that have the name and the definition of an extra index.
 */
void
syncmaster_remove_indexes(const MigrationContext *context)
{
	lock_tables(context, EXTRA_INDEX_PRESENT, AccessExclusiveLock);
	for (int i = 0; i < nextra_indexes; i++)
	{
		const ExtraIndex *index = &extra_indexes[i];
		char			 *definition = index_definition(index, context->schema);

		/* another session may have dropped it before this one got the lock */
		if (index_state(index, context->namespace, definition, true) ==
			EXTRA_INDEX_PRESENT)
			syncmaster_run_statements(
				context,
				psprintf("DROP INDEX IF EXISTS %s",
						 quote_qualified_identifier(context->schema,
													index->name)),
				"syncmaster");
	}
}

/*
 * Names of the extra indexes that exist, as a list of C strings.
 */
static List *
present_indexes(const MigrationContext *context)
{
	List *names = NIL;

	for (int i = 0; i < nextra_indexes; i++)
	{
		if (OidIsValid(
				get_relname_relid(extra_indexes[i].name, context->namespace)))
			names = lappend(names, unconstify(char *, extra_indexes[i].name));
	}
	return names;
}

/*
 * Return the names that are in the first list but not in the second.
 */
static void
return_difference(ReturnSetInfo *result, List *names, List *others)
{
	ListCell *lc;

	foreach (lc, names)
	{
		Datum value = CStringGetTextDatum(lfirst(lc));
		bool  isnull = false;

		if (!list_member_ptr(others, lfirst(lc)))
			syncmaster_put_row(result, &value, &isnull);
	}
}

/*
 * syncmaster_create_indexes() returns the names of the indexes that it has
 * built.
 */
Datum
syncmaster_create_indexes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	*result = syncmaster_begin_result(fcinfo);
	MigrationContext context;
	List			*before;

	syncmaster_begin_command(&context, "syncmaster_create_indexes()");
	syncmaster_lock_version_table(&context);
	syncmaster_refuse_newer(context.namespace);
	before = present_indexes(&context);
	syncmaster_build_indexes(&context, ERROR);
	return_difference(result, present_indexes(&context), before);

	return (Datum) 0;
}

/*
 * syncmaster_drop_indexes() returns the names of the indexes that it has
 * dropped.
 */
Datum
syncmaster_drop_indexes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	*result = syncmaster_begin_result(fcinfo);
	MigrationContext context;
	List			*before;

	syncmaster_begin_command(&context, "syncmaster_drop_indexes()");
	syncmaster_lock_version_table(&context);
	syncmaster_warn_of_newer(context.namespace);
	before = present_indexes(&context);
	syncmaster_remove_indexes(&context);
	return_difference(result, before, present_indexes(&context));

	return (Datum) 0;
}
