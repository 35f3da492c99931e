/*-------------------------------------------------------------------------
 *
 * history.c
 *	  The record of migrations.
 *
 * It is an ordinary table, so that a dump brings it along, in a schema of its
 * own, because Alembic's check takes an extra table beside the application's
 * for a difference.  PUBLIC may read it: a table that the dumping role cannot
 * read makes its pg_dump fail.
 *
 * The role that migrates, which may create schemas, creates this one for the
 * tables' owner, who often may not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "base/compat.h"
#include "schema/schema.h"

#define HISTORY_NATTS 7

static const Oid history_types[HISTORY_NATTS] = {
	TIMESTAMPTZOID, NAMEOID, TEXTOID, TEXTOID, NAMEOID, INTERVALOID, TEXTOID};

PG_FUNCTION_INFO_V1(syncmaster_history);

Oid
syncmaster_find_history(void)
{
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);

	return OidIsValid(namespace) ? get_relname_relid(HISTORY_TABLE, namespace)
								 : InvalidOid;
}

/*
 * Return whether this is the table that create_history() creates.  Another
 * relation of that name must not be read or written: an attacker may have
 * created it.
 */
static bool
is_history_table(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION || desc->natts < HISTORY_NATTS)
		return false;
	for (int i = 0; i < HISTORY_NATTS; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated != '\0' ||
			att->atttypid != history_types[i])
			return false;
	}
	return true;
}

/*
 * Like is_history_table(), for the OID of a relation that the caller has
 * locked.
 */
bool
syncmaster_is_history(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	bool	 result = is_history_table(rel);

	relation_close(rel, NoLock);
	return result;
}

static void
add_foreign_part(List **parts, const char *kind, const char *name, Oid holder,
				 Oid owner, Oid new_owner)
{
	ForeignPart *part;

	if (!OidIsValid(holder) || has_privs_of_role(holder, owner) ||
		holder == new_owner)
		return;
	part = palloc(sizeof(ForeignPart));
	part->kind = kind;
	part->name = name;
	part->holder = holder;
	*parts = lappend(*parts, part);
}

/*
 * The parts of the record (schema and table) that another role may have
 * created first, as a list of ForeignPart; the table is invalid if there is
 * none.  The schema counts without the table, too: the next migration would
 * create the table for the schema's owner.  Parts that another session drops
 * meanwhile are left out, and so are parts of the role that is about to be the
 * owner, if any.
 */
List *
syncmaster_foreign_history(Oid relid, Oid owner, Oid new_owner)
{
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);
	List *parts = NIL;

	if (OidIsValid(namespace))
		add_foreign_part(&parts, "schema", HISTORY_SCHEMA,
						 syncmaster_schema_owner(namespace), owner, new_owner);
	if (OidIsValid(relid))
		add_foreign_part(&parts, "table", HISTORY_NAME,
						 syncmaster_find_owner(relid), owner, new_owner);
	return parts;
}

/*
 * The command that renames the schema if another role may have created it
 * first, with all that is in it; NULL if the schema is trusted.
 */
const char *
syncmaster_rename_foreign_schema(Oid owner)
{
	return syncmaster_foreign_history(InvalidOid, owner, InvalidOid) == NIL
			   ? NULL
			   : "ALTER SCHEMA " HISTORY_SCHEMA " RENAME TO " HISTORY_SCHEMA
				 "_other";
}

static void
owner_error(List **findings, const ForeignPart *part, Oid owner)
{
	Finding *finding;

	finding = syncmaster_add_error(
		findings, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "history",
		finding_message("%s \"%s\" belongs to role \"%s\", who lacks the "
						"rights of the tables' owner \"%s\"",
						part->kind, part->name,
						GetUserNameFromId(part->holder, false),
						GetUserNameFromId(owner, false)),
		psprintf("Rename or drop it, or give it to role \"%s\" if it is "
				 "to be trusted, and run the command again.",
				 GetUserNameFromId(owner, false)));
	finding->kind = part->kind;
	finding->detail = pstrdup("Somebody else may have made it, to have code "
							  "of his run when the record is written.");
}

/*
 * Report why the record must not be written.  A table that another role
 * created first under this name is not the record: it has to belong to the
 * owner of the application's tables, or to a role that has his rights, or to
 * the role that is about to be the owner, if any.  The caller has locked the
 * table; it is invalid if there is none.
 */
void
syncmaster_history_errors(List **findings, Oid relid, Oid owner, Oid new_owner)
{
	ListCell *lc;

	if (OidIsValid(relid) && !syncmaster_is_history(relid))
	{
		syncmaster_add_error(
			findings, ERRCODE_WRONG_OBJECT_TYPE, "history",
			finding_message("relation \"%s\" is not the history table of "
							"extension \"syncmaster\"",
							HISTORY_NAME),
			"Rename or drop it, and run the command again.")
			->kind = "relation";
		return;
	}
	foreach (lc, syncmaster_foreign_history(relid, owner, new_owner))
	{
		owner_error(findings, lfirst(lc), owner);
	}
	if (OidIsValid(relid))
		*findings = list_concat(
			*findings,
			syncmaster_distrusted(relid, syncmaster_relation_owner(relid),
								  EVENT_ANY));
}

/*
 * Create the schema if it does not exist.  Returns its owner; invalid if
 * nobody in this session may create it.
 */
Oid
syncmaster_require_history_schema(const MigrationContext *context)
{
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);
	Oid creator = GetUserId();
	Oid owner;

	if (OidIsValid(namespace))
		return syncmaster_schema_owner(namespace);
	if (!has_database_create(MyDatabaseId, creator))
		return InvalidOid;

	/* with an owner who has fewer rights, the record would not be trusted */
	if (can_act_as(creator, context->owner))
		owner = context->owner;
	else if (has_privs_of_role(creator, context->owner))
		owner = creator;
	else
		return InvalidOid;
	syncmaster_execute_as(psprintf("CREATE SCHEMA " HISTORY_SCHEMA
								   " AUTHORIZATION %s",
								   syncmaster_quoted_role(owner)),
						  creator);
	CommandCounterIncrement();

	/*
	 * As the role that created it: Citus has a connection for each role, and
	 * other connections do not see the schema yet.
	 */
	syncmaster_execute_as("COMMENT ON SCHEMA " HISTORY_SCHEMA
						  " IS 'record of SyncMaster''s migrations'",
						  creator);
	syncmaster_execute_as("GRANT USAGE ON SCHEMA " HISTORY_SCHEMA " TO PUBLIC",
						  creator);
	return owner;
}

/*
 * Create the schema and the table if they are missing.  Returns false if
 * nobody in this session may do so.
 */
static bool
create_history(const MigrationContext *context)
{
	Oid owner = syncmaster_require_history_schema(context);

	if (!OidIsValid(owner))
		return false;
	syncmaster_execute_as("CREATE TABLE " HISTORY_NAME " ("
						  "applied_at timestamptz NOT NULL, "
						  "schema_name name NOT NULL, "
						  "from_revision text, "
						  "to_revision text, "
						  "applied_by name NOT NULL, "
						  "duration interval NOT NULL, "
						  "library_version text NOT NULL)",
						  owner);
	CommandCounterIncrement();
	syncmaster_execute_as("COMMENT ON TABLE " HISTORY_NAME
						  " IS 'migrations that the extension syncmaster ran; "
						  "a NULL revision stands for no schema'",
						  owner);
	syncmaster_execute_as("GRANT SELECT ON " HISTORY_NAME " TO PUBLIC", owner);

	return true;
}

/*
 * Record one step.
 */
void
syncmaster_record_migration(const MigrationContext *context, int from, int to,
							TimestampTz started)
{
	Oid			types[HISTORY_NATTS];
	Datum		values[HISTORY_NATTS];
	TimestampTz now = GetCurrentTimestamp();
	NameData	schema;
	NameData	applied_by;
	List	   *findings = NIL;
	Oid			relid = syncmaster_find_history();

	if (!OidIsValid(relid))
	{
		if (!create_history(context))
		{
			ereport(WARNING,
					(errmsg("the migration is not recorded"),
					 errdetail("Role \"%s\" may not create schema \"%s\".",
							   GetUserNameFromId(GetUserId(), false),
							   HISTORY_SCHEMA)));
			return;
		}
		CommandCounterIncrement();
		relid = syncmaster_find_history();
	}

	syncmaster_lock_relation(relid, RowExclusiveLock);
	syncmaster_history_errors(&findings, relid, context->owner, InvalidOid);
	syncmaster_raise_error(findings);

	namestrcpy(&schema, context->schema);
	namestrcpy(&applied_by, GetUserNameFromId(context->caller, false));

	memcpy(types, history_types, sizeof(types));
	values[0] = TimestampTzGetDatum(now);
	values[1] = NameGetDatum(&schema);
	values[2] = CStringGetTextDatum(syncmaster_revision_id(from));
	values[3] = CStringGetTextDatum(syncmaster_revision_id(to));
	values[4] = NameGetDatum(&applied_by);
	values[5] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(now),
									TimestampTzGetDatum(started));
	values[6] = CStringGetTextDatum(SYNCMASTER_VERSION);
	syncmaster_execute_params("INSERT INTO " HISTORY_NAME
							  " (applied_at, schema_name, from_revision, "
							  "to_revision, applied_by, duration, "
							  "library_version) VALUES ($1, $2, "
							  "NULLIF($3, 'base'), NULLIF($4, 'base'), "
							  "$5, $6, $7)",
							  syncmaster_relation_owner(relid), HISTORY_NATTS,
							  types, values);
}

/*
 * The record, of all schemas that the extension was ever in.  Read directly:
 * the table may belong to another role, and a policy of that role must not
 * run with the reader's rights.
 */
Datum
syncmaster_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);
	Relation   rel = NULL;
	DirectScan scan;

	if (OidIsValid(namespace))
		rel = syncmaster_open_named(HISTORY_TABLE, namespace, AccessShareLock);
	if (rel == NULL)
		return (Datum) 0;
	syncmaster_refuse_distributed(RelationGetRelid(rel));
	if (is_history_table(rel) && syncmaster_begin_scan(&scan, rel))
	{
		while (syncmaster_next_row(&scan))
		{
			slot_getallattrs(scan.slot);
			syncmaster_put_row(result, scan.slot->tts_values,
							   scan.slot->tts_isnull);
		}
		syncmaster_end_scan(&scan);
	}
	relation_close(rel, AccessShareLock);

	return (Datum) 0;
}
