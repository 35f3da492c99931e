/*-------------------------------------------------------------------------
 *
 * relation.c
 *	  Whether the application's tables and sequences in a database have the
 *	  shape that a migration relies on.
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

/* The kind of all findings about the shape. */
#define SUBJECT "schema"

static const ColumnInfo version_columns[] = {{"version_num", VARCHAROID, 32,
											  true, DEFAULT_NONE},
											 END_OF_COLUMNS};

/* Alembic's own table, which exists from the first revision on. */
const RelationInfo syncmaster_version_relation = {.name = VERSION_TABLE,
												  .revision = 1,
												  .kind = RELKIND_RELATION,
												  .columns = version_columns};

Oid
syncmaster_relation_oid(const RelationInfo *relation, Oid namespace)
{
	return get_relname_relid(relation->name, namespace);
}

/*
 * What is known of a table or sequence; NULL if it is not SyncMaster's.
 */
const RelationInfo *
syncmaster_find_relation(const char *name)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		if (strcmp(syncmaster_relations[i].name, name) == 0)
			return &syncmaster_relations[i];
	}
	return NULL;
}

/*
 * Return whether this is the kind of relation that SyncMaster creates, or one
 * that a DBA may replace it by.
 */
bool
syncmaster_is_of_kind(const RelationInfo *relation, Oid relid)
{
	return get_rel_relkind(relid) == relation->kind ||
		   (relation->partitioned_by != NULL &&
			syncmaster_is_partitioned_by(relid, relation->partitioned_by));
}

/*
 * The tables of the application that are in the schema and of the right kind,
 * as a list of OIDs.
 */
List *
syncmaster_present_tables(Oid namespace)
{
	List *tables = NIL;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, namespace);

		if (OidIsValid(relid) && relation->kind == RELKIND_RELATION &&
			syncmaster_is_of_kind(relation, relid))
			tables = lappend_oid(tables, relid);
	}
	return tables;
}

/*
 * Return whether the column with that index, from 0 on, is required.
 */
bool
syncmaster_is_required(const RelationInfo *relation, int column)
{
	return relation->required == 0 || column < relation->required;
}

/*
 * Put a column that a revision adds at the end of the list, which has room for
 * it, or one that it changes in the place of the old one.
 */
static void
change_column(ColumnInfo *columns, const ColumnInfo *change)
{
	int i = 0;

	while (columns[i].name != NULL &&
		   strcmp(columns[i].name, change->name) != 0)
		i++;
	if (columns[i].name == NULL)
		memset(&columns[i + 1], 0, sizeof(ColumnInfo));
	columns[i] = *change;
}

/*
 * The columns of a table at a revision, in their order.
 */
const ColumnInfo *
syncmaster_columns_at(const RelationInfo *relation, int revision)
{
	ColumnInfo *columns = NULL;
	int			count = 0;

	for (int i = relation->revision + 1; i <= revision; i++)
	{
		const ColumnChange *change = syncmaster_revision_info(i)->columns;

		for (; change != NULL && change->table != NULL; change++)
		{
			if (strcmp(change->table, relation->name) != 0)
				continue;
			if (columns == NULL)
			{
				while (relation->columns[count].name != NULL)
					count++;
				columns = palloc((count + 1) * sizeof(ColumnInfo));
				memcpy(columns, relation->columns,
					   (count + 1) * sizeof(ColumnInfo));
			}
			columns = repalloc(columns, (++count + 1) * sizeof(ColumnInfo));
			change_column(columns, &change->column);
		}
	}
	return columns != NULL ? columns : relation->columns;
}

/*
 * The first table in the schema of those that only SyncMaster creates; NULL if
 * there is none.
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
 * Return whether all tables exist that only SyncMaster's migrations create.
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
 * Return whether all of Celery's and APScheduler's relations of the revision
 * exist.  Celery and APScheduler can create them as well, and may have
 * created only some; a step that needs a missing one would fail.
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
			  const char *schema, int revision)
{
	const ColumnInfo *columns = syncmaster_columns_at(relation, revision);

	for (int i = 0; columns[i].name != NULL; i++)
	{
		const ColumnInfo *column = &columns[i];
		HeapTuple		  tuple = SearchSysCacheAttName(relid, column->name);
		Oid				  type;

		if (!HeapTupleIsValid(tuple))
		{
			if (syncmaster_is_required(relation, i))
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
 * Compare one relation with what the revision says of it.
 */
static void
check_relation(List **problems, const RelationInfo *relation, Oid namespace,
			   int revision)
{
	char *schema = get_namespace_name(namespace);
	Oid	  relid = syncmaster_relation_oid(relation, namespace);

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
	else if (relation->partitioned_by != NULL &&
			 syncmaster_is_partitioned(relid) &&
			 !syncmaster_is_of_kind(relation, relid))
		syncmaster_add_error(
			problems, ERRCODE_WRONG_OBJECT_TYPE, SUBJECT,
			finding_message("table \"%s.%s\" is partitioned, but not by ranges "
							"of column \"%s\"",
							schema, relation->name, relation->partitioned_by),
			"Partition it in that way, or make it an ordinary table again, and "
			"run the command again.");
	else if (!syncmaster_is_of_kind(relation, relid))
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
		check_columns(problems, relation, relid, schema, revision);
}

/*
 * Report tables of SyncMaster for which alembic_version has no revision.
 */
static void
check_leftovers(List **problems, Oid namespace, const SchemaRevision *revision)
{
	const RelationInfo *first = syncmaster_first_relation(namespace);
	char			   *schema = get_namespace_name(namespace);

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
 * Report relations of the application that do not have the kind, the columns
 * or the types of the revision.  Lengths, defaults, keys and indexes may
 * differ: no migration fails because of them.
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
	int32	  expected = column->length == 0 ? -1 : column->length + VARHDRSZ;
	int32	  actual;

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
 * today.  SyncMaster edited released migrations, so that a database created
 * by 0.2.0 has other lengths at the same revision.
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
		for (const ColumnInfo *column =
				 syncmaster_columns_at(relation, revision);
			 column->name != NULL; column++)
		{
			if (column->type == VARCHAROID)
				report_length(relation, relid, column);
		}
	}
}
