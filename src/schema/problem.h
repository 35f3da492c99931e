/*-------------------------------------------------------------------------
 *
 * problem.h
 *	  What stands in a migration's way, to be raised or to be listed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PROBLEM_H
#define SYNCMASTER_PROBLEM_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef enum ProblemSeverity
{
	PROBLEM_INFO,
	PROBLEM_WARNING,
	PROBLEM_ERROR
} ProblemSeverity;

typedef struct Problem
{
	ProblemSeverity severity;
	int sqlerrcode; /* if it is raised; 0 if it is only listed */
	char *subject;	/* what it is about, in a word or two */
	char *message;
	char *detail; /* NULL if there is no more to say */
	char *hint;
} Problem;

/* Marks what is an error's message when the problem is raised. */
#define problem_message psprintf

extern Problem *syncmaster_add_problem(List **problems, int sqlerrcode,
									   const char *subject, const char *message,
									   const char *hint);
extern const char *syncmaster_severity_name(ProblemSeverity severity);
extern void syncmaster_raise_problems(List *problems);

#endif /* SYNCMASTER_PROBLEM_H */
