/*-------------------------------------------------------------------------
 *
 * revision_0003.c
 *	  Table queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

static const ColumnInfo queue_columns[] = {
	SERIAL_ID,
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"slug", VARCHAROID, 256, true, DEFAULT_NONE},
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const RelationInfo relations[] = {
	{.name = "queue", .kind = RELKIND_RELATION, .columns = queue_columns}, {0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(queue, "id", false),
	UNIQUE_KEY(queue, "uq__queue__slug", "slug"),
	FOREIGN_KEY(queue, group_id, group, false),
	{0}};

static const ExpectedIndex indexes[] = {{.table = "queue",
										 .name = "ix__queue__group_id",
										 .method = "btree (group_id)"},
										{0}};

static const SearchVector search_vectors[] = {
	{.table = "queue",
	 .inputs = {"name"},
	 .expression = "to_tsvector('english'::regconfig, name)"},
	{0}};

static const ServiceNeed needs[] = {
	{"queue",
	 SERVICE_SERVER,
	 ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE,
	 {NULL}},
	{"queue", SERVICE_SCHEDULER, ACL_SELECT, {NULL}},
	{0}};

DEFINE_REVISION(0003) = {
	.id = "0003",
	.description = "table queue",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.search_vectors = search_vectors,
	.needs = needs,
};
