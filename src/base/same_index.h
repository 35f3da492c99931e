/*-------------------------------------------------------------------------
 *
 * same_index.h
 *	  Whether an index is the one that a statement makes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SAME_INDEX_H
#define SYNCMASTER_SAME_INDEX_H

#include "postgres.h"

#include "nodes/parsenodes.h"

extern bool syncmaster_is_index(Oid indexid, Oid relid, const IndexStmt *stmt);

#endif /* SYNCMASTER_SAME_INDEX_H */
