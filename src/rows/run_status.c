/*-------------------------------------------------------------------------
 *
 * run_status.c
 *	  The statuses and types of runs.
 *
 * The column is a varchar: a release of SyncMaster can add a status without a
 * revision.  A run in a status that is not listed here is neither taken for
 * active nor for one that is over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "rows/rows.h"

/* The first NACTIVE_STATUSES are those of active runs. */
const char *const syncmaster_run_statuses[NRUN_STATUSES] = {
	"CREATED", "STARTED", "SEND_STOP_SIGNAL", "FAILED", "STOPPED", "FINISHED"};

static bool
is_text(Datum value, const char *expected)
{
	text  *actual = DatumGetTextPP(value);
	size_t length = VARSIZE_ANY_EXHDR(actual);

	return strlen(expected) == length &&
		   memcmp(expected, VARDATA_ANY(actual), length) == 0;
}

/*
 * The number of a status; -1 if it is not known.
 */
int
syncmaster_find_status(Datum status)
{
	for (int i = 0; i < NRUN_STATUSES; i++)
	{
		if (is_text(status, syncmaster_run_statuses[i]))
			return i;
	}
	return -1;
}

/*
 * The number of an active status; -1 for any other.
 */
int
syncmaster_find_active_status(Datum status)
{
	int number = syncmaster_find_status(status);

	return number < NACTIVE_STATUSES ? number : -1;
}

/*
 * Return whether a run of this status is known to have ended.
 */
bool
syncmaster_is_final_status(Datum status)
{
	return syncmaster_find_status(status) >= NACTIVE_STATUSES;
}

/*
 * Return whether the scheduler starts runs of this type.
 */
bool
syncmaster_is_scheduled_type(Datum type)
{
	return is_text(type, "SCHEDULED");
}

/*
 * The statuses from number "first" on, before number "end", as a list for SQL.
 */
static char *
list_statuses(int first, int end)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = first; i < end; i++)
		appendStringInfo(&list, "%s%s", i > first ? ", " : "",
						 quote_literal_cstr(syncmaster_run_statuses[i]));
	return list.data;
}

/*
 * The statuses from number "first" on, as a list for SQL: 0 gives all that are
 * known, NACTIVE_STATUSES those of runs that are over.
 */
char *
syncmaster_list_statuses(int first)
{
	return list_statuses(first, NRUN_STATUSES);
}

/*
 * The statuses of active runs, as a list for SQL.
 */
char *
syncmaster_list_active_statuses(void)
{
	return list_statuses(0, NACTIVE_STATUSES);
}
