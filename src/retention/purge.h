/*-------------------------------------------------------------------------
 *
 * purge.h
 *	  Deleting old rows of a table in committed batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PURGE_H
#define SYNCMASTER_PURGE_H

#include "postgres.h"

#include "utils/timestamp.h"

typedef struct PurgeColumn
{
	const char *name;
	Oid type;
} PurgeColumn;

typedef struct PurgeTable
{
	const char *name;
	bool is_run;			/* table run, of whose rows the last may stay */
	Oid time_type;			/* of the time that decides, which is UTC */
	const char *condition;	/* rows r that are older than $3 and may go */
	PurgeColumn columns[5]; /* what the statements use; NULL ends the list */
} PurgeTable;

/* What the caller wants. */
typedef struct PurgeOptions
{
	const char *procedure;
	Interval older_than;
	int keep_last; /* of each transfer, for runs only */
	int batch_size;
	bool dry_run;
} PurgeOptions;

extern int64 syncmaster_purge_table(const PurgeOptions *options,
									const PurgeTable *table);

#endif /* SYNCMASTER_PURGE_H */
