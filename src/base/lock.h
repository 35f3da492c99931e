/*-------------------------------------------------------------------------
 *
 * lock.h
 *	  Locking a table with a bounded wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_LOCK_H
#define SYNCMASTER_LOCK_H

#include "postgres.h"

#include "storage/lockdefs.h"

extern char *syncmaster_describe_blockers(Oid relation, LOCKMODE mode);
extern void syncmaster_lock_relation(Oid relation, LOCKMODE mode);

#endif /* SYNCMASTER_LOCK_H */
