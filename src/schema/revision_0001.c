/*-------------------------------------------------------------------------
 *
 * revision_0001.c
 *	  Table user, and Alembic's own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

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

static const RelationInfo relations[] = {
	{.name = "user", .kind = RELKIND_RELATION, .columns = user_columns}, {0}};

static const ExpectedConstraint constraints[] = {{.table = VERSION_TABLE,
												  .name = "alembic_version_pkc",
												  .type = CONSTRAINT_PRIMARY,
												  .columns = "version_num"},
												 PRIMARY_KEY(user, "id", false),
												 {0}};

static const ExpectedIndex indexes[] = {{.table = "user",
										 .name = "ix__user__username",
										 .unique = true,
										 .method = "btree (username)"},
										{0}};

/*
 * The server's image makes superusers of SyncMaster when it starts, with the
 * server's own role, which could insert such users anyway.
 */
static const ServiceNeed needs[] = {{"user",
									 SERVICE_SERVER,
									 ACL_SELECT | ACL_INSERT,
									 {"is_superuser", "updated_at"}},
									{0}};

DEFINE_REVISION(0001) = {
	.id = "0001",
	.description = "table user",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.needs = needs,
};
