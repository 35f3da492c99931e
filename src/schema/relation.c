/*-------------------------------------------------------------------------
 *
 * relation.c
 *	  The application's tables and free-standing sequences, and whether those
 *	  in a database have the shape that a migration relies on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "schema/schema.h"

/* What problems of shape are listed under. */
#define SUBJECT "schema"

#define TIMESTAMPS \
	{"created_at", TIMESTAMPTZOID, 0, true, DEFAULT_NOW}, \
	{ \
		"updated_at", TIMESTAMPTZOID, 0, true, DEFAULT_NOW \
	}
#define SEARCH_VECTOR \
	{ \
		"search_vector", TSVECTOROID, 0, true, DEFAULT_GENERATED \
	}
#define SERIAL_ID \
	{ \
		"id", INT8OID, 0, true, DEFAULT_SERIAL \
	}
#define END_OF_COLUMNS \
	{ \
		NULL, InvalidOid, 0, false, DEFAULT_NONE \
	}
#define SEARCH_VECTOR \
	{ \
		"search_vector", TSVECTOROID, 0, true, DEFAULT_GENERATED \
	}
#define SERIAL_ID \
	{ \
		"id", INT8OID, 0, true, DEFAULT_SERIAL \
	}
#define END_OF_COLUMNS \
	{ \
		NULL, InvalidOid, 0, false, DEFAULT_NONE \
	}

static const ColumnInfo user_columns[] = {
	SERIAL_ID,
	{"username", VARCHAROID, 256, true, DEFAULT_NONE},
	{"email", VARCHAROID, 256, false, DEFAULT_NONE},
	{"first_name", VARCHAROID, 256, false, DEFAULT_NONE},
	{"last_name", VARCHAROID, 256, false, DEFAULT_NONE},
	{"middle_name", VARCHAROID, 256, false, DEFAULT_NONE},
	{"is_superuser", BOOLOID, 0, true, DEFAULT_NONE},
	{"is_active", BOOLOID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	END_OF_COLUMNS};

static const ColumnInfo group_columns[] = {
	SERIAL_ID,
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	{"owner_id", INT8OID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const ColumnInfo queue_columns[] = {
	SERIAL_ID,
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"slug", VARCHAROID, 256, true, DEFAULT_NONE},
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const ColumnInfo connection_columns[] = {
	SERIAL_ID,
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"type", VARCHAROID, 32, true, DEFAULT_NONE},
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	{"data", JSONOID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const ColumnInfo user_group_columns[] = {
	{"user_id", INT8OID, 0, true, DEFAULT_NONE},
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"role", VARCHAROID, 255, true, DEFAULT_NONE},
	END_OF_COLUMNS};

static const ColumnInfo auth_data_columns[] = {
	{"connection_id", INT8OID, 0, true, DEFAULT_NONE},
	{"value", VARCHAROID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	END_OF_COLUMNS};

static const ColumnInfo transfer_columns[] = {
	SERIAL_ID,
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	{"source_connection_id", INT8OID, 0, true, DEFAULT_NONE},
	{"target_connection_id", INT8OID, 0, true, DEFAULT_NONE},
	{"strategy_params", JSONOID, 0, true, DEFAULT_NONE},
	{"source_params", JSONOID, 0, true, DEFAULT_NONE},
	{"target_params", JSONOID, 0, true, DEFAULT_NONE},
	{"transformations", JSONOID, 0, true, DEFAULT_NONE},
	{"resources", JSONOID, 0, true, DEFAULT_NONE},
	{"is_scheduled", BOOLOID, 0, true, DEFAULT_NONE},
	{"schedule", VARCHAROID, 32, true, DEFAULT_NONE},
	{"queue_id", INT8OID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const ColumnInfo run_columns[] = {
	SERIAL_ID,
	{"transfer_id", INT8OID, 0, true, DEFAULT_NONE},
	{"started_at", TIMESTAMPTZOID, 0, false, DEFAULT_NONE},
	{"ended_at", TIMESTAMPTZOID, 0, false, DEFAULT_NONE},
	{"status", VARCHAROID, 255, true, DEFAULT_NONE},
	{"type", VARCHAROID, 64, true, DEFAULT_NONE},
	{"log_url", VARCHAROID, 512, false, DEFAULT_NONE},
	{"transfer_dump", JSONOID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	END_OF_COLUMNS};

/* Celery without extended results makes the first six columns only. */
static const ColumnInfo taskmeta_columns[] = {
	{"id", INT4OID, 0, true, DEFAULT_NONE},
	{"task_id", VARCHAROID, 155, false, DEFAULT_NONE},
	{"status", VARCHAROID, 50, false, DEFAULT_NONE},
	{"result", BYTEAOID, 0, false, DEFAULT_NONE},
	{"date_done", TIMESTAMPOID, 0, false, DEFAULT_NONE},
	{"traceback", TEXTOID, 0, false, DEFAULT_NONE},
	{"name", VARCHAROID, 155, false, DEFAULT_NONE},
	{"args", BYTEAOID, 0, false, DEFAULT_NONE},
	{"kwargs", BYTEAOID, 0, false, DEFAULT_NONE},
	{"worker", VARCHAROID, 155, false, DEFAULT_NONE},
	{"retries", INT4OID, 0, false, DEFAULT_NONE},
	{"queue", VARCHAROID, 155, false, DEFAULT_NONE},
	END_OF_COLUMNS};

static const ColumnInfo tasksetmeta_columns[] = {
	{"id", INT4OID, 0, true, DEFAULT_NONE},
	{"taskset_id", VARCHAROID, 155, false, DEFAULT_NONE},
	{"result", BYTEAOID, 0, false, DEFAULT_NONE},
	{"date_done", TIMESTAMPOID, 0, false, DEFAULT_NONE},
	END_OF_COLUMNS};

static const ColumnInfo apscheduler_columns[] = {
	{"id", VARCHAROID, 191, true, DEFAULT_NONE},
	{"next_run_time", FLOAT8OID, 0, false, DEFAULT_NONE},
	{"job_state", BYTEAOID, 0, true, DEFAULT_NONE},
	END_OF_COLUMNS};

static const ColumnInfo version_columns[] = {{"version_num", VARCHAROID, 32,
											  true, DEFAULT_NONE},
											 END_OF_COLUMNS};

/* Alembic's own table, which is there from the first revision on. */
const RelationInfo syncmaster_version_relation = {
	"alembic_version", RELKIND_RELATION, 1, false, version_columns, 0};

/* In the order of their making, parents first. */
const RelationInfo syncmaster_relations[] = {
	{"user", RELKIND_RELATION, 1, false, user_columns, 0},
	{"group", RELKIND_RELATION, 2, false, group_columns, 0},
	{"queue", RELKIND_RELATION, 3, false, queue_columns, 0},
	{"connection", RELKIND_RELATION, 4, false, connection_columns, 0},
	{"user_group", RELKIND_RELATION, 5, false, user_group_columns, 0},
	{"auth_data", RELKIND_RELATION, 6, false, auth_data_columns, 0},
	{"transfer", RELKIND_RELATION, 7, false, transfer_columns, 0},
	{"run", RELKIND_RELATION, 8, false, run_columns, 0},
	{"task_id_sequence", RELKIND_SEQUENCE, 9, true, NULL, 0},
	{"celery_taskmeta", RELKIND_RELATION, 9, true, taskmeta_columns, 6},
	{"taskset_id_sequence", RELKIND_SEQUENCE, 9, true, NULL, 0},
	{"celery_tasksetmeta", RELKIND_RELATION, 9, true, tasksetmeta_columns, 0},
	{"apscheduler_jobs", RELKIND_RELATION, 11, true, apscheduler_columns, 0},
};
const int syncmaster_nrelations = lengthof(syncmaster_relations);

Oid
syncmaster_relation_oid(const RelationInfo *relation, Oid namespace)
{
	return get_relname_relid(relation->name, namespace);
}

int
syncmaster_columns_required(const RelationInfo *relation)
{
	int count = 0;

	if (relation->columns == NULL || relation->required > 0)
		return relation->required;
	while (relation->columns[count].name != NULL)
		count++;
	return count;
}

/*
 * First of the tables that only SyncMaster makes that is in the schema; NULL
 * if there is none.
 */
const RelationInfo *
syncmaster_first_relation(Oid namespace)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (!relation->foreign_made &&
			OidIsValid(syncmaster_relation_oid(relation, namespace)))
			return relation;
	}
	return NULL;
}

/*
 * Are all tables there that only SyncMaster makes?
 */
bool
syncmaster_has_own_tables(Oid namespace)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (!relation->foreign_made &&
			!OidIsValid(syncmaster_relation_oid(relation, namespace)))
			return false;
	}
	return true;
}

/*
 * Are all of Celery's and APScheduler's relations there that the revision
 * says?  Others make them, and may have made only some; a step that needs one
 * would fail.
 */
bool
syncmaster_is_complete(Oid namespace, int revision)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (relation->foreign_made && relation->revision <= revision &&
			!OidIsValid(syncmaster_relation_oid(relation, namespace)))
			return false;
	}
	return true;
}

static void
check_columns(List **problems, const RelationInfo *relation, Oid relid,
			  const char *schema)
{
	int required = syncmaster_columns_required(relation);

	for (int i = 0; relation->columns[i].name != NULL; i++)
	{
		const ColumnInfo *column = &relation->columns[i];
		HeapTuple tuple = SearchSysCacheAttName(relid, column->name);
		Oid type;

		if (!HeapTupleIsValid(tuple))
		{
			if (i < required)
				syncmaster_add_error(
					problems, ERRCODE_UNDEFINED_COLUMN, SUBJECT,
					finding_message("column \"%s\" of table \"%s.%s\" is "
									"missing",
									column->name, schema, relation->name),
					psprintf("Add it with type %s, or correct the revision "
							 "in alembic_version, and run the command again.",
							 format_type_be(column->type)));
			continue;
		}
		type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
		ReleaseSysCache(tuple);

		if (type != column->type)
			syncmaster_add_error(
				problems, ERRCODE_DATATYPE_MISMATCH, SUBJECT,
				finding_message("column \"%s\" of table \"%s.%s\" is of type "
								"%s instead of %s",
								column->name, schema, relation->name,
								format_type_be(type),
								format_type_be(column->type)),
				"Change it back with ALTER TABLE ... ALTER COLUMN ... TYPE "
				"... USING ..., and run the command again.");
	}
}

/*
 * One relation, against what the revision says of it.
 */
static void
check_relation(List **problems, const RelationInfo *relation, Oid namespace,
			   int revision)
{
	char *schema = get_namespace_name(namespace);
	Oid relid = syncmaster_relation_oid(relation, namespace);

	if (!OidIsValid(relid))
	{
		if (relation->revision <= revision && !relation->foreign_made)
			syncmaster_add_error(
				problems, ERRCODE_UNDEFINED_TABLE, SUBJECT,
				finding_message("table \"%s.%s\" is missing, although the "
								"schema is at revision %s",
								schema, relation->name,
								syncmaster_revision_id(revision)),
				"Restore the table, or correct the revision in "
				"alembic_version.");
	}
	else if (relation->revision > revision && !relation->foreign_made)
		syncmaster_add_error(
			problems, ERRCODE_DUPLICATE_TABLE, SUBJECT,
			finding_message("table \"%s.%s\" exists, although the schema is "
							"at revision %s",
							schema, relation->name,
							syncmaster_revision_id(revision)),
			"If the table is another application's, use another schema: "
			"CREATE EXTENSION syncmaster SCHEMA name. If it is SyncMaster's, "
			"restore the revision in alembic_version.");
	else if (get_rel_relkind(relid) != relation->kind)
		syncmaster_add_error(
			problems, ERRCODE_WRONG_OBJECT_TYPE, SUBJECT,
			relation->kind == RELKIND_SEQUENCE
				? finding_message("relation \"%s.%s\" is not a sequence",
								  schema, relation->name)
				: finding_message("relation \"%s.%s\" is not an ordinary "
								  "table",
								  schema, relation->name),
			"Rename it, or put back what the application made, and run the "
			"command again.");
	else if (relation->columns != NULL)
		check_columns(problems, relation, relid, schema);
}

/*
 * Tables without a revision: whose are they?
 */
static void
check_leftovers(List **problems, Oid namespace, const SchemaRevision *revision)
{
	const RelationInfo *first = syncmaster_first_relation(namespace);
	char *schema = get_namespace_name(namespace);

	if (first != NULL)
		syncmaster_add_error(
			problems, ERRCODE_DUPLICATE_TABLE, SUBJECT,
			revision->state == REVISION_NO_TABLE
				? finding_message("table \"%s.%s\" exists, but there is no "
								  "table \"alembic_version\"",
								  schema, first->name)
				: finding_message("table \"%s.%s\" exists, but table "
								  "\"alembic_version\" has no row",
								  schema, first->name),
			"If the tables are SyncMaster's, write their revision with "
			"\"syncmaster-db stamp REVISION\". If they are another "
			"application's, use another schema: CREATE EXTENSION syncmaster "
			"SCHEMA name.");
}

/*
 * Do the application's relations have the kind, the columns and the types
 * that the revision says?  Lengths, defaults, keys and indexes may differ: no
 * migration trips over them.
 */
List *
syncmaster_shape_problems(Oid namespace, const SchemaRevision *revision)
{
	List *problems = NIL;

	if (revision->number == REVISION_BASE)
		check_leftovers(&problems, namespace, revision);
	if (problems != NIL)
		return problems;
	for (int i = 0; i < syncmaster_nrelations; i++)
		check_relation(&problems, &syncmaster_relations[i], namespace,
					   revision->number);

	return problems;
}

static void
report_length(const RelationInfo *relation, Oid relid, const ColumnInfo *column)
{
	HeapTuple tuple = SearchSysCacheAttName(relid, column->name);
	int32 expected = column->length == 0 ? -1 : column->length + VARHDRSZ;
	int32 actual;

	if (!HeapTupleIsValid(tuple))
		return;
	actual = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypmod;
	ReleaseSysCache(tuple);
	if (actual == expected)
		return;

	ereport(WARNING,
			(errmsg("column \"%s\" of table \"%s\" is %s, where SyncMaster now "
					"makes %s",
					column->name, relation->name,
					format_type_with_typemod(VARCHAROID, actual),
					format_type_with_typemod(VARCHAROID, expected)),
			 actual < expected || expected < 0
				 ? errhint("It is left as it is. To make it longer, which "
						   "rewrites nothing: ALTER TABLE %s ALTER COLUMN %s "
						   "TYPE %s.",
						   quote_qualified_identifier(
							   get_namespace_name(get_rel_namespace(relid)),
							   relation->name),
						   quote_identifier(column->name),
						   format_type_with_typemod(VARCHAROID, expected))
				 : errhint("It is left as it is, which does no harm.")));
}

/*
 * Warn about columns whose length is not the one that the migrations make
 * today.  SyncMaster edited released migrations, so that a database born with
 * 0.2.0 has other lengths at the same revision.
 */
void
syncmaster_report_lengths(Oid namespace, int revision)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, namespace);

		if (relation->columns == NULL || relation->revision > revision ||
			!OidIsValid(relid))
			continue;
		for (const ColumnInfo *column = relation->columns; column->name != NULL;
			 column++)
		{
			if (column->type == VARCHAROID)
				report_length(relation, relid, column);
		}
	}
}
