/*-------------------------------------------------------------------------
 *
 * revision_0002.c
 *	  Table group.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

static const ColumnInfo group_columns[] = {
	SERIAL_ID,
	{"name", VARCHAROID, 128, true, DEFAULT_NONE},
	{"description", VARCHAROID, 512, true, DEFAULT_NONE},
	{"owner_id", INT8OID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	SEARCH_VECTOR,
	END_OF_COLUMNS};

static const RelationInfo relations[] = {
	{.name = "group", .kind = RELKIND_RELATION, .columns = group_columns}, {0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(group, "id", false),
	UNIQUE_KEY(group, "uq__group__name", "name"),
	FOREIGN_KEY(group, owner_id, user, true),
	{0}};

static const ExpectedIndex indexes[] = {{.table = "group",
										 .name = "ix__group__owner_id",
										 .method = "btree (owner_id)"},
										{0}};

static const SearchVector search_vectors[] = {
	{.table = "group",
	 .inputs = {"name"},
	 .expression = "to_tsvector('english'::regconfig, name)"},
	{0}};

static const ServiceNeed needs[] = {
	{"group",
	 SERVICE_SERVER,
	 ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE,
	 {NULL}},
	{"group", SERVICE_WORKER, ACL_SELECT, {NULL}},
	{0}};

DEFINE_REVISION(0002) = {
	.id = "0002",
	.description = "table group",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.search_vectors = search_vectors,
	.needs = needs,
};
