/*-------------------------------------------------------------------------
 *
 * history.h
 *	  The record of migrations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_HISTORY_H
#define SYNCMASTER_HISTORY_H

#include "migrate.h"
#include "utils/timestamp.h"

#define HISTORY_SCHEMA "syncmaster_history"
#define HISTORY_TABLE "migration"
#define HISTORY_NAME HISTORY_SCHEMA "." HISTORY_TABLE

extern Oid syncmaster_find_history(void);
extern Oid syncmaster_require_history_schema(const MigrationContext *context);
extern bool syncmaster_is_history(Oid relid);
extern void syncmaster_record_migration(const MigrationContext *context,
										int from, int to, TimestampTz started);

#endif /* SYNCMASTER_HISTORY_H */
