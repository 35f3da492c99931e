/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Deleting old rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_RETENTION_H
#define SYNCMASTER_RETENTION_H

#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/timestamp.h"

/* keep.c: The last runs of each transfer, which a purge keeps. */

/* The limit behind which the runs of a transfer may be deleted. */
typedef struct KeepLimit
{
	int64 transfer_id; /* hash key */
	bool keep_all;	   /* the transfer has no more runs than are kept */
	TimestampTz created_at;
	int64 id; /* of the oldest run kept; the least if all of that time are */
} KeepLimit;

/* An old run of a batch. */
typedef struct OldRun
{
	int64 id;
	int64 transfer_id;
	TimestampTz created_at;
	KeepLimit *limit; /* of its transfer, once it is looked up */
} OldRun;

typedef struct OldRuns
{
	int count;
	OldRun *runs;
} OldRuns;

/* Which runs to keep, and of which table. */
typedef struct KeepOptions
{
	const char *relation; /* quoted, with its schema, as FROM needs it */
	bool distributed;	  /* by Citus */
	int keep_last;
	TimestampTz cutoff; /* runs of this time or later stay anyway */
} KeepOptions;

extern HTAB *syncmaster_create_keep_limits(void);
extern int syncmaster_take_out_kept(HTAB *limits, OldRuns *runs,
									const KeepOptions *options);

/* purge.c: Deleting old rows of a table in committed batches. */

typedef struct PurgeColumn
{
	const char *name;
	Oid type;
} PurgeColumn;

typedef struct PurgeTable
{
	const char *name;
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

#endif /* SYNCMASTER_RETENTION_H */
