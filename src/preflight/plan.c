/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  What an upgrade will do: as a table for people, and as SQL.
 *
 * Nothing is changed, so that a plan can be had on a standby and by everybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "engine/engine.h"
#include "preflight/preflight.h"
#include "schema/schema.h"
#include "settings.h"

#define PLAN_NATTS 12

PG_FUNCTION_INFO_V1(syncmaster_upgrade_plan);
PG_FUNCTION_INFO_V1(syncmaster_upgrade_sql);

/*
 * Bytes of a table with all that belongs to it.  If it is locked, so that not
 * even its size can be asked for, they are estimated.
 */
int64
syncmaster_relation_bytes(Oid relid)
{
	HeapTuple tuple;
	int64	  bytes = 0;
	ListCell *lc;

	if (syncmaster_is_partitioned(relid))
	{
		foreach (lc, syncmaster_partitions(relid))
		{
			if (!syncmaster_is_partitioned(lfirst_oid(lc)))
				bytes += syncmaster_relation_bytes(lfirst_oid(lc));
		}
		return bytes;
	}
	if (ConditionalLockRelationOid(relid, AccessShareLock))
	{
		Datum size;

		/* a table that was dropped just before has none */
		if (syncmaster_ask(pg_total_relation_size, relid, &size))
			bytes = DatumGetInt64(size);
		UnlockRelationOid(relid, AccessShareLock);
		return bytes;
	}
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		bytes = (int64) ((Form_pg_class) GETSTRUCT(tuple))->relpages * BLCKSZ;
		ReleaseSysCache(tuple);
	}
	return bytes;
}

static double relation_rows(Oid relid);

/*
 * Rows of the partitions of a table, as relation_rows() counts them; -1 if one
 * is not known.
 */
static double
partition_rows(Oid relid)
{
	double	  rows = 0;
	ListCell *lc;

	foreach (lc, syncmaster_partitions(relid))
	{
		double count = syncmaster_is_partitioned(lfirst_oid(lc))
						   ? 0
						   : relation_rows(lfirst_oid(lc));

		rows = rows < 0 || count < 0 ? -1 : rows + count;
	}
	return rows;
}

/*
 * Rows of a table as the last VACUUM or ANALYZE counted them; -1 if there was
 * none.
 */
static double
relation_rows(Oid relid)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	double		  rows;

	if (!HeapTupleIsValid(tuple))
		return -1;
	if (syncmaster_is_partitioned(relid))
	{
		ReleaseSysCache(tuple);
		return partition_rows(relid);
	}
	form = (Form_pg_class) GETSTRUCT(tuple);
	/* before 14, 0 can mean that nothing was counted */
	rows = form->relpages == 0 && form->reltuples <= 0 ? -1 : form->reltuples;
	ReleaseSysCache(tuple);

	return rows;
}

/*
 * A statement on one line.
 */
static char *
one_line(const char *sql)
{
	StringInfoData line;
	char		   quote = '\0';

	initStringInfo(&line);
	for (; *sql != '\0'; sql++)
	{
		if (quote != '\0')
			quote = *sql == quote ? '\0' : quote;
		else if (*sql == '\'' || *sql == '"')
			quote = *sql;
		else if (strchr(" \t\n", *sql) != NULL)
		{
			sql += strspn(sql, " \t\n") - 1;
			appendStringInfoChar(&line, ' ');
			continue;
		}
		appendStringInfoChar(&line, *sql);
	}
	return line.data;
}

/*
 * The statement that builds an index before the upgrade without blocking
 * writers; NULL if there is none.  The upgrade must find that index and keep
 * it.
 */
static char *
beforehand(const UpgradePlan *plan, const PlanStep *step,
		   const StatementEffect *effect)
{
	IndexStmt  *stmt = (IndexStmt *) effect->stmt;
	const char *verb = stmt->unique ? "CREATE UNIQUE INDEX" : "CREATE INDEX";
	char	   *sql = one_line(effect->sql);
	ListCell   *lc;

	/* an index of a partitioned table cannot be built concurrently either */
	if (effect->skipped || !OidIsValid(effect->relid) ||
		syncmaster_is_partitioned(effect->relid) ||
		(step->stamp != NULL && !stmt->if_not_exists) ||
		strncmp(sql, verb, strlen(verb)) != 0)
		return NULL;
	foreach (lc, plan->effects)
	{
		StatementEffect *other = lfirst(lc);

		/* a rewrite builds all of the table's indexes again */
		if (other->relid == effect->relid && other->rewrites)
			return NULL;
	}
	foreach (lc, stmt->indexParams)
	{
		if (lfirst_node(IndexElem, lc)->opclass != NIL &&
			syncmaster_is_made(plan->effects, "pg_trgm"))
			return NULL;
	}
	return psprintf("%s CONCURRENTLY%s", verb, sql + strlen(verb));
}

/*
 * Set the lock on a table, and the table's size, which is not known if Citus
 * has the rows.
 */
static void
set_lock(Datum *values, bool *nulls, Oid relid, LOCKMODE mode)
{
	double rows = relation_rows(relid);

	nulls[6] = false;
	values[6] = CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD, mode));
	if (syncmaster_is_distributed(relid))
		return;
	nulls[9] = rows < 0;
	if (rows >= 0)
		values[9] = Int64GetDatum((int64) rows);
	nulls[10] = false;
	values[10] = Int64GetDatum(syncmaster_relation_bytes(relid));
}

/*
 * An action on a table, followed by a remark if it affects other servers too.
 */
static const char *
where(Oid relid, const char *action)
{
	return syncmaster_is_distributed(relid)
			   ? psprintf("%s, on all nodes of Citus", action)
			   : action;
}

static void
put_row(ReturnSetInfo *result, int *position, const PlanStep *step,
		const char *object_type, const char *object, const char *action,
		const char *table, Datum *values, bool *nulls)
{
	values[0] = Int32GetDatum(++*position);
	values[1] = CStringGetTextDatum(step->name);
	values[2] = CStringGetTextDatum(object_type);
	values[3] = CStringGetTextDatum(object);
	values[4] = CStringGetTextDatum(action);
	nulls[5] = table == NULL;
	values[5] = table == NULL ? (Datum) 0 : CStringGetTextDatum(table);
	syncmaster_put_row(result, values, nulls);
}

/*
 * Clear a row: no lock, no rewrite and nothing to do beforehand.
 */
static void
clear_row(Datum *values, bool *nulls)
{
	memset(values, 0, PLAN_NATTS * sizeof(Datum));
	memset(nulls, 0, PLAN_NATTS * sizeof(bool));
	nulls[6] = nulls[9] = nulls[10] = nulls[11] = true;
	values[7] = values[8] = BoolGetDatum(false);
}

/*
 * Add rows about one statement: what it creates or changes, and the other
 * tables that it locks.
 */
static void
put_effect(ReturnSetInfo *result, int *position, const UpgradePlan *plan,
		   const PlanStep *step, const StatementEffect *effect)
{
	Datum	  values[PLAN_NATTS];
	bool	  nulls[PLAN_NATTS];
	ListCell *lc;

	clear_row(values, nulls);
	foreach (lc, effect->locks)
	{
		TableLock *lock = lfirst(lc);

		if (lock->action == NULL)
			set_lock(values, nulls, lock->relid, lock->mode);
	}
	values[7] = BoolGetDatum(effect->rewrites && OidIsValid(effect->relid));
	values[8] = BoolGetDatum(effect->builds_index);
	if (effect->builds_index)
	{
		char *sql = beforehand(plan, step, effect);

		nulls[11] = sql == NULL;
		values[11] = sql == NULL ? (Datum) 0 : CStringGetTextDatum(sql);
	}
	put_row(result, position, step, effect->object_type, effect->object,
			effect->name_taken ? "none, its name is taken"
			: effect->skipped  ? "none, it is there"
							   : where(effect->relid, effect->action),
			effect->table, values, nulls);

	foreach (lc, effect->locks)
	{
		TableLock *lock = lfirst(lc);
		char	  *table = get_rel_name(lock->relid);

		if (lock->action == NULL || table == NULL)
			continue;
		clear_row(values, nulls);
		set_lock(values, nulls, lock->relid, lock->mode);
		values[7] = BoolGetDatum(effect->rewrites);
		put_row(result, position, step, "table", table,
				where(lock->relid, lock->action), table, values, nulls);
	}
}

/*
 * Add the row about the first lock, which stops Alembic and other migrations.
 */
static void
put_version_lock(ReturnSetInfo *result, int *position, const UpgradePlan *plan)
{
	Datum values[PLAN_NATTS];
	bool  nulls[PLAN_NATTS];

	clear_row(values, nulls);
	set_lock(values, nulls, plan->version_table, ShareRowExclusiveLock);
	put_row(result, position, linitial(plan->steps), "table", VERSION_TABLE,
			"keep other migrations out", VERSION_TABLE, values, nulls);
}

/*
 * Add the rows about the stamp and the record of a step.
 */
static void
put_stamp(ReturnSetInfo *result, int *position, const UpgradePlan *plan,
		  const PlanStep *step)
{
	Oid	  history = syncmaster_find_history();
	Datum values[PLAN_NATTS];
	bool  nulls[PLAN_NATTS];

	clear_row(values, nulls);
	if (OidIsValid(plan->version_table))
		set_lock(values, nulls, plan->version_table, RowExclusiveLock);
	put_row(result, position, step, "table", VERSION_TABLE,
			psprintf("write revision %s", step->name), VERSION_TABLE, values,
			nulls);

	clear_row(values, nulls);
	if (OidIsValid(history))
		set_lock(values, nulls, history, RowExclusiveLock);
	put_row(result, position, step, "table", HISTORY_NAME, "record the step",
			HISTORY_NAME, values, nulls);
}

/*
 * The plan for a function's argument.
 */
static UpgradePlan *
plan_for_argument(FunctionCallInfo fcinfo, MigrationContext *context,
				  const char *command)
{
	const SchemaRevision *revision = &context->revision;
	char				 *text = syncmaster_target_argument(fcinfo);
	RevisionTarget		  target;

	syncmaster_refuse_citus_worker(command);
	syncmaster_fill_context(context, GetUserId());
	(void) syncmaster_read_checked_revision(context);
	syncmaster_parse_target(text, true, revision->number, &target);

	return syncmaster_make_plan(context, Max(target.number, revision->number));
}

/*
 * syncmaster_upgrade_plan(target text)
 */
Datum
syncmaster_upgrade_plan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	*result = syncmaster_begin_result(fcinfo);
	MigrationContext context;
	UpgradePlan		*plan = plan_for_argument(fcinfo, &context,
											  "syncmaster_upgrade_plan()");
	int				 position = 0;
	ListCell		*lc;

	if (plan->steps != NIL && OidIsValid(plan->version_table))
		put_version_lock(result, &position, plan);
	foreach (lc, plan->steps)
	{
		PlanStep *step = lfirst(lc);
		ListCell *effect;

		foreach (effect, step->effects)
		{
			put_effect(result, &position, plan, step, lfirst(effect));
		}
		if (step->stamp != NULL)
			put_stamp(result, &position, plan, step);
	}
	return (Datum) 0;
}

/*
 * Append one statement, preceded by a change of role if it needs one.
 */
static void
append_statement(StringInfo sql, const char *statement, Oid role, Oid *current)
{
	if (role != *current)
		appendStringInfo(sql, "SET LOCAL ROLE %s;\n",
						 syncmaster_quoted_role(role));
	*current = role;
	appendStringInfo(sql, "%s;\n", statement);
}

static void
append_step(StringInfo sql, const MigrationContext *context,
			const UpgradePlan *plan, const PlanStep *step, Oid *role)
{
	ListCell *lc;

	appendStringInfo(sql, "\n-- %s\n", step->heading);
	foreach (lc, step->effects)
	{
		StatementEffect *effect = lfirst(lc);
		ListCell		*statement;

		if (effect->name_taken)
			appendStringInfo(sql, "-- %s %s: its name is taken\n",
							 effect->object_type,
							 quote_identifier(effect->object));
		else if (effect->skipped)
			appendStringInfo(sql, "-- %s %s is there\n", effect->object_type,
							 quote_identifier(effect->object));
		if (!effect->skipped)
			append_statement(sql, effect->sql, effect->role, role);
		foreach (statement, effect->afterwards)
		{
			RoleStatement *afterwards = lfirst(statement);

			append_statement(sql, afterwards->sql, afterwards->role, role);
		}
	}
	if (step->stamp != NULL)
	{
		appendStringInfo(sql, "-- Stamp of revision %s\n", step->name);
		append_statement(sql, step->stamp,
						 OidIsValid(plan->version_table)
							 ? syncmaster_relation_owner(plan->version_table)
							 : context->owner,
						 role);
	}
}

/*
 * syncmaster_upgrade_sql(target text) returns text
 *
 * A transaction for psql that does to the schema what syncmaster_upgrade()
 * does.  It leaves out the history and the extension's version.
 */
Datum
syncmaster_upgrade_sql(PG_FUNCTION_ARGS)
{
	MigrationContext context;
	UpgradePlan		*plan = plan_for_argument(fcinfo, &context,
											  "syncmaster_upgrade_sql()");
	StringInfoData	 sql;
	Oid				 role = InvalidOid;
	ListCell		*lc;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "-- SyncMaster's schema %s, from revision %s\n"
					 "BEGIN;\n"
					 "SET LOCAL search_path = pg_catalog, pg_temp;\n"
					 "SET LOCAL standard_conforming_strings = on;\n",
					 quote_identifier(context.schema),
					 syncmaster_revision_id(context.revision.number));
	if (syncmaster_guard != GUARD_OFF)
		appendStringInfo(&sql, "SET LOCAL lock_timeout = %d;\n",
						 syncmaster_lock_timeout);
	if (OidIsValid(plan->version_table))
		append_statement(&sql,
						 psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
								  quote_qualified_identifier(context.schema,
															 VERSION_TABLE)),
						 syncmaster_relation_owner(plan->version_table), &role);
	foreach (lc, plan->steps)
	{
		append_step(&sql, &context, plan, lfirst(lc), &role);
	}
	appendStringInfoString(&sql, "\nCOMMIT;\n");

	PG_RETURN_TEXT_P(cstring_to_text(sql.data));
}
