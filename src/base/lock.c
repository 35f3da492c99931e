/*-------------------------------------------------------------------------
 *
 * lock.c
 *	  Locking a table with a bounded wait, and naming who is in the way; and
 *	  keeping a schema under its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "settings.h"

/*
 * The sessions that hold a lock on the relation that conflicts with the mode,
 * or that wait for such a lock and come first in the queue.  For those that
 * wait, the sessions that they wait for are named as well, whose lock need not
 * conflict with this mode.  A prepared transaction has no process; it is known
 * by the lock on its own number.  pg_stat_activity hides much of other roles'
 * sessions from those who may not see it; the process is always named.
 */
#define BLOCKERS_QUERY \
	"WITH locks AS (SELECT pid, virtualtransaction, mode, granted " \
	"    FROM pg_locks WHERE locktype = 'relation' AND relation = $1 " \
	"    AND database = (SELECT oid FROM pg_database " \
	"                    WHERE datname = current_database()) " \
	"    AND pid IS DISTINCT FROM pg_backend_pid()) " \
	"SELECT string_agg(CASE " \
	"    WHEN l.pid IS NOT NULL THEN " \
	"        format('process %s (user \"%s\", application \"%s\", " \
	"%s since %s)', l.pid, a.usename, a.application_name, " \
	"CASE WHEN l.granted THEN coalesce(a.state, 'not shown') " \
	"ELSE 'waiting' END, " \
	"coalesce(date_trunc('second', a.xact_start)::text, 'not shown')) " \
	"    WHEN p.gid IS NOT NULL THEN " \
	"        format('prepared transaction \"%s\" of user \"%s\", since %s', " \
	"p.gid, p.owner, date_trunc('second', p.prepared)) " \
	"    ELSE 'another process' END, ', ' ORDER BY l.pid) " \
	"FROM (SELECT pid, virtualtransaction, bool_and(granted) AS granted " \
	"      FROM locks WHERE mode = ANY ($2) OR coalesce(pid, 0) IN " \
	"          (SELECT unnest(pg_blocking_pids(pid)) FROM locks " \
	"           WHERE NOT granted AND mode = ANY ($2)) " \
	"      GROUP BY pid, virtualtransaction) l " \
	"LEFT JOIN pg_stat_activity a ON a.pid = l.pid " \
	"LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL " \
	"     AND t.virtualtransaction = l.virtualtransaction " \
	"     AND t.locktype = 'transactionid' " \
	"LEFT JOIN pg_prepared_xacts p ON p.transaction = t.transactionid"

char *
syncmaster_describe_blockers(Oid relation, LOCKMODE mode)
{
	Datum modes[MaxLockMode];
	int	  nmodes = 0;
	Oid	  types[2] = {OIDOID, TEXTARRAYOID};
	Datum values[2];
	List *rows;

	for (LOCKMODE m = AccessShareLock; m <= MaxLockMode; m++)
	{
		if (DoLockModesConflict(m, mode))
			modes[nmodes++] = CStringGetTextDatum(
				GetLockmodeName(DEFAULT_LOCKMETHOD, m));
	}
	values[0] = ObjectIdGetDatum(relation);
	values[1] = PointerGetDatum(
		construct_array(modes, nmodes, TEXTOID, -1, false, TYPALIGN_INT));

	rows = syncmaster_query(BLOCKERS_QUERY, 2, types, values);
	return rows == NIL ? NULL : ((char **) linitial(rows))[0];
}

static void
report_blockers(Oid relation, const char *name, LOCKMODE mode)
{
	char *blockers = syncmaster_describe_blockers(relation, mode);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock table \"%s\" within %d ms", name,
					syncmaster_lock_timeout),
			 blockers != NULL
				 ? errdetail("It is locked by %s.", blockers)
				 : errdetail("The session that held it has released it."),
			 errhint("Nothing was changed. Wait for those sessions or end "
					 "them with pg_terminate_backend(), prepared transactions "
					 "with COMMIT PREPARED or ROLLBACK PREPARED, or raise "
					 "syncmaster.lock_timeout, and run the command again.")));
}

/*
 * Another session waits for a lock of this transaction and holds the lock that
 * this transaction needs.
 */
static void
report_deadlock(Oid relation, const char *name, LOCKMODE mode)
{
	char *blockers = syncmaster_describe_blockers(relation, mode);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock table \"%s\" without a deadlock", name),
			 blockers != NULL
				 ? errdetail("It is locked by %s.", blockers)
				 : errdetail("The session that held it has released it."),
			 errhint("Nothing was changed. Run the command again, or stop "
					 "SyncMaster's services before.")));
}

/* The deadlock_timeout with which this session waits. */
#define DEADLOCK_LOOK 10

/*
 * Milliseconds for which a lock is waited for while other locks are held, so
 * that other sessions wait for those.  Doubled with each try, up to the limit
 * of a wait.
 */
#define LATER_LOCKS_LIMIT 50

/*
 * Milliseconds for which a lock is waited for at a time: half of the server's
 * default of deadlock_timeout.  The deadlock_timeout that counts is that of
 * the other sessions that wait, not that of this one.
 */
#define LONGEST_WAIT 500

typedef struct LockWait
{
	Oid		 relation;
	LOCKMODE mode;
	int		 limit; /* in milliseconds */
} LockWait;

static void
wait_for_lock(void *argument)
{
	const LockWait *wait = argument;
	int				level = syncmaster_enter_settings();

	syncmaster_set_locally_int("lock_timeout", wait->limit);
	if (DeadlockTimeout > DEADLOCK_LOOK)
		syncmaster_set_deadlock_timeout(DEADLOCK_LOOK);
	LockRelationOid(wait->relation, wait->mode);
	syncmaster_leave_settings(level);
}

/*
 * The longest time in milliseconds for the next wait, if the first wait began
 * at that time; 0 if syncmaster.lock_timeout is over.
 */
static int
wait_limit(TimestampTz started)
{
	int	 limit = Min(Max(DeadlockTimeout / 2, DEADLOCK_LOOK), LONGEST_WAIT);
	long waited = TimestampDifferenceMilliseconds(started,
												  GetCurrentTimestamp());

	if (syncmaster_lock_timeout == 0)
		return limit;
	return waited >= syncmaster_lock_timeout
			   ? 0
			   : Min(limit, syncmaster_lock_timeout - (int) waited);
}

/*
 * Sessions that wait for what this transaction has locked must not be the
 * victims of a deadlock.  A session looks for a deadlock once in each wait,
 * after deadlock_timeout: so this session looks at once, and again, with a new
 * wait, before a session that came later can look.  Between two waits, the
 * sessions behind it in the queue go on.
 */
static void
wait_with_limit(Oid relation, const char *name, LOCKMODE mode)
{
	LockWait	wait = {relation, mode, 0};
	TimestampTz started = GetCurrentTimestamp();

	for (;;)
	{
		ErrorData *error;

		CHECK_FOR_INTERRUPTS();
		wait.limit = wait_limit(started);
		if (wait.limit == 0)
			report_blockers(relation, name, mode);
		error = syncmaster_try(wait_for_lock, &wait);
		if (error == NULL)
			return;
		if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
			report_deadlock(relation, name, mode);
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
	}
}

/*
 * Like syncmaster_lock_relation(), but return false if the relation is gone
 * when it is locked.
 */
bool
syncmaster_lock_if_there(Oid relation, LOCKMODE mode)
{
	char *name = get_rel_name(relation);

	if (name == NULL)
		return false;
	if (syncmaster_guard == GUARD_OFF)
		LockRelationOid(relation, mode);
	else if (!ConditionalLockRelationOid(relation, mode))
		wait_with_limit(relation, name, mode);

	/* whoever held the lock may have dropped the table */
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation));
}

/*
 * Lock a relation until the end of the transaction, waiting no longer than
 * syncmaster.lock_timeout, unless the guard is off.
 *
 * Each wait joins the lock's queue, and runs in a subtransaction, so that
 * after a failure the blockers can still be looked up.  Waits are short, see
 * above, and a new one joins at the end of the queue: a table that is always
 * busy can keep this session waiting until the timeout.
 */
void
syncmaster_lock_relation(Oid relation, LOCKMODE mode)
{
	char *name = get_rel_name(relation);

	if (!syncmaster_lock_if_there(relation, mode))
		syncmaster_raise_dropped(relation, name);
}

/*
 * Add a lock to those that are taken together: one for each relation, of the
 * strongest mode.
 */
List *
syncmaster_add_lock(List *locks, Oid relid, LOCKMODE mode)
{
	ListCell  *lc;
	TableLock *lock;

	foreach (lc, locks)
	{
		lock = lfirst(lc);
		if (lock->relid == relid)
		{
			lock->mode = Max(lock->mode, mode);
			return locks;
		}
	}
	lock = palloc0(sizeof(TableLock));
	lock->relid = relid;
	lock->name = get_rel_name(relid);
	lock->mode = mode;
	return lappend(locks, lock);
}

typedef struct LockTry
{
	List	  *locks; /* of TableLock */
	TableLock *current;
	int		   limit;		/* of the first wait, in milliseconds */
	int		   later_limit; /* of the others */
} LockTry;

/*
 * Take one lock after the other.  The first one may be waited for longer than
 * the others, because nothing is locked yet that other sessions wait for.
 */
static void
lock_in_turn(void *argument)
{
	LockTry	 *lock_try = argument;
	ListCell *lc;

	foreach (lc, lock_try->locks)
	{
		TableLock *lock = lock_try->current = lfirst(lc);
		bool	   first = lc == list_head(lock_try->locks);
		LockWait   wait = {lock->relid, lock->mode, lock_try->limit};

		if (!first)
			wait.limit = Min(wait.limit, lock_try->later_limit);
		if (!ConditionalLockRelationOid(lock->relid, lock->mode))
			wait_for_lock(&wait);
	}
}

/*
 * Services lock the same tables in whatever order their requests take, so each
 * order can lead to a deadlock with one of them.  Therefore all locks of a try
 * are given back when one of them is not free soon.  The next try begins with
 * that one, and waits for it with nothing locked: then a deadlock is only
 * possible with what the transaction had locked before.
 */
static void
lock_by_tries(List *locks)
{
	LockTry		lock_try = {list_copy(locks), NULL, 0, LATER_LOCKS_LIMIT};
	TimestampTz started = GetCurrentTimestamp();
	TableLock  *failed = NULL;
	ErrorData  *error;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		lock_try.limit = wait_limit(started);
		if (lock_try.limit == 0 && failed != NULL)
			report_blockers(failed->relid, failed->name, failed->mode);
		lock_try.limit = Max(lock_try.limit, 1);
		error = syncmaster_try(lock_in_turn, &lock_try);
		if (error == NULL)
			return;
		failed = lock_try.current;
		if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		{
			if (failed == linitial(lock_try.locks))
				report_deadlock(failed->relid, failed->name, failed->mode);
		}
		else if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		lock_try.later_limit = Min(2 * lock_try.later_limit, LONGEST_WAIT);
		lock_try.locks = lcons(failed, list_delete_ptr(lock_try.locks, failed));
	}
}

/*
 * Lock several relations until the end of the transaction, within
 * syncmaster.lock_timeout in all, unless the guard is off.
 */
void
syncmaster_lock_together(List *locks)
{
	ListCell *lc;

	if (syncmaster_guard != GUARD_OFF)
		lock_by_tries(locks);
	foreach (lc, locks)
	{
		const TableLock *lock = lfirst(lc);

		if (syncmaster_guard == GUARD_OFF)
			LockRelationOid(lock->relid, lock->mode);
		/* whoever held it may have dropped the table */
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lock->relid)))
			syncmaster_raise_dropped(lock->relid, lock->name);
	}
}

/*
 * Lock the row of a schema in the catalogue; false if somebody is changing
 * its key.
 */
static bool
lock_schema_row(Relation rel, HeapTuple tuple, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TM_FailureData	failure;
	TM_Result result = table_tuple_lock(rel, &tuple->t_self, snapshot, slot,
										GetCurrentCommandId(false),
										LockTupleKeyShare, LockWaitSkip,
										TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS,
										&failure);

	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

/*
 * Keep a schema from being renamed or dropped until the transaction ends, and
 * return its name.  Statements name what is in the schema, and its owner
 * could put another schema in its place between the question of trust and the
 * statement.  ALTER SCHEMA ... RENAME takes no lock but that of the schema's
 * row, whose key it changes; GRANT and ALTER SCHEMA ... OWNER TO do not
 * change the key, and need not wait.
 */
char *
syncmaster_hold_schema(Oid namespace)
{
	Relation	rel = table_open(NamespaceRelationId, RowShareLock);
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *name;

	/*
	 * A procedure that has just committed has no snapshot, and the first one must
	 * not be taken while the scan of the catalogue has one registered.
	 */
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	ScanKeyInit(&key[0], Anum_pg_namespace_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(namespace));
	scan = systable_beginscan(rel, NamespaceOidIndexId, true, NULL, 1, key);
	tuple = systable_getnext(scan);
	name = HeapTupleIsValid(tuple)
			   ? pstrdup(
					 NameStr(((Form_pg_namespace) GETSTRUCT(tuple))->nspname))
			   : psprintf("%u", namespace);
	if (!HeapTupleIsValid(tuple) || !lock_schema_row(rel, tuple, snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("schema \"%s\" is being renamed or dropped by another "
						"session",
						name),
				 errhint("Nothing was changed. Wait for that session's "
						 "transaction to end, and run the command again.")));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);

	return name;
}
