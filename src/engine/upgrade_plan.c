/*-------------------------------------------------------------------------
 *
 * upgrade_plan.c
 *	  What an upgrade will do, described before it begins.
 *
 * The steps come from the installed scripts, and their statements are
 * described by the code that runs them.  Nothing is changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tcop/tcopprot.h"

#include "base/base.h"
#include "engine/engine.h"
#include "schema/schema.h"
#include "settings.h"

/*
 * Append a step with the statements of its DDL.
 */
static void
add_step(UpgradePlan *plan, const MigrationContext *context, const char *name,
		 char *heading, List *ddl, char *stamp, bool again)
{
	PlanStep *step = palloc0(sizeof(PlanStep));
	ListCell *lc;

	step->name = pstrdup(name);
	step->heading = heading;
	step->stamp = stamp;
	foreach (lc, ddl)
	{
		const char *source = lfirst(lc);
		ListCell   *statement;

		foreach (statement, pg_parse_query(source))
		{
			StatementEffect *effect =
				syncmaster_describe_statement(context,
											  lfirst_node(RawStmt, statement),
											  source, plan->effects);

			/*
			 * a step that was done is not undone because of other objects with
			 * its names
			 */
			if (effect->name_taken && again)
				syncmaster_skip_effect(effect);
			syncmaster_keep_columns(effect);
			step->effects = lappend(step->effects, effect);
			plan->effects = lappend(plan->effects, effect);
		}
	}
	plan->steps = lappend(plan->steps, step);
}

/*
 * Return whether all objects of a step exist that services may create as well.
 */
static bool
is_complete(const MigrationContext *context, const char *ddl)
{
	ListCell *lc;

	foreach (lc, pg_parse_query(ddl))
	{
		StatementEffect *effect = syncmaster_describe_statement(
			context, lfirst_node(RawStmt, lc), ddl, NIL);

		if (!effect->skipped && !effect->name_taken)
			return false;
	}
	return true;
}

/*
 * Describe what syncmaster_upgrade() will do from the context's revision.  The
 * caller has checked the tables' shape.
 */
UpgradePlan *
syncmaster_make_plan(const MigrationContext *context, int target)
{
	const SchemaRevision *revision = &context->revision;
	UpgradePlan			 *plan = palloc0(sizeof(UpgradePlan));
	List				 *steps = syncmaster_read_steps(context->namespace);
	int					  save_nestlevel = syncmaster_enter_safe_settings();

	plan->version_table = revision->version_table;
	if (!OidIsValid(plan->version_table))
		add_step(plan, context, "base", "Alembic's table",
				 list_make1(syncmaster_version_table_ddl(context->schema)),
				 NULL, false);

	for (int next = REVISION_BASE + 1; next <= target; next++)
	{
		const RevisionInfo *info = syncmaster_revision_info(next);
		char			   *ddl;

		if (next <= revision->number && !info->repeatable)
			continue;
		ddl = syncmaster_find_step(steps, next - 1, next)->ddl;
		if (next > revision->number)
			add_step(plan, context, info->id,
					 psprintf("Revision %s: %s", info->id, info->description),
					 list_make1(ddl),
					 syncmaster_stamp_sql(context->schema, next - 1, next),
					 false);
		else if (!is_complete(context, ddl))
			add_step(plan, context, info->id,
					 psprintf("Revision %s again, for what is missing",
							  info->id),
					 list_make1(ddl), NULL, true);
	}

	if (Max(target, revision->number) == REVISION_HEAD &&
		syncmaster_create_indexes_enabled)
	{
		List *definitions = syncmaster_missing_indexes(context, plan->effects,
													   false, &plan->problems);

		if (definitions != NIL)
			add_step(plan, context, "indexes", "Extra indexes", definitions,
					 NULL, false);
	}
	syncmaster_leave_settings(save_nestlevel);

	return plan;
}

/* SubtransactionBody: takes these locks. */
static void
lock_all(void *argument)
{
	syncmaster_lock_together(argument);
}

/*
 * Try the locks of all steps before the first one rewrites tables: a session
 * that holds a lock of the last step would otherwise undo all of it.  The
 * locks are given back, and each step takes its own when it begins, so that
 * services can use the tables of later steps until then.
 */
void
syncmaster_try_locks(const MigrationContext *context, int target)
{
	List	  *locks;
	ErrorData *error;

	(void) syncmaster_require_shape(context->namespace, &context->revision);
	if (syncmaster_guard == GUARD_OFF)
		return;
	locks = syncmaster_statement_locks(
		context, syncmaster_make_plan(context, target)->effects);
	if (locks == NIL)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_show_activity(psprintf("syncmaster %s -> %s",
									  syncmaster_revision_id(
										  context->revision.number),
									  syncmaster_revision_id(target)),
							 "LOCK TABLE");
	error = syncmaster_look(lock_all, locks);
	if (error != NULL)
		ReThrowError(error);
	syncmaster_show_activity(NULL, NULL);
}
