/*-------------------------------------------------------------------------
 *
 * problem.c
 *	  What stands in a migration's way, to be raised or to be listed.
 *
 * A migration raises the first problem that it finds; the preflight lists
 * them all.  Both look through the same eyes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

/*
 * Add an error to a list; the result may be completed or made milder.
 */
Problem *
syncmaster_add_problem(List **problems, int sqlerrcode, const char *subject,
					   const char *message, const char *hint)
{
	Problem *problem = palloc0(sizeof(Problem));

	problem->severity = PROBLEM_ERROR;
	problem->sqlerrcode = sqlerrcode;
	problem->subject = pstrdup(subject);
	problem->message = pstrdup(message);
	problem->hint = pstrdup(hint);
	*problems = lappend(*problems, problem);

	return problem;
}

const char *
syncmaster_severity_name(ProblemSeverity severity)
{
	static const char *const names[] = {"info", "warning", "error"};

	return names[severity];
}

/*
 * Raise the first error of a list, if there is one.
 */
void
syncmaster_raise_problems(List *problems)
{
	ListCell *lc;

	foreach (lc, problems)
	{
		Problem *problem = lfirst(lc);

		if (problem->severity == PROBLEM_ERROR)
			ereport(ERROR, (errcode(problem->sqlerrcode),
							errmsg_internal("%s", problem->message),
							problem->detail != NULL
								? errdetail_internal("%s", problem->detail)
								: 0,
							errhint("%s", problem->hint)));
	}
}
