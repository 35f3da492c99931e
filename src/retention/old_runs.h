/*-------------------------------------------------------------------------
 *
 * old_runs.h
 *	  The old runs of a purge's batch, each read once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_OLD_RUNS_H
#define SYNCMASTER_OLD_RUNS_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

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

#endif /* SYNCMASTER_OLD_RUNS_H */
