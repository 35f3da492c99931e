/*-------------------------------------------------------------------------
 *
 * health_schema.c
 *	  Whether the schema is as its revision says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/proc.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "health/health.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

/* Milliseconds that the comparison of the schema may wait for a lock. */
#define MAX_WAIT 100

/*
 * Lock a table in the mode that the comparison needs, without a wait.
 */
static bool
try_lock(Health *health, const RelationInfo *relation)
{
	Oid relid = syncmaster_relation_oid(relation, health->extension.namespace);

	return !OidIsValid(relid) || syncmaster_try_lock(relid, AccessShareLock) ||
		   syncmaster_may_look(health, "schema", relation->name,
							   APP_TABLE_LOCKED);
}

/*
 * Report missing extra indexes: as information if the setting says to do
 * without them.
 */
static void
report_indexes(Health *health, List *names)
{
	StringInfoData list;
	ListCell	  *lc;

	if (names == NIL)
		return;
	initStringInfo(&list);
	foreach (lc, names)
	{
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 (const char *) lfirst(lc));
	}
	syncmaster_add_finding(
		&health->findings,
		syncmaster_create_indexes_enabled ? SEVERITY_WARNING : SEVERITY_INFO,
		"indexes", "extra indexes",
		psprintf("%s: %s",
				 syncmaster_count(list_length(names),
								  "is missing or not as it should be",
								  "are missing or not as they should be"),
				 list.data),
		"SELECT * FROM syncmaster_create_indexes() builds them.");
}

/*
 * Report sequences that are behind because a subscription fills their tables.
 */
static void
report_subscribed(Health *health, List *names)
{
	if (names == NIL)
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_INFO, "sequences", linitial(names),
		psprintf("%s behind the highest ids of tables that a subscription "
				 "fills",
				 syncmaster_count(list_length(names), "sequence is",
								  "sequences are")),
		"Logical replication does not send values of sequences. At "
		"switchover, drop the subscription; SELECT * FROM "
		"syncmaster_repair(false) then sets them.");
}

/*
 * Report a service that uses other objects in place of SyncMaster's.
 */
static void
report_names(Health *health, const Finding *difference)
{
	syncmaster_add_finding(
		&health->findings, difference->severity, "search_path",
		difference->subject,
		psprintf("%s: %s", difference->message, difference->actual),
		psprintf("%s, or rename or drop what is found.", difference->fix));
}

/*
 * SubtransactionBody: compares the schema, which asks for locks on sequences
 * and on whatever else belongs to the tables.
 */
static void
compare_schema(void *argument)
{
	CheckContext *context = argument;
	int			  level = syncmaster_enter_settings();

	if (LockTimeout == 0 || LockTimeout > MAX_WAIT)
		syncmaster_set_locally_int("lock_timeout", MAX_WAIT);
	syncmaster_begin_check(context);
	syncmaster_check_schema(context);
	syncmaster_leave_settings(level);
}

/*
 * Report other tables that services may use in place of those of this schema.
 */
static void
report_places(Health *health)
{
	ListCell *lc;

	foreach (lc, syncmaster_other_places(health->extension.namespace))
	{
		const Finding *place = lfirst(lc);

		syncmaster_add_finding(&health->findings, place->severity, "schema",
							   place->subject, place->message,
							   psprintf("If these are meant: %s;", place->fix));
	}
}

/*
 * Report a schema that is newer than the library, which cannot be compared.
 */
static bool
report_newer(Health *health)
{
	List		  *problems = NIL;
	const Finding *problem = syncmaster_newer_problem(
		&problems, health->extension.namespace, &health->revision);

	if (problem == NULL)
		return false;
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, "schema",
		health->extension.namespace_name,
		psprintf("was not looked at, as it is at revision %s, which is newer "
				 "than the library%s%s",
				 health->revision.id, problem->detail != NULL ? ". " : "",
				 problem->detail != NULL ? problem->detail : ""),
		problem->hint);
	return true;
}

static void
report_step(Health *health)
{
	if (health->revision.state != REVISION_KNOWN ||
		syncmaster_is_in_step(&health->extension, &health->revision))
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, "schema",
		health->extension.namespace_name,
		psprintf("is at revision %s, the extension at version %s, the "
				 "library at %s",
				 health->revision.id, health->extension.version,
				 SYNCMASTER_VERSION),
		"SELECT syncmaster_full_version() says what to do.");
}

/*
 * Report in short how schema, extension and library are out of step.
 */
void
syncmaster_check_health_schema(Health *health)
{
	CheckContext context;
	Finding		*first = NULL;
	List		*indexes = NIL;
	List		*subscribed = NIL;
	int			 errors = 0;
	int			 warnings = 0;
	bool		 newer;
	ErrorData	*error;
	ListCell	*lc;

	/* if alembic_version is locked, all tables are expected */
	health->revision.number = REVISION_HEAD;
	if (!try_lock(health, &syncmaster_version_relation))
		return;
	syncmaster_read_revision(health->extension.namespace, &health->revision);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		if (!try_lock(health, &syncmaster_relations[i]))
		{
			/* the checks that need no table */
			if (!report_newer(health))
				report_step(health);
			return;
		}
	}

	newer = report_newer(health);
	error = syncmaster_try(compare_schema, &context);
	if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schema",
			health->extension.namespace_name,
			"was not looked at: something that belongs to a table is locked",
			"Ask again later.");
		return;
	}
	if (error != NULL)
		ReThrowError(error);
	foreach (lc, context.findings)
	{
		Finding *difference = lfirst(lc);

		if (syncmaster_is_extra_index(difference->subject))
		{
			indexes = lappend(indexes, (char *) difference->subject);
			continue;
		}
		if (strcmp(difference->kind, "role") == 0)
		{
			report_names(health, difference);
			continue;
		}
		if (difference->severity == SEVERITY_INFO && difference->of_rows &&
			difference->fix != NULL)
			subscribed = lappend(subscribed, (char *) difference->subject);
		if (newer || difference->severity == SEVERITY_INFO)
			continue;
		if (first == NULL || difference->severity < first->severity)
			first = difference;
		if (difference->severity == SEVERITY_ERROR)
			errors++;
		else
			warnings++;
	}
	if (first != NULL)
		syncmaster_add_finding(
			&health->findings, errors > 0 ? SEVERITY_ERROR : SEVERITY_WARNING,
			"schema", context.schema,
			psprintf("is not as its revision says: %s, %s; first, %s \"%s\" %s",
					 syncmaster_count(errors, "error", "errors"),
					 syncmaster_count(warnings, "warning", "warnings"),
					 first->kind, first->subject, first->message),
			"SELECT * FROM syncmaster_check() lists them, with SQL that "
			"repairs "
			"them.");
	else
		report_step(health);
	report_indexes(health, indexes);
	report_subscribed(health, subscribed);
	report_places(health);
}
