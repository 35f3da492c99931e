/*-------------------------------------------------------------------------
 *
 * revision_0011.c
 *	  Table apscheduler_jobs, unless APScheduler has made it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

static const ColumnInfo apscheduler_columns[] = {
	{"id", VARCHAROID, 191, true, DEFAULT_NONE},
	{"next_run_time", FLOAT8OID, 0, false, DEFAULT_NONE},
	{"job_state", BYTEAOID, 0, true, DEFAULT_NONE},
	END_OF_COLUMNS};

static const RelationInfo relations[] = {{.name = "apscheduler_jobs",
										  .kind = RELKIND_RELATION,
										  .foreign_made = true,
										  .columns = apscheduler_columns,
										  .pickle = "job_state",
										  .unpickled_by = SERVICE_SCHEDULER},
										 {0}};

static const ExpectedConstraint constraints[] = {{.table = "apscheduler_jobs",
												  .name =
													  "apscheduler_jobs_pkey",
												  .type = CONSTRAINT_PRIMARY,
												  .columns = "id"},
												 {0}};

static const ExpectedIndex indexes[] = {
	{.table = "apscheduler_jobs",
	 .name = "ix_apscheduler_jobs_next_run_time",
	 .method = "btree (next_run_time)"},
	{0}};

static const ServiceNeed needs[] = {{"apscheduler_jobs",
									 SERVICE_SCHEDULER,
									 ACL_SELECT | ACL_INSERT | ACL_UPDATE |
										 ACL_DELETE,
									 {NULL}},
									{0}};

DEFINE_REVISION(0011) = {
	.id = "0011",
	.version = "1.11",
	.releases = "0.2.0 - 0.2.4",
	.description = "table apscheduler_jobs",
	.repeatable = true,
	.relations = relations,
	.constraints = constraints,
	.indexes = indexes,
	.needs = needs,
};
