/*-------------------------------------------------------------------------
 *
 * stamp.c
 *	  syncmaster_stamp(): writes the revision into alembic_version, without
 *	  running a migration, where the tables are as that revision makes them.
 *
 * A wrong revision makes later migrations fail or, worse, skip a step.  So
 * what is true of the tables is looked at first, which Alembic leaves to its
 * user.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(syncmaster_stamp);

/*
 * Refuse to write a revision that the tables are not at.
 */
static void
require_tables_as(int revision)
{
	CheckContext context;
	List		*differences = NIL;
	ListCell	*lc;

	syncmaster_begin_check(&context);
	syncmaster_check_tables_at(&context, revision);

	foreach (lc, context.findings)
	{
		if (syncmaster_contradicts(lfirst(lc)))
			differences = lappend(differences, lfirst(lc));
	}
	if (differences == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the tables in schema \"%s\" are not at revision %s",
					context.schema, syncmaster_revision_id(revision)),
			 errdetail("Differences: %s.",
					   syncmaster_name_differences(differences)),
			 errhint(
				 "Stamp the revision that the tables are at, or repair them "
				 "first.")));
}

/*
 * Prepare to replace the row.  A row that is not SyncMaster's is deleted only
 * if the caller wants that.
 */
static void
prepare_row(MigrationContext *context, bool purge)
{
	SchemaRevision *revision = &context->revision;

	if (!purge || revision->state == REVISION_BAD_TABLE ||
		revision->state == REVISION_DISTRIBUTED)
		syncmaster_raise_error(
			syncmaster_revision_problems(context->namespace, revision));

	if (revision->state == REVISION_NO_TABLE)
	{
		syncmaster_run_statements(context,
								  syncmaster_version_table_ddl(context->schema),
								  "syncmaster stamp");
		syncmaster_lock_version_table(context);
	}
	else if (revision->state != REVISION_KNOWN &&
			 revision->state != REVISION_NO_ROW)
	{
		syncmaster_execute_as(
			psprintf("DELETE FROM ONLY %s",
					 quote_qualified_identifier(context->schema,
												"alembic_version")),
			syncmaster_relation_owner(revision->version_table));
		CommandCounterIncrement();
	}
}

/*
 * Return whether a row of alembic_version that names no known revision may be
 * a mistake rather than a later release's.  A text of four digits is not taken
 * for a mistake; nor is any other if there are tables or columns that the
 * library does not know.
 */
static bool
is_mistaken(const MigrationContext *context)
{
	const char *id = context->revision.id;

	return strspn(id, "0123456789") != strlen(id) &&
		   syncmaster_unknown_objects(context->namespace) == NIL;
}

/*
 * syncmaster_stamp(target text, purge bool) returns text: the revision
 */
Datum
syncmaster_stamp(PG_FUNCTION_ARGS)
{
	char			*text = syncmaster_target_argument(fcinfo);
	TimestampTz		 started = GetCurrentTimestamp();
	MigrationContext context;
	RevisionTarget	 target;
	int				 current;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("purge must not be null"),
						errhint("Give true or false.")));
	syncmaster_begin_command(&context, "syncmaster_stamp()");
	syncmaster_lock_version_table(&context);

	/* relative targets make no sense if the present revision is unknown */
	if (text[0] == '+' || text[0] == '-')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot stamp a relative target \"%s\"", text),
				 errhint("Name head, base, a revision or a version of the "
						 "extension.")));
	syncmaster_parse_target(text, true, REVISION_BASE, &target);

	syncmaster_read_revision(context.namespace, &context.revision);
	if (context.revision.state == REVISION_NEWER &&
		!(PG_GETARG_BOOL(1) && is_mistaken(&context)))
		syncmaster_refuse_newer(context.namespace);
	require_tables_as(target.number);
	prepare_row(&context, PG_GETARG_BOOL(1));
	current = context.revision.number;
	if (current != target.number)
	{
		syncmaster_stamp_revision(context.namespace, &context.revision,
								  target.number);
		syncmaster_record_migration(&context, current, target.number, started);
	}
	PG_RETURN_TEXT_P(cstring_to_text(syncmaster_revision_id(target.number)));
}
