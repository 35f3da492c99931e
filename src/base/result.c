/*-------------------------------------------------------------------------
 *
 * result.c
 *	  Set-returning functions that give all their rows at once.
 *
 * PostgreSQL has a function for this since 15 only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/base.h"

/*
 * Return what a function returns, and its row type.  No lock keeps a function
 * from being dropped while a query runs it, or before the same query calls it.
 */
TypeFuncClass
syncmaster_result_type(FunctionCallInfo fcinfo, Oid *type, TupleDesc *desc)
{
	Oid function = fcinfo->flinfo->fn_oid;

	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("the function with OID %u was dropped while a query "
						"used it",
						function),
				 errhint(
					 "If extension \"syncmaster\" was created again, run the "
					 "command again.")));
	return get_call_result_type(fcinfo, type, desc);
}

/*
 * Prepare the tuplestore of a function's result; rows go into ->setResult by
 * ->setDesc.
 */
ReturnSetInfo *
syncmaster_begin_result(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext  old_context;
	TupleDesc	   desc;
	Oid			   type;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		!(result->allowedModes & SFRM_Materialize))
		elog(ERROR, "function must be called where a set is accepted");
	switch (syncmaster_result_type(fcinfo, &type, &desc))
	{
		case TYPEFUNC_COMPOSITE:
			break;
		case TYPEFUNC_SCALAR:
			desc = CreateTemplateTupleDesc(1);
			TupleDescInitEntry(desc, 1, "value", type, -1, 0);
			break;
		default:
			elog(ERROR, "unexpected result type");
	}

	old_context = MemoryContextSwitchTo(
		result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setDesc = CreateTupleDescCopy(desc);
	result->setResult = tuplestore_begin_heap(
		(result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	MemoryContextSwitchTo(old_context);

	return result;
}

/*
 * Add a row.  Values may have been read directly, from a table that is not
 * kept from being truncated: what they have in a TOAST table is fetched now.
 */
void
syncmaster_put_row(ReturnSetInfo *result, Datum *values, bool *nulls)
{
	HeapTuple tuple = heap_form_tuple(result->setDesc, values, nulls);

	if (HeapTupleHasExternal(tuple))
	{
		HeapTuple flat = toast_flatten_tuple(tuple, result->setDesc);

		heap_freetuple(tuple);
		tuple = flat;
	}
	tuplestore_puttuple(result->setResult, tuple);
	heap_freetuple(tuple);
}

/*
 * Add a row of texts, NULL for null.
 */
void
syncmaster_put_texts(ReturnSetInfo *result, int natts, const char *const *texts)
{
	Datum *values = palloc0(sizeof(Datum) * natts);
	bool  *nulls = palloc0(sizeof(bool) * natts);

	if (result->setDesc->natts != natts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the extension's function returns %d columns, but the "
						"library's returns %d",
						result->setDesc->natts, natts),
				 errhint("Run ALTER EXTENSION syncmaster UPDATE.")));
	for (int i = 0; i < natts; i++)
	{
		nulls[i] = texts[i] == NULL;
		if (!nulls[i])
			values[i] = CStringGetTextDatum(texts[i]);
	}
	syncmaster_put_row(result, values, nulls);
}
