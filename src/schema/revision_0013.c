/*-------------------------------------------------------------------------
 *
 * revision_0013.c
 *	  Indexes on date_done of Celery's results, unless Celery has made them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

static const ExpectedIndex indexes[] = {{.table = "celery_taskmeta",
										 .name = "ix_celery_taskmeta_date_done",
										 .method = "btree (date_done)"},
										{.table = "celery_tasksetmeta",
										 .name =
											 "ix_celery_tasksetmeta_date_done",
										 .method = "btree (date_done)"},
										{0}};

DEFINE_REVISION(0013) = {
	.id = "0013",
	.version = "1.13",
	.releases = "0.3.3 - 0.3.5",
	.description = "indexes on date_done of Celery's results",
	.repeatable = true,
	.indexes = indexes,
};
