/*-------------------------------------------------------------------------
 *
 * script.h
 *	  The migration steps in the installed extension scripts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SCRIPT_H
#define SYNCMASTER_SCRIPT_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* One call of syncmaster_migrate() in a script. */
typedef struct MigrationStep
{
	int from; /* revision numbers; from > to is a downgrade */
	int to;
	char *ddl;
} MigrationStep;

extern List *syncmaster_script_functions(void);
extern List *syncmaster_read_steps(Oid namespace);
extern MigrationStep *syncmaster_find_step(List *steps, int from, int to);

#endif /* SYNCMASTER_SCRIPT_H */
