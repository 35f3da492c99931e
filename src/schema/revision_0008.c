/*-------------------------------------------------------------------------
 *
 * revision_0008.c
 *	  Table run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

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

static const RelationInfo relations[] = {{.name = "run",
										  .kind = RELKIND_RELATION,
										  .partitioned_by = "id",
										  .columns = run_columns,
										  .time_column = "created_at",
										  .purge = "syncmaster_purge_runs"},
										 {0}};

static const ExpectedConstraint constraints[] = {PRIMARY_KEY(run, "id", false),
												 FOREIGN_KEY(run, transfer_id,
															 transfer, true),
												 {0}};

static const ExpectedIndex indexes[] = {
	{.table = "run", .name = "ix__run__type", .method = "btree (type)"},
	{.table = "run", .name = "ix__run__status", .method = "btree (status)"},
	{.table = "run",
	 .name = "ix__run__transfer_id",
	 .method = "btree (transfer_id)"},
	{0}};

static const ServiceNeed needs[] = {{"run",
									 SERVICE_SERVER | SERVICE_SCHEDULER,
									 ACL_SELECT | ACL_INSERT,
									 {"status", "updated_at"}},
									{"run",
									 SERVICE_WORKER,
									 ACL_SELECT,
									 {"status", "started_at", "ended_at",
									  "log_url", "updated_at"}},
									{0}};

DEFINE_REVISION(0008) = {
	.id = "0008",
	.description = "table run",
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.needs = needs,
};
