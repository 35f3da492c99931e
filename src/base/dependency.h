/*-------------------------------------------------------------------------
 *
 * dependency.h
 *	  What depends on a column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_DEPENDENCY_H
#define SYNCMASTER_DEPENDENCY_H

#include "postgres.h"

#include "nodes/pg_list.h"

extern List *syncmaster_column_indexes(Oid relid, const char *column);

#endif /* SYNCMASTER_DEPENDENCY_H */
