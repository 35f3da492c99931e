/*-------------------------------------------------------------------------
 *
 * expected.c
 *	  What belongs to the application's tables at each revision, beside their
 *	  columns: constraints, indexes and generated expressions.
 *
 * The same facts are in the migration scripts as statements.  A test compares
 * the two: a database that the scripts made has no problem, at no revision.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "schema/schema.h"

#define PRIMARY_KEY(table, columns, by_name) \
	{ \
#table, "pk__" #table, CONSTRAINT_PRIMARY, columns, NULL, by_name \
	}
#define FOREIGN_KEY(table, column, parent, by_name) \
	{ \
#table, "fk__" #table "__" #column "__" #parent, CONSTRAINT_FOREIGN, \
			#column, #parent, by_name \
	}
#define UNIQUE_KEY(table, name, columns) \
	{ \
#table, name, CONSTRAINT_UNIQUE, columns, NULL, true \
	}

const ExpectedConstraint syncmaster_constraints[] = {
	{"alembic_version", "alembic_version_pkc", CONSTRAINT_PRIMARY,
	 "version_num", NULL, false},
	PRIMARY_KEY(user, "id", false),
	PRIMARY_KEY(group, "id", false),
	UNIQUE_KEY(group, "uq__group__name", "name"),
	FOREIGN_KEY(group, owner_id, user, true),
	PRIMARY_KEY(queue, "id", false),
	UNIQUE_KEY(queue, "uq__queue__slug", "slug"),
	FOREIGN_KEY(queue, group_id, group, false),
	PRIMARY_KEY(connection, "id", false),
	UNIQUE_KEY(connection, "uq__connection__name_group_id", "name, group_id"),
	FOREIGN_KEY(connection, group_id, group, true),
	PRIMARY_KEY(user_group, "user_id, group_id", true),
	FOREIGN_KEY(user_group, group_id, group, true),
	FOREIGN_KEY(user_group, user_id, user, true),
	PRIMARY_KEY(auth_data, "connection_id", false),
	FOREIGN_KEY(auth_data, connection_id, connection, false),
	PRIMARY_KEY(transfer, "id", false),
	UNIQUE_KEY(transfer, "uq__transfer__name_group_id", "name, group_id"),
	FOREIGN_KEY(transfer, group_id, group, true),
	FOREIGN_KEY(transfer, source_connection_id, connection, true),
	FOREIGN_KEY(transfer, target_connection_id, connection, true),
	FOREIGN_KEY(transfer, queue_id, queue, true),
	PRIMARY_KEY(run, "id", false),
	FOREIGN_KEY(run, transfer_id, transfer, true),
	{"celery_taskmeta", "celery_taskmeta_pkey", CONSTRAINT_PRIMARY, "id", NULL,
	 false},
	{"celery_taskmeta", "celery_taskmeta_task_id_key", CONSTRAINT_UNIQUE,
	 "task_id", NULL, false},
	{"celery_tasksetmeta", "celery_tasksetmeta_pkey", CONSTRAINT_PRIMARY, "id",
	 NULL, false},
	{"celery_tasksetmeta", "celery_tasksetmeta_taskset_id_key",
	 CONSTRAINT_UNIQUE, "taskset_id", NULL, false},
	{"apscheduler_jobs", "apscheduler_jobs_pkey", CONSTRAINT_PRIMARY, "id",
	 NULL, false},
};
const int syncmaster_nconstraints = lengthof(syncmaster_constraints);

const ExpectedIndex syncmaster_indexes[] = {
	{"user", "ix__user__username", 1, true, "btree (username)"},
	{"group", "ix__group__owner_id", 2, false, "btree (owner_id)"},
	{"queue", "ix__queue__group_id", 3, false, "btree (group_id)"},
	{"connection", "ix__connection__group_id", 4, false, "btree (group_id)"},
	{"connection", "idx_connection_search_vector", 4, false,
	 "gin (search_vector)"},
	{"user_group", "ix__user_group__user_id", 5, false, "btree (user_id)"},
	{"user_group", "ix__user_group__group_id", 5, false, "btree (group_id)"},
	{"transfer", "ix__transfer__group_id", 7, false, "btree (group_id)"},
	{"transfer", "ix__transfer__source_connection_id", 7, false,
	 "btree (source_connection_id)"},
	{"transfer", "ix__transfer__target_connection_id", 7, false,
	 "btree (target_connection_id)"},
	{"transfer", "idx_transfer_search_vector", 7, false, "gin (search_vector)"},
	{"run", "ix__run__type", 8, false, "btree (type)"},
	{"run", "ix__run__status", 8, false, "btree (status)"},
	{"run", "ix__run__transfer_id", 8, false, "btree (transfer_id)"},
	{"apscheduler_jobs", "ix_apscheduler_jobs_next_run_time", 11, false,
	 "btree (next_run_time)"},
	{"celery_taskmeta", "ix_celery_taskmeta_date_done", 13, false,
	 "btree (date_done)"},
	{"celery_tasksetmeta", "ix_celery_tasksetmeta_date_done", 13, false,
	 "btree (date_done)"},
};
const int syncmaster_nindexes = lengthof(syncmaster_indexes);

/*
 * clang-format breaks strings made of several parts beyond reading.
 */
/* clang-format off */

/*
 * Generated expressions of the columns search_vector.
 */
#define OLD_NAME "to_tsvector('english'::regconfig, name)"
#define OLD_PATH(column, key) \
	"coalesce(json_extract_path_text(" column ", '" key "'), '')"
#define OLD_PARTS(column, key) \
	"coalesce(translate(json_extract_path_text(" column ", '" key "'), " \
	"'./', '  '), '')"

/* the text as it is, and split at punctuation */
#define NEW_WORDS(value) "to_tsvector('simple', coalesce(" value ", ''))"
#define NEW_PARTS(value) \
	"to_tsvector('simple', translate(coalesce(" value ", ''), " \
	"'./-_:\\', '      '))"
#define NEW_NAME \
	"to_tsvector('russian', coalesce(name, '')) || " NEW_WORDS( \
		"name") " || " NEW_PARTS("name")

typedef struct GeneratedColumn
{
	const char *table;
	int last_revision; /* that has this expression */
	const char *expression;
} GeneratedColumn;

static const GeneratedColumn generated_columns[] = {
	{"group", 11, OLD_NAME},
	{"group", INT_MAX, NEW_NAME},
	{"queue", 11, OLD_NAME},
	{"queue", INT_MAX, NEW_NAME},
	{"connection", 11,
	 "to_tsvector('english'::regconfig, name || ' ' || "
	 OLD_PATH("data", "host") " || ' ' || "
	 "coalesce(translate(json_extract_path_text(data, 'host'), '.', ' '), ''))"},
	{"connection", INT_MAX,
	 NEW_NAME " || "
	 NEW_WORDS("data ->> 'host'") " || "
	 NEW_PARTS("data ->> 'host'")},
	{"transfer", 11,
	 "to_tsvector('english'::regconfig, name || ' ' || "
	 OLD_PATH("source_params", "table_name") " || ' ' || "
	 OLD_PATH("target_params", "table_name") " || ' ' || "
	 OLD_PATH("source_params", "directory_path") " || ' ' || "
	 OLD_PATH("target_params", "directory_path") " || ' ' || "
	 "translate(name, './', '  ') || ' ' || "
	 OLD_PARTS("source_params", "table_name") " || ' ' || "
	 OLD_PARTS("target_params", "table_name") " || ' ' || "
	 OLD_PARTS("source_params", "directory_path") " || ' ' || "
	 OLD_PARTS("target_params", "directory_path") ")"},
	{"transfer", INT_MAX,
	 NEW_NAME " || "
	 NEW_WORDS("source_params ->> 'table_name'") " || "
	 NEW_WORDS("target_params ->> 'table_name'") " || "
	 NEW_PARTS("source_params ->> 'table_name'") " || "
	 NEW_PARTS("target_params ->> 'table_name'") " || "
	 NEW_WORDS("source_params ->> 'directory_path'") " || "
	 NEW_WORDS("target_params ->> 'directory_path'") " || "
	 NEW_PARTS("source_params ->> 'directory_path'") " || "
	 NEW_PARTS("target_params ->> 'directory_path'")},
};

/* clang-format on */

/*
 * Expression of a table's search_vector at a revision, NULL if the table has
 * no such column.
 */
const char *
syncmaster_generated_expression(const char *table, int revision)
{
	for (int i = 0; i < (int) lengthof(generated_columns); i++)
	{
		const GeneratedColumn *column = &generated_columns[i];

		if (strcmp(column->table, table) == 0 &&
			revision <= column->last_revision)
			return column->expression;
	}
	return NULL;
}

/*
 * Do the expressions of that table read the column?
 */
bool
syncmaster_generated_input(const char *table, const char *column)
{
	static const char *const inputs[][2] = {{"group", "name"},
											{"queue", "name"},
											{"connection", "name"},
											{"connection", "data"},
											{"transfer", "name"},
											{"transfer", "source_params"},
											{"transfer", "target_params"}};

	for (int i = 0; i < (int) lengthof(inputs); i++)
	{
		if (strcmp(inputs[i][0], table) == 0 &&
			strcmp(inputs[i][1], column) == 0)
			return true;
	}
	return false;
}

/*
 * Table whose ids Celery takes from that free-standing sequence.
 */
const char *
syncmaster_sequence_table(const char *sequence)
{
	return strcmp(sequence, "task_id_sequence") == 0 ? "celery_taskmeta"
													 : "celery_tasksetmeta";
}

/*
 * Definitions as PostgreSQL writes them when only pg_catalog is searched.
 */
char *
syncmaster_constraint_definition(const ExpectedConstraint *con,
								 const char *schema)
{
	switch (con->type)
	{
		case CONSTRAINT_PRIMARY:
			return psprintf("PRIMARY KEY (%s)", con->columns);
		case CONSTRAINT_UNIQUE:
			return psprintf("UNIQUE (%s)", con->columns);
		default:
			return psprintf("FOREIGN KEY (%s) REFERENCES %s(id) "
							"ON DELETE CASCADE",
							con->columns,
							quote_qualified_identifier(schema, con->parent));
	}
}

char *
syncmaster_index_definition(const ExpectedIndex *index, const char *name,
							const char *schema)
{
	return psprintf("CREATE %sINDEX %s ON %s USING %s",
					index->unique ? "UNIQUE " : "", quote_identifier(name),
					quote_qualified_identifier(schema, index->table),
					index->method);
}

char *
syncmaster_column_type(const ColumnInfo *column)
{
	return format_type_with_typemod(
		column->type, column->length > 0 ? column->length + VARHDRSZ : -1);
}

/*
 * The column as CREATE TABLE and ADD COLUMN take it.
 */
char *
syncmaster_column_definition(const RelationInfo *relation,
							 const ColumnInfo *column, int revision)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s %s", quote_identifier(column->name),
					 column->filled_by == DEFAULT_SERIAL
						 ? "bigserial"
						 : syncmaster_column_type(column));
	if (column->not_null)
		appendStringInfoString(&sql, " NOT NULL");
	if (column->filled_by == DEFAULT_NOW)
		appendStringInfoString(&sql, " DEFAULT now()");
	if (column->filled_by == DEFAULT_GENERATED)
		appendStringInfo(&sql, " GENERATED ALWAYS AS (%s) STORED",
						 syncmaster_generated_expression(relation->name,
														 revision));
	return sql.data;
}

/*
 * Statements that make the table or sequence with all that belongs to it.
 */
char *
syncmaster_table_definition(const RelationInfo *relation, const char *schema,
							int revision)
{
	char *name = quote_qualified_identifier(schema, relation->name);
	StringInfoData sql;

	if (relation->columns == NULL)
		return psprintf("CREATE SEQUENCE %s", name);

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (const ColumnInfo *column = relation->columns; column->name != NULL;
		 column++)
		appendStringInfo(&sql, "%s%s", column == relation->columns ? "" : ", ",
						 syncmaster_column_definition(relation, column,
													  revision));
	for (int i = 0; i < syncmaster_nconstraints; i++)
	{
		const ExpectedConstraint *con = &syncmaster_constraints[i];

		if (strcmp(con->table, relation->name) == 0)
			appendStringInfo(&sql, ", CONSTRAINT %s %s",
							 quote_identifier(con->name),
							 syncmaster_constraint_definition(con, schema));
	}
	appendStringInfoChar(&sql, ')');
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		const ExpectedIndex *index = &syncmaster_indexes[i];

		if (strcmp(index->table, relation->name) == 0 &&
			index->revision <= revision)
			appendStringInfo(&sql, "; %s",
							 syncmaster_index_definition(index, index->name,
														 schema));
	}
	return sql.data;
}
