/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  How far a migration is.
 *
 * Others see it in pg_stat_activity.  The session itself gets INFO lines,
 * which show inside extension scripts, where NOTICE does not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "settings.h"

/* Longest part of a statement that pg_stat_activity shows of a step. */
#define ACTIVITY_STATEMENT_LENGTH 80

/*
 * Milliseconds.  A faster statement is not worth a line, unless lines are
 * asked for.
 */
#define PROGRESS_MIN_MS 1000

/*
 * Show in pg_stat_activity which statement of which step is under way; the
 * client's own command again if NULL.
 */
void
syncmaster_show_activity(const char *activity, const char *sql)
{
	if (activity == NULL)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	else
		pgstat_report_activity(STATE_RUNNING,
							   psprintf("%s: %.*s", activity,
										ACTIVITY_STATEMENT_LENGTH, sql));
}

/*
 * Say that something is done and how long it took.
 */
void
syncmaster_report_progress(TimestampTz started, const char *format, ...)
{
	long took = TimestampDifferenceMilliseconds(started, GetCurrentTimestamp());
	StringInfoData text;
	va_list		   args;
	int			   needed;

	if (syncmaster_progress == PROGRESS_OFF ||
		(syncmaster_progress == PROGRESS_AUTO && took < PROGRESS_MIN_MS))
		return;

	initStringInfo(&text);
	for (;;)
	{
		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	ereport(INFO, (errmsg("%s in %ld ms", text.data, took)));
}
