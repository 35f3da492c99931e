/*-------------------------------------------------------------------------
 *
 * revision_0009.c
 *	  Tables and sequences of Celery's results, unless Celery has made them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"

#include "schema/schema.h"

/* Celery without extended results makes the first six columns only. */
static const ColumnInfo taskmeta_columns[] = {
	{"id", INT4OID, 0, true, DEFAULT_NONE},
	{"task_id", VARCHAROID, 155, false, DEFAULT_NONE},
	{"status", VARCHAROID, 50, false, DEFAULT_NONE},
	{"result", BYTEAOID, 0, false, DEFAULT_NONE},
	{"date_done", TIMESTAMPOID, 0, false, DEFAULT_NONE},
	{"traceback", TEXTOID, 0, false, DEFAULT_NONE},
	{"name", VARCHAROID, 155, false, DEFAULT_NONE},
	{"args", BYTEAOID, 0, false, DEFAULT_NONE},
	{"kwargs", BYTEAOID, 0, false, DEFAULT_NONE},
	{"worker", VARCHAROID, 155, false, DEFAULT_NONE},
	{"retries", INT4OID, 0, false, DEFAULT_NONE},
	{"queue", VARCHAROID, 155, false, DEFAULT_NONE},
	END_OF_COLUMNS};

static const ColumnInfo tasksetmeta_columns[] = {
	{"id", INT4OID, 0, true, DEFAULT_NONE},
	{"taskset_id", VARCHAROID, 155, false, DEFAULT_NONE},
	{"result", BYTEAOID, 0, false, DEFAULT_NONE},
	{"date_done", TIMESTAMPOID, 0, false, DEFAULT_NONE},
	END_OF_COLUMNS};

static const RelationInfo relations[] = {
	{.name = "task_id_sequence",
	 .kind = RELKIND_SEQUENCE,
	 .foreign_made = true,
	 .ids_of = "celery_taskmeta"},
	{.name = "celery_taskmeta",
	 .kind = RELKIND_RELATION,
	 .foreign_made = true,
	 .columns = taskmeta_columns,
	 .required = 6,
	 .time_column = "date_done",
	 .purge = "syncmaster_purge_task_results",
	 .pickle = "result",
	 .unpickled_by = SERVICE_WORKER},
	{.name = "taskset_id_sequence",
	 .kind = RELKIND_SEQUENCE,
	 .foreign_made = true,
	 .ids_of = "celery_tasksetmeta"},
	{.name = "celery_tasksetmeta",
	 .kind = RELKIND_RELATION,
	 .foreign_made = true,
	 .columns = tasksetmeta_columns,
	 .time_column = "date_done",
	 .purge = "syncmaster_purge_task_results",
	 .pickle = "result",
	 .unpickled_by = SERVICE_WORKER},
	{0}};

static const ExpectedConstraint constraints[] = {
	{.table = "celery_taskmeta",
	 .name = "celery_taskmeta_pkey",
	 .type = CONSTRAINT_PRIMARY,
	 .columns = "id"},
	{.table = "celery_taskmeta",
	 .name = "celery_taskmeta_task_id_key",
	 .type = CONSTRAINT_UNIQUE,
	 .columns = "task_id"},
	{.table = "celery_tasksetmeta",
	 .name = "celery_tasksetmeta_pkey",
	 .type = CONSTRAINT_PRIMARY,
	 .columns = "id"},
	{.table = "celery_tasksetmeta",
	 .name = "celery_tasksetmeta_taskset_id_key",
	 .type = CONSTRAINT_UNIQUE,
	 .columns = "taskset_id"},
	{0}};

static const ServiceNeed needs[] = {
	{"task_id_sequence", SERVICE_WORKER, ACL_USAGE, {NULL}},
	{"celery_taskmeta",
	 SERVICE_WORKER,
	 ACL_SELECT | ACL_INSERT | ACL_UPDATE,
	 {NULL}},
	{0}};

DEFINE_REVISION(0009) = {
	.id = "0009",
	.description = "tables and sequences of Celery's results",
	.repeatable = true,
	.relations = relations,
	.constraints = constraints,
	.needs = needs,
};
