/*-------------------------------------------------------------------------
 *
 * query.c
 *	  A query's rows as text, for the catalogues.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/base.h"

/*
 * Run a query on the catalogues, under safe settings, and return its rows in
 * the caller's memory.  It sees what this command has changed so far.
 */
List *
syncmaster_query(const char *sql, int nargs, Oid *types, Datum *values)
{
	MemoryContext caller_context = CurrentMemoryContext;
	List *rows = NIL;
	int save_nestlevel = syncmaster_begin_query();
	MemoryContext old_context;

	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogues");

	/* in this context, SPI_getvalue() too allocates for the caller */
	old_context = MemoryContextSwitchTo(caller_context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		char **row = palloc(sizeof(char *) * desc->natts);

		for (int column = 0; column < desc->natts; column++)
			row[column] = SPI_getvalue(SPI_tuptable->vals[i], desc, column + 1);
		rows = lappend(rows, row);
	}
	MemoryContextSwitchTo(old_context);
	syncmaster_end_query(save_nestlevel);

	return rows;
}

/*
 * The same with one argument.
 */
List *
syncmaster_query_oid(const char *sql, Oid argument)
{
	Oid types[1] = {OIDOID};
	Datum values[1];

	values[0] = ObjectIdGetDatum(argument);
	return syncmaster_query(sql, 1, types, values);
}
