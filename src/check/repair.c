/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  syncmaster_repair(): repairs what syncmaster_check() finds, as far as
 *	  nothing can be lost by it.
 *
 * Each statement runs like one of a migration: with a bounded wait for its
 * locks, as the owner of the tables.  One that fails on the rows that are
 * there, or for want of a right, is undone by itself and reported.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

#define REPAIR_NATTS 6

#define ACTION_DONE "done"
#define ACTION_PLANNED "planned"
#define ACTION_LEFT "left"

/* A statement that was tried, and why it failed. */
typedef struct Attempt
{
	const Finding *finding;
	const char	  *fix;
	const char	  *failure; /* NULL if it succeeded */
} Attempt;

PG_FUNCTION_INFO_V1(syncmaster_repair);

/*
 * Report a difference.  Its SQL, which runs here as the owner of the tables, is
 * not shown to a role that could not trust it.
 */
static void
report(ReturnSetInfo *result, const char *action, const Finding *finding,
	   const char *why)
{
	const char *texts[REPAIR_NATTS] = {action,			 finding->kind,
									   finding->subject, finding->message,
									   finding->fix,	 why};

	if (syncmaster_is_withheld(finding->fix))
		texts[4] = NULL;
	syncmaster_put_texts(result, REPAIR_NATTS, texts);
}

/*
 * Why repair does not touch a difference; NULL if it does.
 */
static const char *
why_left(const CheckContext *context, const Finding *finding)
{
	if (finding->left != NULL)
		return finding->left;
	if (finding->fix == NULL)
		return "no SQL can repair it";
	if (context->unsettled && !finding->of_extension)
		return "the revision has to be settled first";
	return NULL;
}

/*
 * Return whether this error means that the statement does not fit the
 * existing objects.  Other errors, such as a lock timeout or a cancel, end
 * the whole command.
 */
static bool
is_refusal(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case MAKE_SQLSTATE('0', 'A', '0', '0', '0'): /* not supported */
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'): /* data */
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'): /* constraints */
		case MAKE_SQLSTATE('2', 'B', '0', '0', '0'): /* dependent objects */
		case MAKE_SQLSTATE('4', '2', '0', '0', '0'): /* names and rights */
		case MAKE_SQLSTATE('5', '4', '0', '0', '0'): /* limits, as of columns */
			return true;
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'): /* state of an object */
			return sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE;
		default:
			return false;
	}
}

typedef struct Fix
{
	const MigrationContext *migration;
	const Finding		   *finding;
} Fix;

static void
run_fix(void *argument)
{
	const Fix *fix = argument;

	if (fix->finding->of_extension)
		syncmaster_complete_member(fix->finding->fix);
	else
		syncmaster_run_statements(fix->migration, fix->finding->fix,
								  "syncmaster repair");
}

/*
 * Run the statements that repair a difference; NULL if they succeeded, else
 * the error's message.
 */
static const char *
try_fix(const MigrationContext *migration, const Finding *finding)
{
	Fix		   fix = {migration, finding};
	ErrorData *error = syncmaster_try(run_fix, &fix);

	if (error == NULL)
		return NULL;
	syncmaster_show_activity(NULL, NULL);
	if (!is_refusal(error->sqlerrcode))
		ReThrowError(error);
	return error->detail == NULL
			   ? error->message
			   : psprintf("%s: %s", error->message, error->detail);
}

static const Attempt *
find_attempt(List *attempts, const Finding *finding)
{
	ListCell *lc;

	foreach (lc, attempts)
	{
		const Attempt *attempt = lfirst(lc);

		if (finding->fix != NULL && strcmp(attempt->fix, finding->fix) == 0)
			return attempt;

		/*
		 * its fix names the highest id, and other sessions may insert
		 * meanwhile
		 */
		if (finding->of_rows &&
			strcmp(attempt->finding->subject, finding->subject) == 0 &&
			strcmp(attempt->finding->message, finding->message) == 0)
			return attempt;
	}
	return NULL;
}

/*
 * First difference that has not been tried yet.
 */
static Finding *
next_finding(const CheckContext *context, List *attempts)
{
	ListCell *lc;

	foreach (lc, context->findings)
	{
		Finding *finding = lfirst(lc);

		if (finding->severity < SEVERITY_INFO &&
			why_left(context, finding) == NULL &&
			find_attempt(attempts, finding) == NULL)
			return finding;
	}
	return NULL;
}

static void
compare(CheckContext *context, bool repairs)
{
	syncmaster_begin_check(context);
	context->repairs = repairs;
	syncmaster_check_schema(context);
}

/*
 * Repair one difference after the other.  The schema is compared anew each
 * time, because one statement may repair several differences.
 */
static List *
repair_differences(ReturnSetInfo *result, const MigrationContext *migration,
				   CheckContext *context)
{
	List	*attempts = NIL;
	Finding *finding;

	while ((finding = next_finding(context, attempts)) != NULL)
	{
		Attempt *attempt = palloc(sizeof(Attempt));

		attempt->finding = finding;
		attempt->fix = finding->fix;
		attempt->failure = try_fix(migration, finding);
		attempts = lappend(attempts, attempt);
		if (attempt->failure == NULL)
			report(result, ACTION_DONE, finding, NULL);

		CommandCounterIncrement();
		compare(context, true);
	}
	return attempts;
}

/*
 * syncmaster_repair(dry_run boolean) returns what it did, or would do, and
 * what it leaves.
 */
Datum
syncmaster_repair(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	CheckContext   context;
	List		  *attempts = NIL;
	ListCell	  *lc;
	bool		   dry_run;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("dry_run must not be null"),
				 errhint("Give true to see what would be done, false to do "
						 "it.")));
	dry_run = PG_GETARG_BOOL(0);

	if (dry_run)
		compare(&context, false);
	else
	{
		MigrationContext migration;

		syncmaster_begin_command(&migration, "syncmaster_repair()");
		compare(&context, true);
		attempts = repair_differences(result, &migration, &context);
		syncmaster_extend_grants(&migration);
	}

	syncmaster_warn_of_newer(context.namespace);
	foreach (lc, context.findings)
	{
		Finding		  *finding = lfirst(lc);
		const Attempt *attempt = find_attempt(attempts, finding);
		const char	  *why = why_left(&context, finding);

		if (finding->severity == SEVERITY_INFO)
			continue;
		if (why == NULL && dry_run)
			report(result, ACTION_PLANNED, finding, NULL);
		else if (why == NULL && attempt->failure == NULL)
			report(result, ACTION_LEFT, finding,
				   "it was there again after it had been repaired");
		else
			report(result, ACTION_LEFT, finding,
				   why != NULL ? why : attempt->failure);
	}
	return (Datum) 0;
}
