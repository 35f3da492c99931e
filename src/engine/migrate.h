/*-------------------------------------------------------------------------
 *
 * migrate.h
 *	  The migration engine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_MIGRATE_H
#define SYNCMASTER_MIGRATE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "context.h"
#include "revision.h"

extern void syncmaster_lock_version(const MigrationContext *context);
extern void syncmaster_read_checked_revision(const MigrationContext *context,
											 SchemaRevision *revision);
extern void syncmaster_migrate_steps(const MigrationContext *context,
									 List *steps, int to, bool upgrade);

#endif /* SYNCMASTER_MIGRATE_H */
