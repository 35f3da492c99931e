/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Deleting old rows, and ending runs that a crash left active.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_RETENTION_H
#define SYNCMASTER_RETENTION_H

#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "schema/schema.h"

/* keep.c: The last runs of each transfer, which a purge keeps. */

/* The limit behind which the runs of a transfer may be deleted. */
typedef struct KeepLimit
{
	int64		transfer_id; /* hash key */
	bool		keep_all;	 /* the transfer has no more runs than are kept */
	TimestampTz created_at;
	int64 id; /* of the oldest run kept; the least if all of that time are */
} KeepLimit;

/* An old run of a batch. */
typedef struct OldRun
{
	int64		id;
	int64		transfer_id;
	TimestampTz created_at;
	KeepLimit  *limit; /* limit of its transfer, once it is looked up */
} OldRun;

typedef struct OldRuns
{
	int		count;
	OldRun *runs;
} OldRuns;

/* Which runs to keep, and of which table. */
typedef struct KeepOptions
{
	const char *relation;	 /* quoted, with its schema, as FROM takes it */
	bool		distributed; /* by Citus */
	int			keep_last;
	TimestampTz cutoff; /* runs of this time or later stay in any case */
} KeepOptions;

extern HTAB *syncmaster_create_keep_limits(void);
extern bool	 syncmaster_take_old_run(void *state, TupleTableSlot *slot);
extern int	 syncmaster_take_out_kept(HTAB *limits, OldRuns *runs,
									  const KeepOptions *options);

/* delete.c: Deleting rows of a batch, around those that cannot go. */

/* How many different reasons are named why rows cannot be deleted. */
#define MAX_HELD_REASONS 5

/* How many ids of such rows are named for each reason. */
#define MAX_HELD_IDS 10

typedef struct HeldReason
{
	char  *message;
	IdList ids; /* of the rows */
} HeldReason;

/* The rows of a purge that could not be deleted. */
typedef struct HeldRows
{
	int64		  count;
	List		 *reasons; /* of HeldReason */
	MemoryContext context;
} HeldRows;

/* The DELETE of a batch, with its parameters. */
typedef struct Delete
{
	const char *from;
	const char *where; /* condition on rows r to delete */
	const char *all;   /* the same without $4 */
	int			nargs;
	Oid			types[4];
	Datum		values[4];
	bool		distributed;
	const char *keepers; /* what may keep rows without an error; or NULL */
	HeldRows   *held;
	IdList		failed;	 /* rows that an error or a lock kept, in order */
	int64		missing; /* rows that others had locked, or that were kept */
	int			nalong;	 /* tables whose rows are deleted along */
	Datum		along;	 /* these, as oid[] */
	int64	   *along_counts; /* rows of each */

	bool  passed_by; /* were rows left because others had locked them? */
	int	  lock_failures;
	int64 count;
} Delete;

extern int64 syncmaster_delete_rows(Delete *delete);

/* holders.c: What else is concerned when a row of a table is deleted. */

typedef struct AlongTable
{
	Oid			relid;
	const char *name;	/* with its schema */
	const char *column; /* if it refers to the table's id; or NULL */
	int64		count;	/* rows that were, or would be, deleted along */
} AlongTable;

extern List *syncmaster_find_along(Oid relid);
extern char *syncmaster_describe_holders(Oid relid);
extern char *syncmaster_describe_keepers(Oid relid);

/* purge.c: Deleting old rows of a table in committed batches. */

/* The arguments of a purge. */
typedef struct PurgeOptions
{
	const char *procedure;
	Interval	older_than;
	int			keep_last; /* of each transfer, for runs only */
	int			batch_size;
	bool		dry_run;
	bool		detach; /* partitions, instead of dropping them */
} PurgeOptions;

/* The purge of one table. */
typedef struct Purge
{
	const PurgeOptions *options;
	const RelationInfo *table;
	bool				has_status; /* table "run", whose rows may be active */
	Oid					time_type;	/* of the time that decides, which is UTC */
	TimestampTz			cutoff;
	HTAB			   *limits; /* limits of the transfers met so far */

	int64		first;	   /* id to begin with */
	int64		last;	   /* id to end with */
	int64		deleted;   /* rows, in committed batches */
	int64		kept;	   /* old ones among the last of their transfer */
	bool		passed_by; /* were rows left because others had locked them? */
	HeldRows	held;	   /* rows that cannot be deleted */
	List	   *along;	   /* of AlongTable */
	char	   *holders;   /* what may hold rows; for a dry run */
	char	   *keepers;   /* what may keep rows without an error */
	const char *condition; /* on rows r: older than $3, may be deleted */
	const char *no_time;   /* on rows r: without a time, certainly old */
	int			told_percent;
	TimestampTz told_at;

	/* the batch under way, from begin_batch() on */
	MigrationContext context;
	Oid				 relid;
	char	   *from; /* the table, quoted, with its schema, as FROM takes it */
	bool		distributed;
	ActingScope acting;
} Purge;

extern Oid	 syncmaster_open_for_change(const char		   *schema, Oid namespace,
										const RelationInfo *table,
										const char *const  *columns);
extern void	 syncmaster_commit_batch(ActingScope *acting, bool deletes);
extern void	 syncmaster_require_confirmed_commit(void);
extern int64 syncmaster_purge_table(const PurgeOptions *options,
									const RelationInfo *table);

/* drop_partition.c: Dropping partitions that hold nothing but old runs. */

extern int64 syncmaster_drop_partitions(const PurgeOptions *options);

/* purge_report.c: The reports of a purge. */

extern void	 syncmaster_tell_progress(Purge *purge, int64 through);
extern void	 syncmaster_tell_result(Purge *purge);
extern int64 syncmaster_count_left(Purge *purge, char **statuses);
extern void	 syncmaster_tell_left(Purge *purge, int64 left,
								  const char *statuses);

/* retention.c: The procedures that delete old rows. */

extern void syncmaster_check_age(const Interval *older_than, const char *hint);

#endif /* SYNCMASTER_RETENTION_H */
