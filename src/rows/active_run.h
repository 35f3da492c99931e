/*-------------------------------------------------------------------------
 *
 * active_run.h
 *	  Runs that a service is at work on, or will be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_ACTIVE_RUN_H
#define SYNCMASTER_ACTIVE_RUN_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "storage/block.h"

#include "app_table.h"

#define NACTIVE_STATUSES 3

extern const char *const syncmaster_active_statuses[NACTIVE_STATUSES];

/* Columns of the table as opened by syncmaster_open_runs(). */
typedef enum RunColumn
{
	RUN_STATUS,
	RUN_ID,
	RUN_CREATED_AT,
	RUN_STARTED_AT,
	RUN_UPDATED_AT
} RunColumn;

/*
 * What is called for each active run, with the number of its status; false
 * from it means that it has seen enough of that status.
 */
typedef bool (*RunReader)(void *state, int status, const AppTable *runs,
						  TupleTableSlot *slot);

/* What became of reading them. */
typedef enum RunReadResult
{
	RUN_READ_DONE,
	RUN_READ_NO_INDEX,
	RUN_READ_LOCKED /* an index that may help is locked */
} RunReadResult;

extern int syncmaster_find_active_status(Datum status);
extern AppTableState syncmaster_open_runs(AppTable *runs, Oid namespace);
extern RunReadResult syncmaster_read_active_runs(const AppTable *runs,
												 int64 max_entries,
												 BlockNumber max_blocks,
												 RunReader reader, void *state,
												 bool *complete);

#endif /* SYNCMASTER_ACTIVE_RUN_H */
