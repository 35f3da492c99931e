/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Whether a migration may start while other sessions are at work.
 *
 * Locks keep a migration and the services from harming each other, whatever
 * the guard.  With syncmaster.guard = sessions a migration does not even begin
 * while other sessions are connected.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"

#include "engine/engine.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

/* How many sessions the error names. */
#define MAX_SESSIONS_NAMED 10

static char *
describe_sessions(List *sessions)
{
	StringInfoData text;
	int			   named = 0;
	ListCell	  *lc;

	initStringInfo(&text);
	foreach (lc, sessions)
	{
		OtherSession *session = lfirst(lc);

		if (named == MAX_SESSIONS_NAMED)
		{
			appendStringInfo(&text, " and %d more",
							 list_length(sessions) - named);
			break;
		}
		appendStringInfo(&text, "%s%s", named++ > 0 ? ", " : "",
						 session->description);
	}
	return text.data;
}

/*
 * Other sessions, without those that Citus keeps open between its nodes.  One
 * of these that has a transaction works for a user on another node, and is
 * counted.
 */
static List *
sessions_at_work(Oid namespace)
{
	List	 *sessions = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_other_sessions(namespace))
	{
		OtherSession *session = lfirst(lc);

		if (!session->between_nodes)
			sessions = lappend(sessions, session);
	}
	return sessions;
}

/*
 * Refuse a command, before its first change, if the guard says so.  A
 * client's command is checked once: a session that connects in the middle of
 * it will wait for its locks.
 */
void
syncmaster_enforce_guard(const MigrationContext *context)
{
	static TimestampTz		 passed_at = 0;
	static FullTransactionId passed_in = {0};
	List					*sessions;
	char					*runs;
	StringInfoData			 detail;

	if (syncmaster_guard != GUARD_SESSIONS)
		return;
	if (passed_at == GetCurrentStatementStartTimestamp() &&
		FullTransactionIdEquals(passed_in, GetTopFullTransactionId()))
		return;

	sessions = sessions_at_work(context->namespace);
	switch (syncmaster_active_runs(context->namespace, true, &runs))
	{
		case RUNS_LOCKED:
			runs = "not known, as the table is locked";
			break;
		case RUNS_UNREADABLE:
			runs = psprintf("not known, as the table cannot be read%s%s",
							runs != NULL ? ": " : "", runs != NULL ? runs : "");
			break;
		case RUNS_EXPENSIVE:
			runs = "not known, as an index of the table is locked";
			break;
		case RUNS_NONE:
			runs = NULL;
			break;
		case RUNS_ACTIVE:
			break;
	}
	if (sessions != NIL || runs != NULL)
	{
		initStringInfo(&detail);
		if (sessions != NIL)
			appendStringInfo(&detail, "Sessions: %s.",
							 describe_sessions(sessions));
		if (runs != NULL)
			appendStringInfo(&detail, "%sRuns: %s.", detail.len > 0 ? " " : "",
							 runs);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the database is in use"),
				 errdetail_internal("%s", detail.data),
				 errhint("Nothing was changed. Wait for active runs to end, "
						 "stop SyncMaster's services, and run the command "
						 "again; or SET syncmaster.guard = locks to migrate "
						 "meanwhile.")));
	}
	passed_at = GetCurrentStatementStartTimestamp();
	passed_in = GetTopFullTransactionId();
}
