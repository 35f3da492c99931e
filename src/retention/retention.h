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

#include "storage/itemptr.h"
#include "utils/hsearch.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* old_runs.c: The old runs of a purge's batch, each read once. */

typedef struct OldRun
{
	int64 id;
	int64 transfer_id;
	TimestampTz created_at;
	ItemPointerData place;
	bool active;
	struct KeepLimit *limit; /* of its transfer, once it is looked up */
} OldRun;

/* Which runs to read. */
typedef struct OldRunRange
{
	Oid relid;
	const char *relation;  /* quoted, with its schema */
	const char *condition; /* rows r that are older than $3 and not active */
	TimestampTz cutoff;
	int64 from;
	int64 last;
	int batch_size; /* runs to look at, old or not */
} OldRunRange;

typedef struct OldRuns
{
	int64 through; /* all runs up to this id were looked at */
	int64 count;
	OldRun *runs;
	Snapshot snapshot; /* if they may be deleted in their places; or NULL */
} OldRuns;

extern bool syncmaster_has_places(Oid relid);
extern void syncmaster_read_old_runs(OldRuns *runs, const OldRunRange *range);
extern int64 syncmaster_delete_in_place(const OldRuns *runs, Oid relid,
										bool *changed);
extern Datum syncmaster_old_run_ids(const OldRuns *runs);
extern void syncmaster_release_old_runs(OldRuns *runs);

/* keep.c: The last runs of each transfer, which a purge keeps. */

/* Where the last runs of a transfer end. */
typedef struct KeepLimit
{
	int64 transfer_id; /* hash key */
	bool keep_all;	   /* the transfer has no more runs than are kept */
	TimestampTz created_at;
	int64 id; /* of the oldest one kept; the least if all of that time are */
} KeepLimit;

extern HTAB *syncmaster_create_keep_limits(void);
extern int64 syncmaster_take_out_kept(HTAB *limits, OldRuns *runs,
									  const OldRunRange *range, int keep_last);
extern int syncmaster_find_limits_by_index(KeepLimit **limits, int count,
										   Oid relid, int keep_last,
										   TimestampTz cutoff);

/* purge.c: Deleting old rows of a table in committed batches. */

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

#endif /* SYNCMASTER_RETENTION_H */
