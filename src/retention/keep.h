/*-------------------------------------------------------------------------
 *
 * keep.h
 *	  The last runs of each transfer, which a purge keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_KEEP_H
#define SYNCMASTER_KEEP_H

#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "old_runs.h"

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

#endif /* SYNCMASTER_KEEP_H */
