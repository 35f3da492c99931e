/*-------------------------------------------------------------------------
 *
 * health.c
 *	  syncmaster_health(): what a person should look at.
 *
 * It reads the tables directly and runs no code of their owner.  A table that
 * is locked, or does not exist yet, is skipped and named.  Settings, not
 * arguments, hold the limits: a call with an argument could mean another
 * role's function that fits it better.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "health/health.h"
#include "schema/schema.h"

#define HEALTH_NATTS 5

PG_FUNCTION_INFO_V1(syncmaster_health);

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
 * Make all checks.
 */
void
syncmaster_collect_health(Health *health)
{
	memset(health, 0, sizeof(*health));
	syncmaster_get_extension(&health->extension);
	health->now = GetCurrentTimestamp();
	if (syncmaster_is_citus_worker())
	{
		syncmaster_add_finding(&health->findings, SEVERITY_INFO, "schema",
							   health->extension.namespace_name,
							   "was not looked at: this server is a Citus "
							   "worker",
							   "Ask on the coordinator.");
		return;
	}
	syncmaster_check_health_schema(health);
	syncmaster_report_settings(&health->findings);
	if (syncmaster_first_relation(health->extension.namespace) == NULL)
		return;
	syncmaster_check_runs(health);
	syncmaster_check_schedules(health);
	syncmaster_check_stored_credentials(health);
	syncmaster_check_privileges(health);
	syncmaster_check_growth(health);
	syncmaster_check_sequences(health);
}

/*
 * syncmaster_health()
 *
 * The gravest findings come first.  If there is no row, or none above info,
 * all is well.
 */
Datum
syncmaster_health(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	Health		   health;

	syncmaster_collect_health(&health);
	syncmaster_put_findings(result, health.findings, HEALTH_NATTS, put_columns);

	return (Datum) 0;
}
