/*-------------------------------------------------------------------------
 *
 * context.c
 *	  For whom and where a migration runs, and whether it may.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "schema/schema.h"

Oid
syncmaster_database_owner(void)
{
	return GetSysCacheOid1(DATABASEOID, Anum_pg_database_datdba,
						   ObjectIdGetDatum(MyDatabaseId));
}

/*
 * The privileges that an owner of the tables needs on their schema and lacks,
 * as GRANT names them; NULL if none.
 */
const char *
syncmaster_lacking_on_schema(Oid namespace, Oid role)
{
	bool usage = has_schema_usage(namespace, role);
	bool create = has_schema_create(namespace, role);

	if (usage)
		return create ? NULL : "CREATE";
	return create ? "USAGE" : "USAGE, CREATE";
}

/*
 * Return the owner of the tables.  In an empty database this is the database
 * owner's, if that role may make tables in the schema, else the schema
 * owner's; of these only a role that the caller may act as.
 */
static Oid
find_owner(Oid caller, Oid namespace)
{
	const RelationInfo *first = syncmaster_first_relation(namespace);
	Oid relid = first != NULL ? syncmaster_relation_oid(first, namespace)
							  : get_relname_relid(VERSION_TABLE, namespace);
	Oid owner;

	if (OidIsValid(relid))
		return syncmaster_relation_owner(relid);

	owner = syncmaster_database_owner();
	if (has_privs_of_role(caller, owner) &&
		syncmaster_lacking_on_schema(namespace, owner) == NULL)
		return owner;
	owner = syncmaster_schema_owner(namespace);
	return OidIsValid(owner) && has_privs_of_role(caller, owner) ? owner
																 : caller;
}

/*
 * Warn if the database owner will not own new tables.
 */
void
syncmaster_warn_owner(const MigrationContext *context)
{
	Oid			owner = syncmaster_database_owner();
	char	   *name = GetUserNameFromId(owner, false);
	const char *lacking;

	if (owner == context->owner || !has_privs_of_role(context->caller, owner))
		return;
	lacking = syncmaster_lacking_on_schema(context->namespace, owner);
	ereport(WARNING,
			(errmsg("the tables are made for role \"%s\", not for the "
					"database's owner \"%s\"",
					GetUserNameFromId(context->owner, false), name),
			 OidIsValid(get_relname_relid(VERSION_TABLE, context->namespace))
				 ? errdetail("Table \"alembic_version\" belongs to that role.")
				 : errdetail("The database's owner lacks %s on schema "
							 "\"%s\".",
							 lacking != NULL ? lacking : "CREATE",
							 context->schema),
			 errhint("To give them to the database's owner: %sSELECT %s(%s);",
					 lacking == NULL
						 ? ""
						 : psprintf("GRANT %s ON SCHEMA %s TO %s; ", lacking,
									quote_identifier(context->schema),
									quote_identifier(name)),
					 quote_qualified_identifier(context->schema,
												"syncmaster_set_owner"),
					 quote_literal_cstr(name))));
}

void
syncmaster_fill_context(MigrationContext *context, Oid caller)
{
	ExtensionEntry extension;

	memset(context, 0, sizeof(*context));
	syncmaster_get_extension(&extension);
	context->caller = caller;
	context->namespace = extension.namespace;
	context->schema = extension.namespace_name;
	context->owner = find_owner(caller, extension.namespace);
}

/*
 * Return whether the caller may migrate tables of that owner.
 */
bool
syncmaster_may_migrate(Oid caller, Oid owner)
{
	return has_privs_of_role(caller, owner) ||
		   has_privs_of_role(caller, syncmaster_database_owner());
}

static void
rights_problem(List **problems, const MigrationContext *context, Oid owner)
{
	Finding *finding;
	char	*places;

	if (syncmaster_may_migrate(context->caller, owner))
		return;
	finding = syncmaster_add_error(
		problems, ERRCODE_INSUFFICIENT_PRIVILEGE, "rights",
		finding_message("role \"%s\" may not migrate the tables of role "
						"\"%s\"",
						GetUserNameFromId(context->caller, false),
						GetUserNameFromId(owner, false)),
		"Run the command as a superuser, as the owner of the database or "
		"as the owner of the tables.");
	places = syncmaster_describe_places(context->namespace);
	if (places != NULL)
		finding->detail = psprintf(
			"The extension is in schema \"%s\" of database \"%s\", and does "
			"not reach the tables of SyncMaster in %s, which may be meant.",
			context->schema, current_database_name(), places);
}

/*
 * Report a distributed table while Citus is told not to repeat DDL: a change
 * would reach the table on this node, but none of its shards.
 */
void
syncmaster_report_kept_ddl(List **problems, const MigrationContext *context)
{
	const char *propagation = GetConfigOption("citus.enable_ddl_propagation",
											  true, false);

	if (propagation == NULL || strcmp(propagation, "off") != 0)
		return;
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, context->namespace);

		if (!OidIsValid(relid) || !syncmaster_is_distributed(relid))
			continue;
		syncmaster_add_error(
			problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "server",
			finding_message("table \"%s\" is distributed by Citus, and "
							"citus.enable_ddl_propagation is off",
							relation->name),
			"SET citus.enable_ddl_propagation = on in the session.")
			->detail = "A change would reach the table on this node, but not "
					   "its shards.";
		return;
	}
}

/*
 * Report the tables that the caller may not migrate.  Each is checked,
 * because statements run as their owners.  Scripts of a trusted extension run
 * with a superuser's rights even if the caller has few.
 */
List *
syncmaster_caller_problems(const MigrationContext *context)
{
	List *problems = NIL;
	Oid	  version_table = get_relname_relid(VERSION_TABLE, context->namespace);

	syncmaster_report_kept_ddl(&problems, context);
	rights_problem(&problems, context, context->owner);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		Oid relid = syncmaster_relation_oid(&syncmaster_relations[i],
											context->namespace);

		if (OidIsValid(relid))
			rights_problem(&problems, context,
						   syncmaster_relation_owner(relid));
	}
	if (OidIsValid(version_table))
		rights_problem(&problems, context,
					   syncmaster_relation_owner(version_table));

	return problems;
}

/*
 * Report a schema's name that scripts cannot have.  The name becomes part of
 * the scripts and of strings in them.  The server refuses the same names, or
 * with older minor versions some of them, when it runs a script; but a schema
 * can be renamed later.  pg_catalog is where tables would go if search_path
 * begins with it.
 */
void
syncmaster_report_name(List **findings, const char *schema)
{
	static const char *const refused[] = {
		"\"", "$",	"'",  "\\",			"\n",		  "\r",
		"--", "/*", "*/", "@extschema", "@extowner@", "MODULE_PATHNAME"};

	if (IsReservedName(schema) || strcmp(schema, "information_schema") == 0)
	{
		syncmaster_add_error(
			findings, ERRCODE_INVALID_SCHEMA_NAME, "schema",
			finding_message("schema \"%s\" is reserved for the server", schema),
			"DROP EXTENSION syncmaster, if it is there, and say which schema "
			"is "
			"meant: CREATE EXTENSION syncmaster SCHEMA public.")
			->detail = "Without SCHEMA, the first schema of search_path is "
					   "taken.";
		return;
	}
	for (int i = 0; i < (int) lengthof(refused); i++)
	{
		if (strstr(schema, refused[i]) == NULL)
			continue;
		syncmaster_add_error(findings, ERRCODE_INVALID_NAME, "schema",
							 finding_message("invalid name of schema \"%s\"",
											 schema),
							 "Rename the schema, and run the command again.")
			->detail = "It must not contain quotes, dollar signs, backslashes, "
					   "line breaks, \"--\", \"/*\", \"*/\", \"@extschema\", "
					   "\"@extowner@\" or \"MODULE_PATHNAME\".";
		return;
	}
}

/*
 * Fill the context for a command that changes something in the schema, which
 * keeps its name until the command's transaction has ended.
 */
void
syncmaster_fill_context_to_change(MigrationContext *context, Oid caller)
{
	syncmaster_fill_context(context, caller);
	context->schema = syncmaster_hold_schema(context->namespace);
}

/*
 * Like syncmaster_fill_context_to_change(), and refuse a caller who may not
 * migrate the tables.  The first look at alembic_version waits for its lock no
 * longer than any other statement.
 */
void
syncmaster_begin_migration(MigrationContext *context, Oid caller)
{
	Oid	  version_table;
	List *problems = NIL;

	syncmaster_fill_context_to_change(context, caller);
	syncmaster_report_name(&problems, context->schema);
	problems = list_concat(problems, syncmaster_caller_problems(context));
	syncmaster_raise_error(problems);

	version_table = get_relname_relid(VERSION_TABLE, context->namespace);
	if (OidIsValid(version_table))
		syncmaster_lock_relation(version_table, AccessShareLock);
}

/*
 * Refuse a command on a worker of Citus, which has no alembic_version: its
 * tables are managed by the coordinator.
 */
void
syncmaster_refuse_citus_worker(const char *command)
{
	if (syncmaster_is_citus_worker())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot execute %s on a Citus worker", command),
						errhint("Run it on the coordinator.")));
}

/*
 * Refuse a command that writes on a standby, in a read-only transaction, or in a
 * parallel query: a function that calls it may be marked as safe there.
 */
void
syncmaster_require_writable(const char *command)
{
	PreventCommandIfReadOnly(command);
	PreventCommandIfParallelMode(command);
	PreventCommandDuringRecovery(command);
	syncmaster_refuse_citus_worker(command);
	syncmaster_require_library();
}

/*
 * Begin a migration for a function that is called directly.
 */
void
syncmaster_begin_command(MigrationContext *context, const char *command)
{
	syncmaster_require_writable(command);
	syncmaster_begin_migration(context, GetUserId());
}

/*
 * Lock alembic_version against Alembic and other migrations until the
 * transaction ends.  Returns true if the lock was not held before, so that
 * what was read from the table may be out of date.
 */
bool
syncmaster_lock_version_table(const MigrationContext *context)
{
	Oid version_table = get_relname_relid(VERSION_TABLE, context->namespace);
	Relation rel;
	bool	 held;

	if (!OidIsValid(version_table))
		return false;
	syncmaster_lock_relation(version_table, AccessShareLock);
	rel = relation_open(version_table, NoLock);
	held = CheckRelationLockedByMe(rel, ShareRowExclusiveLock, true);
	relation_close(rel, NoLock);
	if (!held)
		syncmaster_lock_relation(version_table, ShareRowExclusiveLock);
	return !held;
}

/*
 * Refuse tables that are not at their revision.  Returns the harmless
 * differences as a list of findings.
 */
List *
syncmaster_require_shape(Oid namespace, const SchemaRevision *revision)
{
	List *problems;

	syncmaster_raise_error(syncmaster_shape_problems(namespace, revision));
	problems = syncmaster_vector_problems(namespace, revision, true);
	syncmaster_raise_error(problems);
	return problems;
}

/*
 * Read the revision, and check that the tables have the shape of that
 * revision.
 */
List *
syncmaster_read_checked_revision(MigrationContext *context)
{
	syncmaster_require_revision(context->namespace, &context->revision);
	return syncmaster_require_shape(context->namespace, &context->revision);
}
