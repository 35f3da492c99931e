/*-------------------------------------------------------------------------
 *
 * activity.h
 *	  Who else is at work in this database: sessions, and runs of transfers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_ACTIVITY_H
#define SYNCMASTER_ACTIVITY_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A session of another client in this database. */
typedef struct OtherSession
{
	char *description;	 /* process, user, application, state */
	int64 age;			 /* of its transaction, in ms; 0 if there is none */
	bool in_transaction; /* as far as the caller may see */
	bool may_write;		 /* some table of the application */
} OtherSession;

typedef enum ActiveRuns
{
	RUNS_NONE,		/* no table, or no active run in it */
	RUNS_ACTIVE,	/* described */
	RUNS_LOCKED,	/* the table is locked */
	RUNS_EXPENSIVE, /* it would have to be read from end to end */
	RUNS_UNREADABLE /* it is not the table that it should be */
} ActiveRuns;

extern List *syncmaster_other_sessions(Oid namespace);
extern ActiveRuns syncmaster_active_runs(Oid namespace, bool at_any_cost,
										 char **description);

#endif /* SYNCMASTER_ACTIVITY_H */
