/*-------------------------------------------------------------------------
 *
 * end_runs.c
 *	  Runs that a crash left active.
 *
 * A worker writes that a run has ended.  If the worker was killed, or the broker
 * lost its message, the run stays active forever.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "retention/retention.h"
#include "rows/rows.h"
#include "schema/schema.h"

#define COMMAND "syncmaster_end_runs()"

/* Columns that the statements use. */
static const char *const columns[] = {"id",			"transfer_id", "status",
									  "created_at", "started_at",  "ended_at",
									  "updated_at", NULL};

/*
 * The time since which a run r has its status.  Citus sends a statement as
 * text, which for CASE lacks parentheses that a comparison needs.
 */
#define SINCE \
	"CASE WHEN r.status = 'STARTED' " \
	"THEN coalesce(r.started_at, r.created_at) " \
	"WHEN r.status = 'SEND_STOP_SIGNAL' THEN r.updated_at ELSE r.created_at " \
	"END"

#define END_RUNS_NATTS 5

/* Columns of the result. */
typedef enum EndedRunColumn
{
	ENDED_ID,
	ENDED_TRANSFER_ID,
	ENDED_STATUS,
	ENDED_SINCE,
	ENDED_ACTION
} EndedRunColumn;

/* A run that was found, as it was before. */
typedef struct FoundRun
{
	Datum values[END_RUNS_NATTS];
	bool  nulls[END_RUNS_NATTS];
	bool  is_active; /* is it active, and old enough? */
} FoundRun;

typedef struct EndRuns
{
	const char *from;	/* the table, as FROM takes it */
	const char *active; /* condition on runs r that may be ended */
	Oid	   types[2]; /* types of the parameters: ids or age, and the status */
	Datum  values[2];
	List  *found; /* of FoundRun, by id */
	IdList ids;	  /* ids of those that may be ended */
	IdList ended;
	MemoryContext context;
} EndRuns;

/* RowReceiver: adds a run that was found. */
static bool
take_run(void *state, TupleTableSlot *slot)
{
	EndRuns		 *end = state;
	MemoryContext old_context = MemoryContextSwitchTo(end->context);
	FoundRun	 *run = palloc0(sizeof(FoundRun));
	int64		  id = DatumGetInt64(slot->tts_values[ENDED_ID]);

	memcpy(run->values, slot->tts_values, sizeof(run->values));
	memcpy(run->nulls, slot->tts_isnull, sizeof(run->nulls));
	run->is_active = !run->nulls[ENDED_ACTION] &&
					 DatumGetBool(run->values[ENDED_ACTION]);
	if (!run->nulls[ENDED_STATUS])
		run->values[ENDED_STATUS] = datumCopy(run->values[ENDED_STATUS], false,
											  -1);
	if (run->is_active)
		syncmaster_add_id(&end->ids, &id);
	end->found = lappend(end->found, run);
	MemoryContextSwitchTo(old_context);
	return true;
}

/*
 * Find the runs that the caller named, or all active ones that are old enough.
 */
static void
find_runs(EndRuns *end, bool by_ids)
{
	const char *shown = "r.transfer_id, r.status::text, " SINCE;

	(void) syncmaster_each_row(
		by_ids ? psprintf("SELECT u.id, %s, %s FROM (SELECT DISTINCT u.id FROM "
						  "unnest($1) u (id)) u LEFT JOIN %s r ON r.id = u.id "
						  "WHERE u.id IS NOT NULL ORDER BY u.id",
						  shown, end->active, end->from)
			   : psprintf("SELECT r.id, %s, true FROM %s r WHERE %s "
						  "ORDER BY r.id",
						  shown, end->from, end->active),
		1, end->types, end->values, take_run, end);
}

/* RowReceiver: notes a run that was ended. */
static bool
take_ended(void *state, TupleTableSlot *slot)
{
	IdList *ended = state;
	int64	id = DatumGetInt64(slot->tts_values[0]);

	syncmaster_add_id(ended, &id);
	return true;
}

/*
 * End the runs, except those that a service has locked: it is about to write
 * their status.  Citus cannot skip locked rows of a distributed table.
 */
static void
end_runs(EndRuns *end, const char *status, bool distributed)
{
	const char *which =
		distributed
			? end->active
			: psprintf("r.id = ANY (ARRAY(SELECT r.id FROM %s r WHERE %s "
					   "FOR NO KEY UPDATE SKIP LOCKED))",
					   end->from, end->active);
	int nargs = 1;

	if (status != NULL)
	{
		end->types[nargs] = TEXTOID;
		end->values[nargs++] = CStringGetTextDatum(status);
	}
	(void) syncmaster_each_row(
		psprintf("UPDATE %s r SET status = %s, ended_at = now(), "
				 "updated_at = now() WHERE %s RETURNING r.id",
				 end->from,
				 status != NULL
					 ? "$2"
					 : "CASE WHEN r.status = 'SEND_STOP_SIGNAL' THEN "
					   "'STOPPED' ELSE 'FAILED' END",
				 which),
		nargs, end->types, end->values, take_ended, &end->ended);
}

/*
 * Return for each run what was done.
 */
static void
put_runs(ReturnSetInfo *result, EndRuns *end, bool dry_run)
{
	IdList	  passed_by;
	IdList	  others;
	int64	  next = 0;
	ListCell *lc;

	syncmaster_init_ids(&passed_by);
	syncmaster_init_ids(&others);
	syncmaster_compare_ids(&end->ids, &end->ended, &passed_by, &others);
	foreach (lc, end->found)
	{
		FoundRun   *run = lfirst(lc);
		const char *action = dry_run ? "to be ended" : "ended";

		if (run->nulls[ENDED_STATUS])
			action = "not found";
		else if (!run->is_active)
			action = "not active";
		else if (!dry_run && next < passed_by.count &&
				 passed_by.ids[next] == DatumGetInt64(run->values[ENDED_ID]))
		{
			action = "passed by";
			next++;
		}
		run->values[ENDED_ACTION] = CStringGetTextDatum(action);
		run->nulls[ENDED_ACTION] = false;
		syncmaster_put_row(result, run->values, run->nulls);
	}
}

/*
 * The new status of the runs; NULL to choose one for each run.
 */
static const char *
status_argument(FunctionCallInfo fcinfo, int n)
{
	char *status;

	if (PG_ARGISNULL(n))
		return NULL;
	status = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strcmp(status, "FAILED") != 0 && strcmp(status, "STOPPED") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no status to end a run with", status),
				 errhint("Name FAILED or STOPPED, or leave it out: then runs "
						 "that were to be stopped become STOPPED, and others "
						 "FAILED.")));
	return status;
}

PG_FUNCTION_INFO_V1(syncmaster_end_runs);

/*
 * syncmaster_end_runs(run_ids bigint[], older_than interval, new_status text,
 * dry_run boolean)
 *
 * The caller knows on which runs no service is at work any more.
 */
Datum
syncmaster_end_runs(PG_FUNCTION_ARGS)
{
	bool			 by_ids = !PG_ARGISNULL(0);
	const char		*status = status_argument(fcinfo, 2);
	bool			 dry_run = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);
	ReturnSetInfo	*result = syncmaster_begin_result(fcinfo);
	EndRuns			 end = {.context = CurrentMemoryContext};
	MigrationContext context;
	ActingScope		 acting;
	Oid				 relid;

	if (by_ids == !PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name either the ids of runs or an age"),
				 errhint("SELECT * FROM syncmaster_end_runs('{1,2}') or "
						 "syncmaster_end_runs(older_than => '2 days').")));
	if (!by_ids)
		syncmaster_check_age(PG_GETARG_INTERVAL_P(1),
							 "Say for how long runs must be as they are, for "
							 "example interval '2 days'.");

	syncmaster_begin_command(&context, COMMAND);
	syncmaster_warn_of_newer(context.namespace);
	relid = syncmaster_open_for_change(context.schema, context.namespace,
									   syncmaster_find_relation("run"),
									   columns);
	end.from = quote_qualified_identifier(context.schema, "run");
	if (get_rel_relkind(relid) == RELKIND_RELATION)
		end.from = psprintf("ONLY %s", end.from);
	end.active = psprintf("r.status IN (%s) AND %s",
						  syncmaster_list_active_statuses(),
						  by_ids ? "r.id = ANY ($1)" : SINCE " < now() - $1");
	end.types[0] = by_ids ? INT8ARRAYOID : INTERVALOID;
	end.values[0] = PG_GETARG_DATUM(by_ids ? 0 : 1);
	syncmaster_init_ids(&end.ids);
	syncmaster_init_ids(&end.ended);

	syncmaster_begin_acting(&acting, syncmaster_relation_owner(relid));
	find_runs(&end, by_ids);
	if (!dry_run && end.ids.count > 0)
		end_runs(&end, status, syncmaster_is_distributed(relid));
	syncmaster_end_acting(&acting);
	put_runs(result, &end, dry_run);

	return (Datum) 0;
}
