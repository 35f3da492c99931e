/*-------------------------------------------------------------------------
 *
 * health_finding.c
 *	  What the checks of the rows have in common: tables that cannot be
 *	  looked at, and limits, counts and ids as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "base/base.h"
#include "health/health.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* How many ids of a list are named. */
#define MAX_IDS_LISTED 10

/*
 * Report a missing table: a later revision creates it, or it was lost.
 */
static void
report_missing(Health *health, const char *check_name, const char *table)
{
	const RelationInfo *relation = syncmaster_find_relation(table);

	if (relation != NULL && relation->revision > health->revision.number)
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, check_name, table,
			psprintf("was not looked at: table \"%s\" comes with revision %s",
					 table, syncmaster_revision_id(relation->revision)),
			"SELECT syncmaster_upgrade('head') makes it.");
	else
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, check_name, table,
			psprintf("was not looked at: table \"%s\" is missing", table),
			"SELECT * FROM syncmaster_check() says what can be done.");
}

/*
 * Return whether a table was opened; if not, report why a check is skipped.
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
		case APP_TABLE_DISTRIBUTED:
			syncmaster_add_finding(
				&health->findings, SEVERITY_INFO, check_name, table,
				psprintf("was not looked at: table \"%s\" is distributed by "
						 "Citus",
						 table),
				"Ask the rows themselves, by SQL on the coordinator.");
			break;
		case APP_TABLE_UNREADABLE:
			syncmaster_add_finding(
				&health->findings, SEVERITY_WARNING, check_name, table,
				psprintf("was not looked at: table \"%s\" is not as it "
						 "should be",
						 table),
				"SELECT * FROM syncmaster_check() says what differs.");
			break;
	}
	return false;
}

/*
 * Report that the rows cannot be read because the index that leads to them is
 * locked, although the table is not.
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
 * The value of a setting, as people write it, and the setting's name.
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
