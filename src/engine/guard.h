/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  Who else is at work, and whether a migration may start meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_GUARD_H
#define SYNCMASTER_GUARD_H

#include "migrate.h"

extern void syncmaster_enforce_guard(const MigrationContext *context);

#endif /* SYNCMASTER_GUARD_H */
