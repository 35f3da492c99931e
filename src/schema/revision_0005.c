/*-------------------------------------------------------------------------
 *
 * revision_0005.c
 *	  Table user_group.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

static const ColumnInfo user_group_columns[] = {
	{"user_id", INT8OID, 0, true, DEFAULT_NONE},
	{"group_id", INT8OID, 0, true, DEFAULT_NONE},
	{"role", VARCHAROID, 255, true, DEFAULT_NONE},
	END_OF_COLUMNS};

static const RelationInfo relations[] = {{.name = "user_group",
										  .kind = RELKIND_RELATION,
										  .columns = user_group_columns},
										 {0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(user_group, "user_id, group_id", true),
	FOREIGN_KEY(user_group, group_id, group, true),
	FOREIGN_KEY(user_group, user_id, user, true),
	{0}};

static const ExpectedIndex indexes[] = {{.table = "user_group",
										 .name = "ix__user_group__user_id",
										 .method = "btree (user_id)"},
										{.table = "user_group",
										 .name = "ix__user_group__group_id",
										 .method = "btree (group_id)"},
										{0}};

static const ServiceNeed needs[] = {{"user_group",
									 SERVICE_SERVER,
									 ACL_SELECT | ACL_INSERT | ACL_UPDATE |
										 ACL_DELETE,
									 {NULL}},
									{0}};

DEFINE_REVISION(0005) = {
	.id = "0005",
	.description = "table user_group",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.needs = needs,
};
