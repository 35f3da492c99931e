/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  The one door to SQL.
 *
 * A statement is parsed, analyzed and rewritten; then trust.c is asked whether
 * the current user may trust what the statement will call; then it is planned
 * and run.  Nothing is looked up by name in between, so what runs is what was
 * asked about.  SPI would look the names up again whenever another session
 * changes something, which is why only procedures use SPI here: it is what lets
 * them commit.
 *
 * The planner may already run code of a table's owner, when it looks at indexes
 * and constraints: so nothing may be planned before trust.c has been asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"

/* A statement, and the types of its parameters. */
typedef struct SqlStatement
{
	const char *sql;
	int			nargs;
	Oid		   *types;
	List	   *warnings;  /* may explain an error */
	bool		elsewhere; /* may it wait for a lock on another node? */
} SqlStatement;

/* Passes the rows of a query to a function, one by one. */
typedef struct RowDest
{
	DestReceiver  pub;
	RowReceiver	  receive;
	void		 *state;
	MemoryContext row_context; /* reset after each row */
} RowDest;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowDest		 *dest = (RowDest *) self;
	MemoryContext old_context = MemoryContextSwitchTo(dest->row_context);
	bool		  more;

	slot_getallattrs(slot);
	more = dest->receive(dest->state, slot);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(dest->row_context);

	return more;
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	(void) self;
	(void) operation;
	(void) desc;
}

static void
stop_rows(DestReceiver *self)
{
	(void) self;
}

/*
 * Show the statement with its errors, as SPI does.  Where PostgreSQL refuses
 * to defer a trigger, name the trigger, and say what to do.
 */
static void
add_error_context(void *arg)
{
	const SqlStatement *statement = arg;
	int					position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(statement->sql);
	}
	else
		errcontext("SQL statement \"%s\"", statement->sql);
	if (statement->warnings != NIL &&
		geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("%s", ((Finding *) linitial(statement->warnings))->hint);
}

static ParamListInfo
make_parameters(const SqlStatement *statement, const Datum *values)
{
	ParamListInfo params;

	if (statement->nargs == 0)
		return NULL;
	params = makeParamList(statement->nargs);
	for (int i = 0; i < statement->nargs; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = statement->types[i];
	}
	return params;
}

/*
 * A utility statement is its own plan.
 */
static PlannedStmt *
plan_or_wrap(Query *query, const char *sql, ParamListInfo params)
{
	PlannedStmt *result;

	if (query->commandType != CMD_UTILITY)
		return plan_query(query, sql, params);
	result = makeNode(PlannedStmt);
	result->commandType = CMD_UTILITY;
	result->canSetTag = query->canSetTag;
	result->utilityStmt = query->utilityStmt;
	result->stmt_location = query->stmt_location;
	result->stmt_len = query->stmt_len;
	return result;
}

/*
 * Return whether a command may take locks on other nodes of Citus.  Those
 * that run statements of their own, or change a setting for good, are left
 * alone.
 */
static bool
may_lock_elsewhere(const Node *command)
{
	switch (nodeTag(command))
	{
		case T_AlterExtensionStmt:
		case T_CreateExtensionStmt:
		case T_DoStmt:
			return false;
		default:
			return syncmaster_has_citus();
	}
}

/*
 * Return whether the current user may use the language by which Citus is told
 * how long to wait.
 */
static bool
may_use_plpgsql(void)
{
	Oid language = get_language_oid("plpgsql", true);

	return OidIsValid(language) && may_use_language(language, GetUserId());
}

/*
 * Return whether Citus is to be told how long a query may wait for rows that
 * it has.  A query that only reads waits for few locks: it needs no right to
 * use a language.
 */
static bool
may_wait_elsewhere(Query *query)
{
	bool reads = query->commandType == CMD_SELECT && query->rowMarks == NIL &&
				 !query->hasModifyingCTE;

	return syncmaster_uses_distributed(query) && (!reads || may_use_plpgsql());
}

/*
 * Plan a statement that has been parsed, after asking whether it may run.
 * Rules can make several of it, or leave none, so the question is about what
 * was written.  The planner is told the parameters' values: Citus needs them.
 */
static List *
plan(SqlStatement *statement, RawStmt *raw, ParamListInfo params)
{
	List	 *plans = NIL;
	List	 *queries;
	Query	 *query;
	ListCell *lc;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	query = analyze(raw, statement->sql, statement->types, statement->nargs);
	statement->elsewhere = query->commandType == CMD_UTILITY
							   ? may_lock_elsewhere(query->utilityStmt)
							   : may_wait_elsewhere(query);
	statement->warnings = syncmaster_require_trusted_query(query, GetUserId());
	queries = query->commandType == CMD_UTILITY ? list_make1(query)
												: QueryRewrite(query);
	foreach (lc, queries)
		plans = lappend(plans, plan_or_wrap(lfirst_node(Query, lc),
											statement->sql, params));
	PopActiveSnapshot();

	return plans;
}

static uint64
run_plan(const SqlStatement *statement, PlannedStmt *plan, ParamListInfo params,
		 DestReceiver *dest)
{
	uint64 processed = 0;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (plan->utilityStmt != NULL)
		process_utility(plan, statement->sql, params, dest);
	else
	{
		QueryDesc *query = CreateQueryDesc(plan, statement->sql,
										   GetActiveSnapshot(), InvalidSnapshot,
										   dest, params, NULL, 0);

		ExecutorStart(query, 0);
		run_executor(query);
		processed = query->estate->es_processed;
		ExecutorFinish(query);
		ExecutorEnd(query);
		FreeQueryDesc(query);
	}
	PopActiveSnapshot();

	return processed;
}

/*
 * Run the plans of a statement; the number of rows of the statement itself,
 * not of what rules add to it.
 */
static int64
run_plans(const SqlStatement *statement, List *plans, ParamListInfo params,
		  DestReceiver *dest)
{
	int64	  result = 0;
	ListCell *lc;

	foreach (lc, plans)
	{
		PlannedStmt *plan = lfirst_node(PlannedStmt, lc);
		uint64		 processed =
			run_plan(statement, plan, params,
					 plan->canSetTag && dest != NULL ? dest : None_Receiver);

		if (plan->canSetTag)
			result = (int64) processed;
	}
	return result;
}

static bool
is_command(const List *plans)
{
	return plans != NIL &&
		   linitial_node(PlannedStmt, plans)->commandType == CMD_UTILITY;
}

static void pass_on_lock_timeout(void);

/*
 * Run the plans of a statement.  If it may lock rows or tables on other nodes,
 * it waits there no longer than it would here.  After a command that changed
 * several shards at a time, Citus refuses others until the transaction ends.
 */
static int64
run_bounded(const SqlStatement *statement, List *plans, ParamListInfo params,
			DestReceiver *dest)
{
	int	  level;
	int64 result;

	if (!statement->elsewhere)
		return run_plans(statement, plans, params, dest);
	level = syncmaster_enter_settings();
	pass_on_lock_timeout();
	if (is_command(plans))
		syncmaster_set_locally("citus.multi_shard_modify_mode", "sequential");
	result = run_plans(statement, plans, params, dest);
	syncmaster_leave_settings(level);

	return result;
}

/*
 * Run statements, each of which is planned when the one before it has run.
 */
static int64
/* 13 wants the types without const */
/* NOLINTNEXTLINE(readability-non-const-parameter) */
run(const char *sql, int nargs, Oid *types, const Datum *values,
	RowReceiver receive, void *state)
{
	MemoryContext		 caller_context = CurrentMemoryContext;
	MemoryContext		 context = AllocSetContextCreate(CurrentMemoryContext,
														 "syncmaster SQL",
														 ALLOCSET_DEFAULT_SIZES);
	SqlStatement		 statement = {sql, nargs, types, NIL, false};
	ParamListInfo		 params;
	RowDest				 dest = {0};
	ErrorContextCallback callback;
	int64				 result = 0;
	ListCell			*lc;

	dest.pub.receiveSlot = receive_row;
	dest.pub.rStartup = start_rows;
	dest.pub.rShutdown = dest.pub.rDestroy = stop_rows;
	dest.pub.mydest = DestNone;
	dest.receive = receive;
	dest.state = state;
	dest.row_context = AllocSetContextCreate(context, "syncmaster row",
											 ALLOCSET_DEFAULT_SIZES);
	callback.callback = add_error_context;
	callback.arg = &statement;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	MemoryContextSwitchTo(context);

	params = make_parameters(&statement, values);
	foreach (lc, pg_parse_query(sql))
	{
		List *plans = plan(&statement, lfirst_node(RawStmt, lc), params);

		result = run_bounded(&statement, plans, params,
							 receive != NULL ? &dest.pub : NULL);
	}
	CommandCounterIncrement();

	MemoryContextSwitchTo(caller_context);
	error_context_stack = callback.previous;
	MemoryContextDelete(context);

	return result;
}

/*
 * Let Citus tell the other nodes how long to wait for a lock.  It passes on
 * what a statement sets in a transaction, and no other setting.  To Citus, a
 * function that is called by itself is no transaction of several statements,
 * but DO is.
 */
static void
pass_on_lock_timeout(void)
{
	syncmaster_set_locally("citus.propagate_set_commands", "local");
	(void) run(psprintf("DO LANGUAGE plpgsql 'BEGIN SET LOCAL lock_timeout = "
						"%d; END'",
						LockTimeout),
			   0, NULL, NULL, NULL, NULL);
}

/*
 * Run a statement as the current user; the number of its rows.
 */
int64
syncmaster_run(const char *sql, int nargs, Oid *types, const Datum *values)
{
	return run(sql, nargs, types, values, NULL, NULL);
}

/*
 * Run a query as the current user, and call a function for each row, in a
 * memory context that is reset after it.  False from it ends the query.
 */
int64
syncmaster_each_row(const char *sql, int nargs, Oid *types, const Datum *values,
					RowReceiver receive, void *state)
{
	return run(sql, nargs, types, values, receive, state);
}

typedef struct Number
{
	int64 value;
	bool  isnull;
} Number;

static bool
take_number(void *state, TupleTableSlot *slot)
{
	Number *number = state;

	number->isnull = slot->tts_isnull[0];
	number->value = number->isnull ? 0 : DatumGetInt64(slot->tts_values[0]);
	return false;
}

/*
 * Run a query that gives a number; NULL if it gives no row.
 */
int64
syncmaster_query_int8(const char *sql, int nargs, Oid *types,
					  const Datum *values, bool *isnull)
{
	Number number = {0, true};

	run(sql, nargs, types, values, take_number, &number);
	*isnull = number.isnull;
	return number.value;
}

typedef struct TextRows
{
	List		 *rows;
	MemoryContext context;
} TextRows;

static bool
take_texts(void *state, TupleTableSlot *slot)
{
	TextRows	 *result = state;
	TupleDesc	  desc = slot->tts_tupleDescriptor;
	MemoryContext old_context = MemoryContextSwitchTo(result->context);
	char		**row = palloc0(sizeof(char *) * Max(desc->natts, 1));

	for (int i = 0; i < desc->natts; i++)
	{
		Oid	 output;
		bool is_varlena;

		if (slot->tts_isnull[i])
			continue;
		getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &output,
						  &is_varlena);
		row[i] = OidOutputFunctionCall(output, slot->tts_values[i]);
	}
	result->rows = lappend(result->rows, row);
	MemoryContextSwitchTo(old_context);
	return true;
}

/*
 * Run a query on the catalogues, under safe settings, and return its rows in
 * the caller's memory.  It sees what this command has changed so far.
 */
List *
syncmaster_query(const char *sql, int nargs, Oid *types, const Datum *values)
{
	TextRows result = {NIL, CurrentMemoryContext};
	int		 level = syncmaster_enter_safe_settings();

	run(sql, nargs, types, values, take_texts, &result);
	syncmaster_leave_settings(level);

	return result.rows;
}

/*
 * The same with one argument.
 */
List *
syncmaster_query_oid(const char *sql, Oid argument)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1];

	values[0] = ObjectIdGetDatum(argument);
	return syncmaster_query(sql, 1, types, values);
}

List *
syncmaster_query_text(const char *sql, const char *argument)
{
	Oid	  types[1] = {TEXTOID};
	Datum values[1];

	values[0] = CStringGetTextDatum(argument);
	return syncmaster_query(sql, 1, types, values);
}

/*
 * Run statements as a role.
 */
void
syncmaster_execute_params(const char *sql, Oid role, int nargs, Oid *types,
						  const Datum *values)
{
	ActingScope scope;

	syncmaster_begin_acting(&scope, role);
	run(sql, nargs, types, values, NULL, NULL);
	syncmaster_end_acting(&scope);
}

/*
 * Ask a query that gives a number as a role.
 */
int64
syncmaster_query_int8_as(const char *sql, Oid role, bool *isnull)
{
	ActingScope scope;
	int64		result;

	syncmaster_begin_acting(&scope, role);
	result = syncmaster_query_int8(sql, 0, NULL, NULL, isnull);
	syncmaster_end_acting(&scope);
	return result;
}

void
syncmaster_execute_as(const char *sql, Oid role)
{
	syncmaster_execute_params(sql, role, 0, NULL, NULL);
}

/*
 * SPI is what lets a procedure commit and go on.
 */
void
syncmaster_begin_procedure(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
}

void
syncmaster_commit(void)
{
	SPI_commit();
	SPI_start_transaction();
}

void
syncmaster_end_procedure(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}
