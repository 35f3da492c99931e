/*-------------------------------------------------------------------------
 *
 * revision_0007.c
 *	  Table transfer, with text search.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

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

static const RelationInfo relations[] = {
	{.name = "transfer", .kind = RELKIND_RELATION, .columns = transfer_columns},
	{0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(transfer, "id", false),
	UNIQUE_KEY(transfer, "uq__transfer__name_group_id", "name, group_id"),
	FOREIGN_KEY(transfer, group_id, group, true),
	FOREIGN_KEY(transfer, source_connection_id, connection, true),
	FOREIGN_KEY(transfer, target_connection_id, connection, true),
	FOREIGN_KEY(transfer, queue_id, queue, true),
	{0}};

static const ExpectedIndex indexes[] = {
	{.table = "transfer",
	 .name = "ix__transfer__group_id",
	 .method = "btree (group_id)"},
	{.table = "transfer",
	 .name = "ix__transfer__source_connection_id",
	 .method = "btree (source_connection_id)"},
	{.table = "transfer",
	 .name = "ix__transfer__target_connection_id",
	 .method = "btree (target_connection_id)"},
	{.table = "transfer",
	 .name = "idx_transfer_search_vector",
	 .method = "gin (search_vector)"},
	{0}};

/* clang-format breaks strings made of several parts beyond reading. */
/* clang-format off */
#define OLD_PATH(column, key) \
	"coalesce(json_extract_path_text(" column ", '" key "'), '')"
#define OLD_PARTS(column, key) \
	"coalesce(translate(json_extract_path_text(" column ", '" key "'), " \
	"'./', '  '), '')"

static const SearchVector search_vectors[] = {
	{.table = "transfer", .inputs = {"name", "source_params", "target_params"},
	 .expression =
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
	{0}};
/* clang-format on */

static const ServiceNeed needs[] = {
	{"transfer",
	 SERVICE_SERVER,
	 ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE,
	 {NULL}},
	{"transfer", SERVICE_SCHEDULER | SERVICE_WORKER, ACL_SELECT, {NULL}},
	{0}};

DEFINE_REVISION(0007) = {
	.id = "0007",
	.description = "table transfer, with text search",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.search_vectors = search_vectors,
	.needs = needs,
};
