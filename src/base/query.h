/*-------------------------------------------------------------------------
 *
 * query.h
 *	  A query's rows as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_QUERY_H
#define SYNCMASTER_QUERY_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* a list of arrays of C strings, NULL for null */
extern List *syncmaster_query(const char *sql, int nargs, Oid *types,
							  Datum *values);
extern List *syncmaster_query_oid(const char *sql, Oid argument);

#endif /* SYNCMASTER_QUERY_H */
