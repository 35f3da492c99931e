/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *	  Trying what may fail, and looking without holding on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "storage/proc.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/base.h"

/*
 * The server reports only one reason for the end of a wait.  If that is the
 * lock's timeout, the server forgets that statement_timeout is over as well,
 * and a caller that tries again would go on.
 */
static void
heed_statement_timeout(void)
{
	TimestampTz finish = get_timeout_finish_time(STATEMENT_TIMEOUT);

	/* a timeout that was set during this statement does not apply to it */
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

		/*
		 * an ActingScope sets these two, which a subtransaction's abort does
		 * not restore
		 */
		creating_extension = save_creating;
		CurrentExtensionObject = save_extension;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller_context);
	CurrentResourceOwner = caller_owner;

	if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		heed_statement_timeout();
	return error;
}

/*
 * Run a function in a subtransaction.  If it fails, its changes are undone,
 * and the error is returned in the caller's memory; the caller raises an error
 * that it did not expect again with ReThrowError().  NULL means success.
 */
ErrorData *
syncmaster_try(SubtransactionBody body, void *argument)
{
	return run(body, argument, true);
}

/*
 * Like syncmaster_try(), for a function that changes nothing but memory: the
 * locks that it takes are given back.
 */
ErrorData *
syncmaster_look(SubtransactionBody body, void *argument)
{
	return run(body, argument, false);
}

/*
 * Like syncmaster_look(), for a question to other servers, which may not be
 * reachable: returns NULL, or the message of their error.  A cancel request
 * ends the command as usual.
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
