/*-------------------------------------------------------------------------
 *
 * revision_0004.c
 *	  Table connection, with text search.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

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

static const RelationInfo relations[] = {{.name = "connection",
										  .kind = RELKIND_RELATION,
										  .columns = connection_columns},
										 {0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(connection, "id", false),
	UNIQUE_KEY(connection, "uq__connection__name_group_id", "name, group_id"),
	FOREIGN_KEY(connection, group_id, group, true),
	{0}};

static const ExpectedIndex indexes[] = {{.table = "connection",
										 .name = "ix__connection__group_id",
										 .method = "btree (group_id)"},
										{.table = "connection",
										 .name = "idx_connection_search_vector",
										 .method = "gin (search_vector)"},
										{0}};

/* clang-format breaks strings made of several parts beyond reading. */
/* clang-format off */
static const SearchVector search_vectors[] = {
	{.table = "connection", .inputs = {"name", "data"},
	 .expression =
		"to_tsvector('english'::regconfig, name || ' ' || "
		"coalesce(json_extract_path_text(data, 'host'), '') || ' ' || "
		"coalesce(translate(json_extract_path_text(data, 'host'), '.', ' '), ''))"},
	{0}};
/* clang-format on */

static const ServiceNeed needs[] = {
	{"connection",
	 SERVICE_SERVER,
	 ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE,
	 {NULL}},
	{"connection", SERVICE_SCHEDULER | SERVICE_WORKER, ACL_SELECT, {NULL}},
	{0}};

DEFINE_REVISION(0004) = {
	.id = "0004",
	.description = "table connection, with text search",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.search_vectors = search_vectors,
	.needs = needs,
};
