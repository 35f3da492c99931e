/*-------------------------------------------------------------------------
 *
 * parameter_query.h
 *	  A statement with parameters, run by SPI.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PARAMETER_QUERY_H
#define SYNCMASTER_PARAMETER_QUERY_H

#include "postgres.h"

extern int64 syncmaster_run_query(const char *sql, int nargs, Oid *types,
								  Datum *values);
extern int64 syncmaster_query_int8(const char *sql, int nargs, Oid *types,
								   Datum *values, bool *isnull);

#endif /* SYNCMASTER_PARAMETER_QUERY_H */
