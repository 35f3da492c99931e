/*-------------------------------------------------------------------------
 *
 * replication.c
 *	  Whether a synchronous standby has confirmed what was committed, and
 *	  whether a table gets its rows from another server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * Return whether synchronous standbys have confirmed this session's last
 * commit.  Cancelling a COMMIT that waits for a standby ends only the wait:
 * the server gives a warning and forgets the cancel request, so a loop would
 * go on.
 */
bool
syncmaster_is_commit_confirmed(void)
{
	int	 mode = synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_WRITE
					? SYNC_REP_WAIT_WRITE
				: synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY
					? SYNC_REP_WAIT_APPLY
					: SYNC_REP_WAIT_FLUSH;
	bool confirmed;

	if (!SyncRepRequested() || SyncRepStandbyNames == NULL ||
		SyncRepStandbyNames[0] == '\0')
		return true;
	LWLockAcquire(SyncRepLock, LW_SHARED);
	confirmed = WalSndCtl->lsn[mode] >= XactLastCommitEnd;
	LWLockRelease(SyncRepLock);

	return confirmed;
}

/*
 * Does a subscription fill this table?  Logical replication brings its rows,
 * and not the values of its sequences.
 */
bool
syncmaster_is_subscribed(Oid relid)
{
	CatCList *subscriptions = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
												  ObjectIdGetDatum(relid));
	bool	  result = subscriptions->n_members > 0;

	ReleaseSysCacheList(subscriptions);
	return result;
}
