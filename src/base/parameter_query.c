/*-------------------------------------------------------------------------
 *
 * parameter_query.c
 *	  A statement with parameters, run by SPI.
 *
 * SPI leaves its own memory context behind, which lives as long as the
 * procedure: here the caller's stays the current one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"

#include "base/base.h"

/*
 * Run a statement; the number of its rows, which are in SPI_tuptable.
 */
int64
syncmaster_run_query(const char *sql, int nargs, Oid *types, Datum *values)
{
	MemoryContext caller_context = CurrentMemoryContext;
	int rc = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);

	MemoryContextSwitchTo(caller_context);
	if (rc < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s",
			 SPI_result_code_string(rc));
	return (int64) SPI_processed;
}

/*
 * Run a query that gives a number; NULL if it gives no row.
 */
int64
syncmaster_query_int8(const char *sql, int nargs, Oid *types, Datum *values,
					  bool *isnull)
{
	int64 result = 0;

	*isnull = true;
	if (syncmaster_run_query(sql, nargs, types, values) > 0)
	{
		Datum value = SPI_getbinval(SPI_tuptable->vals[0],
									SPI_tuptable->tupdesc, 1, isnull);

		if (!*isnull)
			result = DatumGetInt64(value);
	}
	SPI_freetuptable(SPI_tuptable);

	return result;
}
