/*-------------------------------------------------------------------------
 *
 * revision_0006.c
 *	  Table auth_data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

static const ColumnInfo auth_data_columns[] = {
	{"connection_id", INT8OID, 0, true, DEFAULT_NONE},
	{"value", VARCHAROID, 0, true, DEFAULT_NONE},
	TIMESTAMPS,
	END_OF_COLUMNS};

static const RelationInfo relations[] = {{.name = "auth_data",
										  .kind = RELKIND_RELATION,
										  .columns = auth_data_columns},
										 {0}};

static const ExpectedConstraint constraints[] = {
	PRIMARY_KEY(auth_data, "connection_id", false),
	FOREIGN_KEY(auth_data, connection_id, connection, false),
	{0}};

static const ServiceNeed needs[] = {
	{"auth_data",
	 SERVICE_SERVER,
	 ACL_SELECT | ACL_INSERT,
	 {"value", "updated_at"}},
	{"auth_data", SERVICE_SCHEDULER | SERVICE_WORKER, ACL_SELECT, {NULL}},
	{0}};

DEFINE_REVISION(0006) = {
	.id = "0006",
	.description = "table auth_data",
	.relations = relations,
	.constraints = constraints,
	.needs = needs,
};
