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
 * Has the last commit of this session been confirmed, if it had to be?  Who
 * cancels a COMMIT that waits for a standby ends the wait and nothing else: the
 * server gives a warning and forgets that a cancel was asked for.
 */
bool
syncmaster_is_commit_confirmed(void)
{
	int mode = synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_WRITE
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
 * Does a subscription fill this table?  Logical replication brings its rows, and
 * not the values of its sequences.
 */
bool
syncmaster_is_subscribed(Oid relid)
{
	CatCList *subscriptions = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
												  ObjectIdGetDatum(relid));
	bool result = subscriptions->n_members > 0;

	ReleaseSysCacheList(subscriptions);
	return result;
}
