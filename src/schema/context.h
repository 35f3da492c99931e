/*-------------------------------------------------------------------------
 *
 * context.h
 *	  For whom and where a migration runs, and whether it may.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CONTEXT_H
#define SYNCMASTER_CONTEXT_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* For whom and where a migration runs. */
typedef struct MigrationContext
{
	Oid caller;	   /* role that gave the command */
	Oid namespace; /* schema of the application */
	char *schema;  /* its name */
	Oid owner;	   /* of the application's tables, present or to come */
} MigrationContext;

extern bool syncmaster_is_citus_worker(void);
extern Oid syncmaster_database_owner(void);
extern bool syncmaster_may_migrate(Oid caller, Oid owner);
extern void syncmaster_fill_context(MigrationContext *context, Oid caller);
extern List *syncmaster_caller_problems(const MigrationContext *context);
extern void syncmaster_begin_migration(MigrationContext *context, Oid caller);
extern void syncmaster_require_writable(const char *command);
extern void syncmaster_begin_command(MigrationContext *context,
									 const char *command);
extern void syncmaster_warn_owner(const MigrationContext *context);

#endif /* SYNCMASTER_CONTEXT_H */
