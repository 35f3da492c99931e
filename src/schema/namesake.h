/*-------------------------------------------------------------------------
 *
 * namesake.h
 *	  Functions of others with the names of ours.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_NAMESAKE_H
#define SYNCMASTER_NAMESAKE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A function that may be called in place of one of ours. */
typedef struct Namesake
{
	const char *signature; /* schema.name(types) */
	const char *drop;	   /* the command */
} Namesake;

extern List *syncmaster_namesakes(void);
extern void syncmaster_warn_of_namesakes(void);

#endif /* SYNCMASTER_NAMESAKE_H */
