/*-------------------------------------------------------------------------
 *
 * health.c
 *	  syncmaster_health(): what a person should look at.
 *
 * It reads the tables directly and runs nobody's code.  What is locked, or not
 * there yet, is passed by and named.  How long is too long, settings say: an
 * argument would invite a function of somebody else's that fits it better.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "health/health.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

#define HEALTH_NATTS 5

/* Of a longer list of ids, the first ones are named. */
#define MAX_IDS_LISTED 10

/* Milliseconds that the comparison of the schema may wait for a lock. */
#define MAX_WAIT 100

PG_FUNCTION_INFO_V1(syncmaster_health);

/*
 * A table that is not there: does a later revision make it, or is it lost?
 */
static void
report_missing(Health *health, const char *check_name, const char *table)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		int revision = syncmaster_relations[i].revision;

		if (strcmp(syncmaster_relations[i].name, table) != 0 ||
			revision <= health->revision.number)
			continue;
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, check_name, table,
			psprintf("was not looked at: table \"%s\" comes with revision %s",
					 table, syncmaster_revision_id(revision)),
			"SELECT syncmaster_upgrade('head') makes it.");
		return;
	}
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, check_name, table,
		psprintf("was not looked at: table \"%s\" is missing", table),
		"SELECT * FROM syncmaster_check() says what can be done.");
}

/*
 * Was a table opened?  If not, say why a check is left out.
 */
bool
syncmaster_may_look(Health *health, const char *check_name, const char *table,
					AppTableState state)
{
	switch (state)
	{
		case APP_TABLE_OPEN:
			return true;
		case APP_TABLE_MISSING:
			report_missing(health, check_name, table);
			break;
		case APP_TABLE_LOCKED:
			syncmaster_add_finding(
				&health->findings, SEVERITY_WARNING, check_name, table,
				psprintf("was not looked at: table \"%s\" is locked", table),
				"Ask again later.");
			break;
		case APP_TABLE_UNREADABLE:
			syncmaster_add_finding(
				&health->findings, SEVERITY_WARNING, check_name, table,
				psprintf("was not looked at: table \"%s\" is not as it "
						 "should be, or is distributed",
						 table),
				"SELECT * FROM syncmaster_check() says what differs.");
			break;
	}
	return false;
}

/*
 * The table could be looked at, but what leads to its rows could not.
 */
void
syncmaster_add_locked_index(Health *health, const char *check_name,
							const char *table)
{
	syncmaster_add_finding(
		&health->findings, SEVERITY_WARNING, check_name, table,
		psprintf("was not looked at: an index of table \"%s\" is locked",
				 table),
		"Ask again later.");
}

TimestampTz
syncmaster_ago(const Health *health, int seconds)
{
	return health->now - (int64) seconds * USECS_PER_SEC;
}

/*
 * The value of a setting, as a person would write it, and its name.
 */
const char *
syncmaster_limit_text(const char *setting)
{
	return psprintf("%s (%s)", GetConfigOptionByName(setting, NULL, false),
					setting);
}

char *
syncmaster_count(int64 count, const char *one, const char *many)
{
	return psprintf("%lld %s", (long long) count, count == 1 ? one : many);
}

char *
syncmaster_list_ids(IdList *ids)
{
	return syncmaster_ids_to_text(ids, MAX_IDS_LISTED);
}

/*
 * Lock a table as the comparison of the schema does, but do not wait for it.
 */
static bool
try_lock(Health *health, const RelationInfo *relation)
{
	Oid relid = syncmaster_relation_oid(relation, health->extension.namespace);

	return !OidIsValid(relid) ||
		   ConditionalLockRelationOid(relid, AccessShareLock) ||
		   syncmaster_may_look(health, "schema", relation->name,
							   APP_TABLE_LOCKED);
}

/*
 * Missing extra indexes are a choice while the setting says so.
 */
static void
report_indexes(Health *health, List *names)
{
	StringInfoData list;
	ListCell *lc;

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
 * SubtransactionBody: the comparison, which asks for locks on sequences and on
 * whatever else belongs to the tables.
 */
static void
compare_schema(void *argument)
{
	CheckContext *context = argument;
	int save_nestlevel = NewGUCNestLevel();

	if (LockTimeout == 0 || LockTimeout > MAX_WAIT)
		(void) set_config_option("lock_timeout", psprintf("%d", MAX_WAIT),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	syncmaster_begin_check(context);
	syncmaster_check_schema(context);
	AtEOXact_GUC(false, save_nestlevel);
}

/*
 * Schema, extension and library out of step, in short.
 */
static void
check_schema(Health *health)
{
	CheckContext context;
	Finding *first = NULL;
	List *indexes = NIL;
	int errors = 0;
	int warnings = 0;
	ErrorData *error;
	ListCell *lc;

	/* if that is locked, all tables are taken to be due */
	health->revision.number = REVISION_HEAD;
	if (!try_lock(health, &syncmaster_version_relation))
		return;
	syncmaster_read_revision(health->extension.namespace, &health->revision);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		if (!try_lock(health, &syncmaster_relations[i]))
			return;
	}

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
		if (difference->severity == SEVERITY_INFO)
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
			"SELECT * FROM syncmaster_check() lists them, with SQL that mends "
			"them.");
	else if (health->revision.state == REVISION_KNOWN &&
			 !syncmaster_is_in_step(&health->extension, &health->revision))
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "schema", context.schema,
			psprintf("is at revision %s, the extension at version %s, the "
					 "library at %s",
					 health->revision.id, health->extension.version,
					 SYNCMASTER_VERSION),
			"SELECT syncmaster_full_version() says what to do.");
	report_indexes(health, indexes);
}

static void
put_columns(const Finding *finding, const char **texts)
{
	texts[0] = syncmaster_severity_name(finding->severity);
	texts[1] = finding->kind;
	texts[2] = finding->subject;
	texts[3] = finding->message;
	texts[4] = finding->hint;
}

/*
 * syncmaster_health()
 *
 * The worst first.  No row, or nothing above info, means that all is well.
 */
Datum
syncmaster_health(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	Health health = {0};

	syncmaster_get_extension(&health.extension);
	health.now = GetCurrentTimestamp();
	check_schema(&health);
	if (syncmaster_first_relation(health.extension.namespace) != NULL)
	{
		syncmaster_check_runs(&health);
		syncmaster_check_schedules(&health);
		syncmaster_check_stored_credentials(&health);
		syncmaster_check_growth(&health);
	}

	syncmaster_put_findings(result, health.findings, HEALTH_NATTS, put_columns);

	return (Datum) 0;
}
