/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  The procedures that delete old runs and old results of Celery's tasks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/parsenodes.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "retention/retention.h"
#include "schema/schema.h"

/* Larger batches would be long transactions, which a purge avoids. */
#define MAX_BATCH_SIZE 1000000

PG_FUNCTION_INFO_V1(syncmaster_purge_partitions);
PG_FUNCTION_INFO_V1(syncmaster_purge_runs);
PG_FUNCTION_INFO_V1(syncmaster_purge_task_results);

static void
require_argument(FunctionCallInfo fcinfo, int n, const char *name,
				 const char *hint)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name), errhint("%s", hint)));
}

static void
argument_out_of_range(const char *name, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s is out of range", name), errhint("%s", hint)));
}

/*
 * Refuse to run where a batch cannot be committed, or where rows that others
 * changed meanwhile could not be seen.
 */
static void
require_own_transactions(FunctionCallInfo fcinfo, const char *procedure)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic || IsSubTransaction())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run inside a transaction block, a function "
						"or an exception block",
						procedure),
				 errhint("It commits after each batch. Run CALL as a command "
						 "of its own, with autocommit on.")));
	if (IsolationUsesXactSnapshot() ||
		DefaultXactIsoLevel > XACT_READ_COMMITTED)
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("%s needs the isolation level READ COMMITTED",
							   procedure),
						errhint("Run SET default_transaction_isolation = 'read "
								"committed' before.")));
}

/*
 * Refuse a negative age.
 */
void
syncmaster_check_age(const Interval *older_than, const char *hint)
{
	Interval zero = {0};

	if (DatumGetBool(DirectFunctionCall2(interval_lt,
										 IntervalPGetDatum(older_than),
										 IntervalPGetDatum(&zero))))
		argument_out_of_range("older_than", hint);
}

/*
 * Read the options that both procedures have; first_optional is the number of
 * batch_size, which is followed by dry_run.
 */
static void
read_options(FunctionCallInfo fcinfo, PurgeOptions *options,
			 const char *procedure, int first_optional)
{
	const char *age_hint = "Say how old rows must be to go, for example "
						   "interval '90 days'.";
	const char *size_hint = "Name a number of rows from 1 to "
							"1000000; the default is 10000.";

	options->procedure = procedure;
	require_argument(fcinfo, 0, "older_than", age_hint);
	options->older_than = *PG_GETARG_INTERVAL_P(0);
	syncmaster_check_age(&options->older_than, age_hint);

	require_argument(fcinfo, first_optional, "batch_size", size_hint);
	options->batch_size = PG_GETARG_INT32(first_optional);
	if (options->batch_size < 1 || options->batch_size > MAX_BATCH_SIZE)
		argument_out_of_range("batch_size", size_hint);

	require_argument(fcinfo, first_optional + 1, "dry_run",
					 "Name true to see what would be deleted, false to "
					 "delete.");
	options->dry_run = PG_GETARG_BOOL(first_optional + 1);
}

/*
 * Warn of a newer schema: rows that are known to be over may be deleted
 * nevertheless.
 */
static void
warn_of_newer(void)
{
	ExtensionEntry extension;

	syncmaster_get_extension(&extension);
	syncmaster_warn_of_newer(extension.namespace);
}

/*
 * Purge the tables of this procedure; returns the number of rows.
 */
static int64
purge_tables(const PurgeOptions *options, const char *procedure)
{
	int64 count = 0;

	syncmaster_begin_procedure();
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *table = &syncmaster_relations[i];

		if (table->purge != NULL && strcmp(table->purge, procedure) == 0)
			count += syncmaster_purge_table(options, table);
	}
	syncmaster_end_procedure();

	return count;
}

/*
 * The row that a procedure with one INOUT parameter returns.
 */
static Datum
return_count(FunctionCallInfo fcinfo, int64 count)
{
	TupleDesc desc;
	Datum	  value = Int64GetDatum(count);
	bool	  isnull = false;

	if (syncmaster_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "unexpected result type");
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), &value, &isnull));
}

/*
 * syncmaster_purge_runs(older_than interval, keep_last integer,
 *						 batch_size integer, dry_run boolean,
 *						 INOUT deleted bigint)
 *
 * Deletes runs that were created so long ago, but no active run and none of
 * the last ones of its transfer.
 */
Datum
syncmaster_purge_runs(PG_FUNCTION_ARGS)
{
	const char	*keep_hint = "Name how many runs of each transfer to keep "
							 "whatever their age; 0 keeps none.";
	PurgeOptions options = {0};

	read_options(fcinfo, &options, "syncmaster_purge_runs()", 2);
	require_argument(fcinfo, 1, "keep_last", keep_hint);
	options.keep_last = PG_GETARG_INT32(1);
	if (options.keep_last < 0)
		argument_out_of_range("keep_last", keep_hint);
	require_own_transactions(fcinfo, options.procedure);
	warn_of_newer();

	return return_count(fcinfo,
						purge_tables(&options, "syncmaster_purge_runs"));
}

/*
 * syncmaster_purge_task_results(older_than interval, batch_size integer,
 *								 dry_run boolean, INOUT deleted bigint)
 *
 * Deletes results of Celery's tasks, and of groups of tasks, that are so old.
 * As Celery's own cleanup does, it does not look at the task's state.
 */
Datum
syncmaster_purge_task_results(PG_FUNCTION_ARGS)
{
	PurgeOptions options = {0};

	read_options(fcinfo, &options, "syncmaster_purge_task_results()", 1);
	require_own_transactions(fcinfo, options.procedure);
	warn_of_newer();

	return return_count(fcinfo, purge_tables(&options,
											 "syncmaster_purge_task_results"));
}

/*
 * syncmaster_purge_partitions(older_than interval, keep_last integer,
 *							   dry_run boolean, detach boolean,
 *							   INOUT dropped bigint)
 *
 * Drops or detaches partitions of table "run" that hold nothing but what
 * syncmaster_purge_runs() would delete.
 */
Datum
syncmaster_purge_partitions(PG_FUNCTION_ARGS)
{
	const char		 *age_hint = "Say how old runs must be to go, for example "
								 "interval '90 days'.";
	const char *const names[] = {"older_than", "keep_last", "dry_run",
								 "detach"};
	PurgeOptions	  options = {.procedure = "syncmaster_purge_partitions()"};

	for (int i = 0; i < (int) lengthof(names); i++)
		require_argument(fcinfo, i, names[i], age_hint);
	options.older_than = *PG_GETARG_INTERVAL_P(0);
	syncmaster_check_age(&options.older_than, age_hint);
	options.keep_last = PG_GETARG_INT32(1);
	if (options.keep_last < 0)
		argument_out_of_range("keep_last", age_hint);
	options.dry_run = PG_GETARG_BOOL(2);
	options.detach = PG_GETARG_BOOL(3);
	require_own_transactions(fcinfo, options.procedure);
	warn_of_newer();

	return return_count(fcinfo, syncmaster_drop_partitions(&options));
}
