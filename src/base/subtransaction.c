/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *	  Trying what may fail, and looking without holding on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/base.h"

/* How many subtransactions of this file are under way, one in another? */
static int depth = 0;

/* what the server does when it is interrupted, and whether others asked for it */
static struct sigaction		 server_action;
static volatile sig_atomic_t cancel_requested;

/*
 * The handler of SIGINT in a subtransaction.  The server's timeouts send that
 * signal as well, but from this process.
 */
static void
note_cancel(int signo, siginfo_t *info, void *context)
{
	if (info->si_pid != MyProcPid)
		cancel_requested = true;
	if (server_action.sa_flags & SA_SIGINFO)
		server_action.sa_sigaction(signo, info, context);
	else
		server_action.sa_handler(signo);
}

static void
begin_noting(void)
{
	struct sigaction action;

	if (depth++ > 0)
		return;
	cancel_requested = false;
	(void) sigaction(SIGINT, NULL, &server_action);
	if (server_action.sa_handler == SIG_IGN ||
		server_action.sa_handler == SIG_DFL)
		return;
	action = server_action;
	action.sa_flags |= SA_SIGINFO;
	action.sa_sigaction = note_cancel;
	(void) sigaction(SIGINT, &action, NULL);
}

static void
end_noting(void)
{
	if (--depth == 0)
		(void) sigaction(SIGINT, &server_action, NULL);
}

/*
 * The server reports one reason for which a wait has ended.  If a lock's
 * timeout was one, it forgets that somebody cancelled the command meanwhile,
 * or that the time for the statement is over; whoever tries again would go on.
 */
static void
heed_forgotten_cancel(void)
{
	TimestampTz finish = get_timeout_finish_time(STATEMENT_TIMEOUT);

	if (cancel_requested)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
						errmsg("canceling statement due to user request")));

	/* a limit that was set in the course of this statement is not its own */
	if (StatementTimeout > 0 && finish > GetCurrentStatementStartTimestamp() &&
		GetCurrentTimestamp() >= finish)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling statement due to statement timeout")));
}

static ErrorData *
run(SubtransactionBody body, void *argument, bool keep)
{
	MemoryContext caller_context = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	bool		  save_creating = creating_extension;
	Oid			  save_extension = CurrentExtensionObject;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_context);
	begin_noting();
	PG_TRY();
	{
		body(argument);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();

		/* these two are no transaction's, but an ActingScope's */
		creating_extension = save_creating;
		CurrentExtensionObject = save_extension;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller_context);
	CurrentResourceOwner = caller_owner;
	end_noting();

	if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		heed_forgotten_cancel();
	return error;
}

/*
 * Run something in a subtransaction.  If it fails, that is undone, and the
 * error is returned in the caller's memory; he raises again with
 * ReThrowError() what he did not expect.  NULL means success.
 */
ErrorData *
syncmaster_try(SubtransactionBody body, void *argument)
{
	return run(body, argument, true);
}

/*
 * The same with something that changes nothing but memory.  The locks that it
 * takes are given back.
 */
ErrorData *
syncmaster_look(SubtransactionBody body, void *argument)
{
	return run(body, argument, false);
}

/*
 * The same with what other servers have to answer, which may be out of reach:
 * NULL, or what their error says.  Who cancels the command is heeded.
 *
 * After a query that read several shards at a time, Citus refuses DDL until
 * the transaction ends.
 */
char *
syncmaster_ask_elsewhere(SubtransactionBody body, void *argument)
{
	int		   level = syncmaster_enter_settings();
	ErrorData *error;

	syncmaster_set_locally("citus.multi_shard_modify_mode", "sequential");
	error = syncmaster_look(body, argument);
	syncmaster_leave_settings(level);
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error != NULL ? error->message : NULL;
}
