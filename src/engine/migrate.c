/*-------------------------------------------------------------------------
 *
 * migrate.c
 *	  The migration engine.
 *
 * An extension script calls syncmaster_migrate() once for each revision, with
 * the DDL of that step.  The step runs only if the schema needs it, with its
 * locks taken together, as the owner of the tables, and
 * is stamped into alembic_version and the history.  All steps of a command
 * are one transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "engine/engine.h"
#include "privilege/privilege.h"
#include "schema/schema.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(syncmaster_migrate);

/*
 * Transactions in which a message was given: the scripts of a command call the
 * engine many times, and once is enough.
 */
static FullTransactionId bystanding_said_in = {0};
static FullTransactionId findings_said_in = {0};
static FullTransactionId shape_said_in = {0};

/*
 * Subtransaction in which the present command has tried the locks of its
 * steps.  It is forgotten at the end of the command.  A command that fails
 * ends its subtransaction, whose number is not given again in the transaction.
 */
static FullTransactionId locks_tried_in = {0};
static SubTransactionId	 locks_tried_below = InvalidSubTransactionId;

/* Transaction and time in which CREATE EXTENSION last ran the base script. */
static FullTransactionId created_in = {0};
static TimestampTz		 created_at = 0;

/*
 * Is it known whether that command is part of a restore?  And is it part of
 * one?
 */
static bool restore_looked_for = false;
static bool restore_found = false;

static bool
first_time_in_transaction(FullTransactionId *done_in)
{
	FullTransactionId xid = GetTopFullTransactionId();

	if (FullTransactionIdEquals(*done_in, xid))
		return false;
	*done_in = xid;
	return true;
}

/*
 * Raise an error unless one of this extension's scripts is running.  While a
 * statement of the engine runs, creating_extension is false, so that what a
 * table's owner planted cannot get here.
 */
static void
require_own_script(void)
{
	ExtensionEntry extension;

	if (!creating_extension ||
		!syncmaster_find_extension("syncmaster", &extension) ||
		extension.oid != CurrentExtensionObject)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this function can be called only by a script of "
						"extension \"syncmaster\""),
				 errhint("Use syncmaster_upgrade() or ALTER EXTENSION "
						 "syncmaster UPDATE.")));
}

/*
 * What each call of a script does first: refuse a schema on which the script's
 * next statements would fail, and give what the script has created its
 * privileges before code of the tables' owner can run.
 */
static void
begin_script_call(void)
{
	ExtensionEntry extension;
	List		  *problems = NIL;

	require_own_script();
	syncmaster_get_extension(&extension);
	syncmaster_report_name(&problems, extension.namespace_name);
	syncmaster_raise_error(problems);
	syncmaster_settle_members();
}

/*
 * Return whether this script belongs to a CREATE EXTENSION.  The time alone
 * does not tell an ALTER EXTENSION after it in the same string of commands.
 */
static bool
is_creating(void)
{
	return FullTransactionIdEquals(created_in, GetTopFullTransactionId()) &&
		   created_at == GetCurrentStatementStartTimestamp() &&
		   !syncmaster_command_is_update();
}

/*
 * Return whether this script runs because a dump is being restored.
 *
 * A dump creates the extension and then brings the tables, which therefore
 * must not exist yet.  Every dump sets these two parameters first, in the
 * session; people do not.  No dump updates an extension: whoever does that in
 * the session in which a dump was read means it.
 *
 * What the session or its client says of syncmaster.restoring goes first.  A
 * value of the database, a role or the server counts for nothing: it comes
 * with dumps, and others than those who restore may have set it.
 */
static bool
restore_is_under_way(void)
{
	char **row;

	if (!is_creating() || syncmaster_is_updating())
		return false;

	/* pg_settings is costly to read, and a chain has many steps */
	if (restore_looked_for)
		return restore_found;

	row = linitial(syncmaster_query(
		"SELECT count(*) FILTER (WHERE name = 'syncmaster.restoring' "
		"           AND source IN ('session', 'client')), "
		"       count(*) FILTER (WHERE name IN ('xmloption', 'row_security') "
		"           AND source = 'session') "
		"FROM pg_settings",
		0, NULL, NULL));
	if (syncmaster_restoring != RESTORING_AUTO && strcmp(row[0], "1") == 0)
		restore_found = syncmaster_restoring == RESTORING_ON;
	else
		restore_found = strcmp(row[1], "2") == 0;
	restore_looked_for = true;

	return restore_found;
}

/*
 * Return whether ALTER EXTENSION UPDATE is to leave the tables to
 * syncmaster_upgrade().  A user who updates all extensions of a server need
 * not know that SyncMaster must be of the tables' revision.
 */
static bool
is_update_held(void)
{
	if (syncmaster_update_migrates || syncmaster_is_updating() || is_creating())
		return false;
	if (first_time_in_transaction(&bystanding_said_in))
		ereport(WARNING, (errmsg("the tables are left at their revision, as "
								 "syncmaster.update_migrates is off"),
						  errhint("Run SELECT syncmaster_upgrade('head') when "
								  "SyncMaster is upgraded.")));
	return true;
}

/*
 * Return whether this script leaves the schema alone.  Warn if it does, and
 * say why.
 */
static bool
leaves_schema_alone(void)
{
	if (restore_is_under_way())
	{
		if (syncmaster_progress != PROGRESS_OFF &&
			first_time_in_transaction(&bystanding_said_in))
			ereport(INFO,
					(errmsg("a restore is under way: the tables are left to "
							"it"),
					 errhint("If none is, run SELECT "
							 "syncmaster_upgrade('head').")));
		return true;
	}
	return syncmaster_is_citus_worker() || is_update_held();
}

/*
 * Refuse tables that are not at their revision, and warn of harmless
 * differences.
 */
static void
require_shape(const MigrationContext *context)
{
	List *warnings = syncmaster_require_shape(context->namespace,
											  &context->revision);

	if (warnings != NIL && first_time_in_transaction(&shape_said_in))
		syncmaster_report_findings(warnings, WARNING);
}

/*
 * Lock Alembic's table, and create it if it is missing.  Other sessions may
 * have migrated before the lock was free, so the context's revision is read
 * again then.
 */
static void
prepare_version_table(MigrationContext *context)
{
	if (syncmaster_lock_version_table(context))
		(void) syncmaster_read_checked_revision(context);
	if (OidIsValid(context->revision.version_table))
		return;
	syncmaster_run_statements(context,
							  syncmaster_version_table_ddl(context->schema),
							  "syncmaster");
	syncmaster_lock_version_table(context);
	syncmaster_require_revision(context->namespace, &context->revision);
}

/*
 * Write and record the revision that a step has taken the schema to.
 */
static void
finish_step(MigrationContext *context, int to, TimestampTz started)
{
	int from = context->revision.number;

	syncmaster_stamp_revision(context->namespace, &context->revision, to);
	syncmaster_record_migration(context, from, to, started);
	syncmaster_report_progress(started, "revision %s %s",
							   syncmaster_revision_id(Max(from, to)),
							   to > from ? "applied" : "taken back");
}

/*
 * Refuse a step that changes a partitioned table, before it does anything.
 */
static void
require_no_partitions(const MigrationContext *context, const char *ddl)
{
	int		  save_nestlevel = syncmaster_enter_safe_settings();
	List	 *problems = NIL;
	List	 *effects = NIL;
	ListCell *lc;

	foreach (lc, pg_parse_query(ddl))
	{
		StatementEffect *effect = syncmaster_describe_statement(
			context, lfirst_node(RawStmt, lc), ddl, effects);

		effects = lappend(effects, effect);
		syncmaster_partition_problems(&problems, effect);
	}
	syncmaster_leave_settings(save_nestlevel);
	syncmaster_raise_error(problems);
}

/*
 * Run the step from the context's revision to the next or the previous one.
 */
static void
run_step(MigrationContext *context, int to, const char *ddl)
{
	TimestampTz started = GetCurrentTimestamp();

	syncmaster_enforce_guard(context);
	require_no_partitions(context, ddl);
	syncmaster_run_statements(context, ddl,
							  psprintf("syncmaster %s -> %s",
									   syncmaster_revision_id(
										   context->revision.number),
									   syncmaster_revision_id(to)));
	finish_step(context, to, started);
}

/*
 * Run a step whose objects services may have created, or may not, again as far
 * as something is missing.
 */
static void
repeat_step(const MigrationContext *context, int revision, const char *ddl)
{
	if (syncmaster_revision_info(revision)->repeatable)
		syncmaster_repeat_statements(
			context, ddl,
			psprintf("syncmaster %s again", syncmaster_revision_id(revision)));
}

/*
 * Undo the context's revision, one of those that the base script installs in
 * one piece: drop what it created, as Alembic does.
 */
static void
drop_step(MigrationContext *context)
{
	int			   revision = context->revision.number;
	StringInfoData ddl;

	initStringInfo(&ddl);
	for (int i = syncmaster_nrelations - 1; i >= 0; i--)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (relation->revision == revision)
			appendStringInfo(&ddl, "DROP %s IF EXISTS %s;",
							 relation->kind == RELKIND_SEQUENCE ? "SEQUENCE"
																: "TABLE",
							 quote_qualified_identifier(context->schema,
														relation->name));
	}
	if (ddl.len == 0)
		appendStringInfoString(&ddl, "DROP EXTENSION IF EXISTS pg_trgm");
	run_step(context, revision - 1, ddl.data);
}

/*
 * Take the schema from the context's revision to another one, with steps read
 * from the scripts.  The caller gives the direction: a schema that is past the
 * target must not be moved back by mistake.
 */
static void
migrate_steps(MigrationContext *context, int to, bool upgrade)
{
	List *steps = syncmaster_read_steps(context->namespace);
	int	  current = context->revision.number;

	if (upgrade ? to < current : to > current)
		elog(ERROR, "schema is at revision %d, past the target %d", current,
			 to);
	if (!upgrade)
	{
		while ((current = context->revision.number) > to)
		{
			if (current > REVISION_BASE_SCRIPT)
				run_step(
					context, current - 1,
					syncmaster_find_step(steps, current, current - 1)->ddl);
			else
				drop_step(context);
		}
		return;
	}

	for (int next = REVISION_BASE + 1; next <= to; next++)
	{
		const char *ddl = syncmaster_find_step(steps, next - 1, next)->ddl;

		if (next <= current)
			repeat_step(context, next, ddl);
		else
			run_step(context, next, ddl);
	}
}

/*
 * Refuse to create a second set of tables, unless it is meant.
 */
static void
require_place(const MigrationContext *context, bool meant)
{
	List *problems = NIL;

	syncmaster_place_problems(&problems, context, meant);
	syncmaster_raise_error(problems);
	syncmaster_report_findings(problems, WARNING);
}

/*
 * Take the schema to a revision for a function that is called directly, which
 * has read and locked the revision, and knows that it can be moved.
 */
void
syncmaster_migrate_to(MigrationContext *context, int to, bool upgrade)
{
	require_shape(context);
	if (upgrade && context->revision.number == REVISION_BASE)
		require_place(context, true);
	prepare_version_table(context);
	migrate_steps(context, to, upgrade);
}

/*
 * Return whether the schema is newer than the library.  It is left alone then,
 * and upgrade scripts only create functions.
 */
static bool
leave_newer(MigrationContext *context, bool upgrade)
{
	syncmaster_read_revision(context->namespace, &context->revision);
	if (context->revision.state != REVISION_NEWER)
		return false;
	if (!upgrade)
		syncmaster_refuse_newer(context->namespace);
	if (first_time_in_transaction(&bystanding_said_in))
		syncmaster_warn_of_newer(context->namespace);
	return true;
}

static int
argument_revision(FunctionCallInfo fcinfo, int n)
{
	char *id = text_to_cstring(PG_GETARG_TEXT_PP(n));
	int	  number = syncmaster_revision_number(id);

	if (number < 0)
		elog(ERROR, "script names unknown revision \"%s\"", id);
	return number;
}

/*
 * Return whether the schema has not reached the end of this step yet.
 */
static bool
is_needed(const SchemaRevision *revision, int from, int to)
{
	return to > from ? revision->number < to : revision->number > to;
}

/*
 * Before the first step of CREATE or ALTER EXTENSION that goes up, try the
 * locks of all.  syncmaster_upgrade() has done so before it runs ALTER
 * EXTENSION.
 */
static void
try_later_locks(const MigrationContext *context)
{
	int				  last = syncmaster_last_revision();
	FullTransactionId xid = GetTopFullTransactionId();
	SubTransactionId  subxid = GetCurrentSubTransactionId();

	if (context->revision.number <= REVISION_BASE ||
		last <= context->revision.number || syncmaster_is_updating() ||
		(FullTransactionIdEquals(locks_tried_in, xid) &&
		 locks_tried_below == subxid))
		return;
	syncmaster_try_locks(context, last);
	locks_tried_in = xid;
	locks_tried_below = subxid;
}

/*
 * The next script may be that of another command: what was tried does not
 * hold for it, as services have been at work meanwhile.
 */
static void
forget_tried_locks(const char *version)
{
	if (syncmaster_may_be_last_version(version))
		locks_tried_below = InvalidSubTransactionId;
}

/*
 * syncmaster_migrate(from_revision text, to_revision text, ddl text)
 *
 * One step, up or down, of an extension script.
 */
Datum
syncmaster_migrate(PG_FUNCTION_ARGS)
{
	MigrationContext	  context;
	const SchemaRevision *revision = &context.revision;
	int					  from;
	int					  to;
	char				 *ddl;

	begin_script_call();
	from = argument_revision(fcinfo, 0);
	to = argument_revision(fcinfo, 1);
	ddl = text_to_cstring(PG_GETARG_TEXT_PP(2));

	/* only the base script starts at base */
	if (from == REVISION_BASE)
	{
		created_in = GetTopFullTransactionId();
		created_at = GetCurrentStatementStartTimestamp();
		restore_looked_for = false;
	}
	if (leaves_schema_alone())
		PG_RETURN_VOID();

	syncmaster_begin_migration(&context, syncmaster_script_caller());
	if (leave_newer(&context, to > from))
		PG_RETURN_VOID();
	syncmaster_raise_error(
		syncmaster_revision_problems(context.namespace, revision));
	require_shape(&context);

	if (!is_needed(revision, from, to))
	{
		if (to > from)
			repeat_step(&context, to, ddl);
		PG_RETURN_VOID();
	}
	if (revision->number == REVISION_BASE)
	{
		require_place(&context, from != REVISION_BASE);
		if (from == REVISION_BASE)
			syncmaster_require_known_owner(&context);
		syncmaster_warn_owner(&context);
	}

	prepare_version_table(&context);
	if (!is_needed(revision, from, to))
		PG_RETURN_VOID();
	if (to > from)
		try_later_locks(&context);

	/*
	 * Alembic may have moved the schema while the version stayed, and tables
	 * that services create may be missing: the base script, which creates
	 * them, has run long ago.
	 */
	if (revision->number != from ||
		(from >= REVISION_BASE_SCRIPT && to > from &&
		 !syncmaster_is_complete(context.namespace, from)))
		migrate_steps(&context, from, to > from);
	run_step(&context, to, ddl);

	/* the other scripts call this at their end */
	if (to < from)
		syncmaster_complete_members();
	PG_RETURN_VOID();
}

/*
 * The last call of a script that makes this version: what does not belong to
 * one revision.  Returns the revision of the tables after the last script of a
 * command, else -1.
 */
int
syncmaster_end_script(const char *version)
{
	MigrationContext context;

	begin_script_call();
	forget_tried_locks(version);
	syncmaster_complete_members();
	if (leaves_schema_alone())
		return -1;

	syncmaster_begin_migration(&context, syncmaster_script_caller());
	if (leave_newer(&context, true))
		return -1;
	syncmaster_raise_error(
		syncmaster_revision_problems(context.namespace, &context.revision));
	require_shape(&context);

	if (first_time_in_transaction(&findings_said_in))
	{
		syncmaster_report_lengths(context.namespace, context.revision.number);
		syncmaster_warn_of_namesakes();
	}

	/*
	 * Only the script of the newest version builds the extra indexes: the next
	 * revision may rewrite the tables.
	 */
	if (syncmaster_create_indexes_enabled &&
		strcmp(version, SYNCMASTER_VERSION) == 0)
		syncmaster_build_indexes(&context, WARNING);
	syncmaster_extend_grants(&context);

	return syncmaster_is_last_version(version) ? context.revision.number : -1;
}
