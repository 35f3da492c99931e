/*-------------------------------------------------------------------------
 *
 * run_statement.c
 *	  The statements of a migration, run one by one as described.
 *
 * A statement's locks are taken before it, with a bounded wait, and it runs as
 * the owner of the table that it changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "engine/engine.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "vectors/vectors.h"

/*
 * Owners need CREATE on the schema to add a table or an index to it, and
 * USAGE to name what is in it.
 */
static void
schema_create_problem(List **problems, const MigrationContext *context,
					  Oid role)
{
	const char *lacking = syncmaster_lacking_on_schema(context->namespace,
													   role);

	if (lacking != NULL)
		syncmaster_add_error(
			problems, ERRCODE_INSUFFICIENT_PRIVILEGE, "rights",
			finding_message("role \"%s\" lacks %s on schema \"%s\"",
							GetUserNameFromId(role, false), lacking,
							context->schema),
			psprintf("GRANT %s ON SCHEMA %s TO %s, and run the command "
					 "again.",
					 lacking, quote_identifier(context->schema),
					 syncmaster_quoted_role(role)))
			->detail = pstrdup("The tables belong to that role, and so must "
							   "what is added to them.");
}

void
syncmaster_require_schema_create(const MigrationContext *context, Oid role)
{
	List *problems = NIL;

	schema_create_problem(&problems, context, role);
	syncmaster_raise_error(problems);
}

/*
 * Report requirements of a statement that are not met.
 */
void
syncmaster_effect_problems(List **problems, const MigrationContext *context,
						   const StatementEffect *effect)
{
	if (effect->skipped)
		return;
	if (effect->needs_create)
		schema_create_problem(problems, context, effect->role);
	if (IsA(effect->stmt, CreateExtensionStmt) &&
		syncmaster_default_version(effect->object) == NULL)
		syncmaster_add_error(
			problems, ERRCODE_UNDEFINED_FILE, effect->object,
			finding_message("extension \"%s\" is not available on this server",
							effect->object),
			"Install PostgreSQL's contrib modules (package "
			"postgresql-contrib), and run the command again.")
			->detail = pstrdup("SyncMaster's search for users needs it.");
	if (effect->name_taken)
		syncmaster_add_error(
			problems, ERRCODE_DUPLICATE_TABLE, "index",
			finding_message("relation \"%s\" is there already, and is not the "
							"index that is to be made",
							effect->object),
			psprintf("Drop it, or give it another name: ALTER TABLE %s RENAME "
					 "TO %s.",
					 quote_qualified_identifier(context->schema,
												effect->object),
					 quote_identifier(psprintf("%s_other", effect->object))))
			->detail = psprintf("To be made is: %s", effect->sql);
}

/*
 * Report a partitioned table that a step would change: steps are written for
 * ordinary tables.
 */
void
syncmaster_partition_problems(List **problems, const StatementEffect *effect)
{
	bool changes = IsA(effect->stmt, AlterTableStmt) ||
				   (IsA(effect->stmt, DropStmt) &&
					((DropStmt *) effect->stmt)->removeType == OBJECT_TABLE);

	if (effect->skipped || !changes || !OidIsValid(effect->relid) ||
		!syncmaster_is_partitioned(effect->relid))
		return;
	syncmaster_add_error(
		problems, ERRCODE_FEATURE_NOT_SUPPORTED, effect->object,
		finding_message("table \"%s\", which is to be changed, is partitioned",
						effect->object),
		"Make it an ordinary table, run the command again, and partition it "
		"after that: doc/retention.md says how.")
		->detail = psprintf("The step would %s.", effect->action);
}

/*
 * Describe an ALTER TABLE of a table that exists; false if the effect is that
 * of another statement.
 */
static bool
table_statement(const StatementEffect *effect, TableStatement *statement)
{
	if (effect->skipped || !OidIsValid(effect->relid) ||
		!IsA(effect->stmt, AlterTableStmt))
		return false;
	statement->stmt = (AlterTableStmt *) effect->stmt;
	statement->sql = effect->sql;
	statement->location = effect->location;
	statement->table = effect->table;
	statement->relid = effect->relid;
	statement->role = effect->role;
	return true;
}

/*
 * Report rows on which a statement would fail.
 */
void
syncmaster_row_problems(List **problems, const MigrationContext *context,
						const StatementEffect *effect)
{
	TableStatement statement;

	if (table_statement(effect, &statement))
		syncmaster_long_vector_problems(problems, context, &statement);
}

/*
 * Set a new sequence past the ids of a table that existed before: Celery's,
 * which may have been restored without its sequence.
 */
static void
skip_ids(const MigrationContext *context, const StatementEffect *effect)
{
	const RelationInfo *sequence = syncmaster_find_relation(effect->object);
	Oid					table;
	AttrNumber			attnum;
	int64				highest;
	HighestValue		known;
	char			   *reason = NULL;

	if (sequence == NULL || sequence->ids_of == NULL)
		return;
	table = get_relname_relid(sequence->ids_of, context->namespace);
	if (!OidIsValid(table) || !syncmaster_has_ids(table))
		return;
	attnum = get_attnum(table, "id");
	if (attnum <= 0)
		return;
	known = syncmaster_highest_value(table, attnum, &highest, &reason);
	if (known == HIGHEST_UNKNOWN && reason == NULL)
		known = syncmaster_scan_highest_value(table, attnum, &highest);
	if (known != HIGHEST_FOUND || highest <= 0)
		return;
	CommandCounterIncrement();
	syncmaster_execute_as(
		psprintf("SELECT pg_catalog.setval(%s, " INT64_FORMAT ")",
				 quote_literal_cstr(quote_qualified_identifier(context->schema,
															   effect->object)),
				 highest),
		effect->role);
}

/*
 * Run a statement whose locks are held, and the statements that belong to it.
 */
static void
execute_effect(const MigrationContext *context, StatementEffect *effect,
			   List *known_vectors)
{
	TableStatement statement;
	ListCell	  *lc;

	syncmaster_keep_columns(effect);
	if (table_statement(effect, &statement))
		syncmaster_alter_table(context, &statement, known_vectors);
	else
		syncmaster_execute_as(effect->sql, effect->role);
	if (IsA(effect->stmt, CreateSeqStmt))
		skip_ids(context, effect);
	foreach (lc, effect->afterwards)
	{
		RoleStatement *afterwards = lfirst(lc);

		CommandCounterIncrement();
		syncmaster_execute_as(afterwards->sql, afterwards->role);
	}
}

/*
 * Refuse a statement that must not run, or that would fail.
 */
static void
require_effect(const MigrationContext *context, const StatementEffect *effect)
{
	List *problems = NIL;

	if (OidIsValid(effect->relid) &&
		!syncmaster_may_migrate(context->caller, effect->role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not change \"%s\" of role \"%s\"",
						GetUserNameFromId(context->caller, false),
						effect->object, GetUserNameFromId(effect->role, false)),
				 errhint("Give all tables to one role with "
						 "syncmaster_set_owner(), or run the command as a "
						 "superuser.")));
	syncmaster_effect_problems(&problems, context, effect);
	syncmaster_raise_error(problems);
}

/*
 * Run a statement.  Another session may be creating an object of the same
 * name, which no lock on the table need show: the server then waits for that
 * session, and fails because the name is in the catalogue twice.
 */
static void
run_effect(const MigrationContext *context, StatementEffect *effect,
		   List *known_vectors)
{
	MemoryContext caller_context = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		execute_effect(context, effect, known_vectors);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION ||
			error->schema_name == NULL ||
			strcmp(error->schema_name, "pg_catalog") != 0)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" was made by another session meanwhile",
						effect->object),
				 errhint("Nothing was changed. Run the command again.")));
}

/*
 * Return whether both describe the same object and the same locks.
 */
static bool
is_same_effect(const StatementEffect *left, const StatementEffect *right)
{
	ListCell *lc;
	ListCell *other;

	if (left->skipped != right->skipped ||
		left->name_taken != right->name_taken || left->relid != right->relid ||
		left->role != right->role ||
		list_length(left->locks) != list_length(right->locks))
		return false;
	forboth(lc, left->locks, other, right->locks)
	{
		if (((TableLock *) lfirst(lc))->relid !=
			((TableLock *) lfirst(other))->relid)
			return false;
	}
	return true;
}

/*
 * Take the locks of a statement, and describe it once more: during the wait,
 * other sessions may have created, dropped or renamed its objects.
 */
static StatementEffect *
lock_statement(const MigrationContext *context, const RawStmt *raw,
			   const char *ddl, StatementEffect *effect)
{
	for (;;)
	{
		StatementEffect *now;
		ListCell		*lc;

		require_effect(context, effect);
		foreach (lc, effect->locks)
		{
			TableLock *lock = lfirst(lc);

			syncmaster_lock_relation(lock->relid, lock->mode);
		}
		now = syncmaster_describe_statement(context, raw, ddl, NIL);
		if (is_same_effect(effect, now) || now->skipped || now->name_taken)
			return now;
		effect = now;
	}
}

/*
 * Warn that another object has the name of the one that a statement would
 * create.
 */
static void
warn_taken(const MigrationContext *context, const StatementEffect *effect)
{
	List *problems = NIL;

	syncmaster_effect_problems(&problems, context, effect);
	syncmaster_report_findings(problems, WARNING);
}

/*
 * Return whether a statement has nothing to do.
 */
static bool
is_idle(const MigrationContext *context, const StatementEffect *effect,
		bool again)
{
	if (effect->skipped)
		return true;
	if (effect->name_taken && again)
	{
		warn_taken(context, effect);
		return true;
	}
	if (OidIsValid(effect->role))
		return false;
	ereport(WARNING,
			(errmsg("extension \"%s\" stays, because it belongs to another "
					"role",
					effect->object)));
	return true;
}

/*
 * Return whether a statement can be described before those that come first
 * have run.
 */
static bool
is_about_present_table(Node *stmt)
{
	const RangeVar *table = NULL;

	if (IsA(stmt, CreateStmt))
		return true;
	if (IsA(stmt, DropStmt))
		return ((DropStmt *) stmt)->removeType != OBJECT_EXTENSION;
	if (IsA(stmt, AlterTableStmt))
		table = ((AlterTableStmt *) stmt)->relation;
	else if (IsA(stmt, IndexStmt))
		table = ((IndexStmt *) stmt)->relation;
	return table != NULL && OidIsValid(RangeVarGetRelid(table, NoLock, true));
}

/*
 * Describe the statements about existing tables, before the first one is run.
 */
static List *
describe_statements(const MigrationContext *context, List *statements,
					const char *ddl)
{
	List	 *effects = NIL;
	ListCell *lc;

	foreach (lc, statements)
	{
		RawStmt *raw = lfirst_node(RawStmt, lc);

		if (is_about_present_table(raw->stmt))
			effects = lappend(effects,
							  syncmaster_describe_statement(context, raw, ddl,
															effects));
	}
	return effects;
}

/*
 * Compute the vectors that can be computed before the first lock.
 */
static List *
prepare_statements(const MigrationContext *context, List *effects,
				   const char *activity)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, effects)
	{
		TableStatement *statement = palloc(sizeof(TableStatement));

		if (table_statement(lfirst(lc), statement))
			result = lappend(result, statement);
	}
	return syncmaster_compute_vectors(context, result, activity);
}

/*
 * The locks of all statements, with the strongest mode for each table.
 */
List *
syncmaster_statement_locks(const MigrationContext *context, List *effects)
{
	List	 *locks = NIL;
	ListCell *lc;

	foreach (lc, effects)
	{
		StatementEffect *effect = lfirst(lc);
		ListCell		*lc2;

		/* an earlier statement may rename the table that has this name now */
		if (effect->skipped || effect->name_taken ||
			!OidIsValid(effect->role) || effect->locks == NIL)
			continue;
		require_effect(context, effect);
		foreach (lc2, effect->locks)
		{
			const TableLock *lock = lfirst(lc2);

			locks = syncmaster_add_lock(locks, lock->relid, lock->mode);
		}
	}
	return locks;
}

/*
 * Take the locks of all statements together.  Each of them would be kept until
 * the end in any case, and a service that has locked one table and waits for
 * another would be in a deadlock with this session.
 */
static void
lock_tables(const MigrationContext *context, List *effects)
{
	List *locks = syncmaster_statement_locks(context, effects);

	if (locks == NIL)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_lock_together(locks);
}

/*
 * Say what to do about objects that depend on what a step drops.  The server
 * names those of one table, and would advise CASCADE, which loses them.
 */
static void
hint_at_dependents(void *arg)
{
	(void) arg;
	if (geterrcode() == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		errhint("Keep the definitions of these objects, drop them, and create "
				"them again afterwards. Before an upgrade, SELECT * FROM "
				"syncmaster_preflight() lists all that are in the way.");
}

/*
 * Run all statements of a step, one at a time: Citus refuses several at once.
 */
static void
run_statements(const MigrationContext *context, const char *ddl,
			   const char *activity, bool again)
{
	int		  save_nestlevel = syncmaster_enter_safe_settings();
	List	 *statements = pg_parse_query(ddl);
	List	 *effects = describe_statements(context, statements, ddl);
	List	 *known_vectors = prepare_statements(context, effects, activity);
	ListCell *lc;
	ErrorContextCallback callback = {error_context_stack, hint_at_dependents,
									 NULL};

	error_context_stack = &callback;
	syncmaster_show_activity(activity, "LOCK TABLE");
	lock_tables(context, effects);
	foreach (lc, statements)
	{
		RawStmt			*raw = lfirst_node(RawStmt, lc);
		StatementEffect *effect = syncmaster_describe_statement(context, raw,
																ddl, NIL);
		TimestampTz		 started = GetCurrentTimestamp();

		CHECK_FOR_INTERRUPTS();
		if (is_idle(context, effect, again))
			continue;
		syncmaster_enforce_guard(context);
		syncmaster_show_activity(activity, effect->sql);
		effect = lock_statement(context, raw, ddl, effect);
		if (is_idle(context, effect, again))
			continue;
		require_effect(context, effect);
		run_effect(context, effect, known_vectors);
		CommandCounterIncrement();
		if (IsA(effect->stmt, AlterTableStmt))
			syncmaster_report_progress(started, "%s: alter table %s, %s",
									   activity, effect->object,
									   effect->action);
		else
			syncmaster_report_progress(started, "%s: %s %s", activity,
									   effect->action, effect->object);
	}
	error_context_stack = callback.previous;
	syncmaster_show_activity(NULL, NULL);
	syncmaster_leave_settings(save_nestlevel);
}

void
syncmaster_run_statements(const MigrationContext *context, const char *ddl,
						  const char *activity)
{
	run_statements(context, ddl, activity, false);
}

/*
 * Run the statements of a step that was done before as far as its objects are
 * missing.  If another object has the name of one of them, syncmaster_check()
 * reports it; it is no reason to fail.
 */
void
syncmaster_repeat_statements(const MigrationContext *context, const char *ddl,
							 const char *activity)
{
	run_statements(context, ddl, activity, true);
}
