/*-------------------------------------------------------------------------
 *
 * report.c
 *	  What a preflight has found so far.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "preflight/preflight.h"

/*
 * Add a row to the report.
 */
void
syncmaster_report(Preflight *preflight, Severity severity, const char *subject,
				  const char *message, const char *hint)
{
	syncmaster_add_finding(&preflight->findings, severity, NULL, subject,
						   message, hint);
}

bool
syncmaster_has_errors(const Preflight *preflight)
{
	ListCell *lc;

	foreach (lc, preflight->findings)
	{
		if (((Finding *) lfirst(lc))->severity == SEVERITY_ERROR)
			return true;
	}
	return false;
}

/*
 * Return whether one of the findings has the same text.
 */
bool
syncmaster_is_reported(List *findings, const Finding *finding)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		if (strcmp(((Finding *) lfirst(lc))->message, finding->message) == 0)
			return true;
	}
	return false;
}

/*
 * Add errors that a migration would raise, each once: several tables or
 * statements may lack the same privilege.
 */
void
syncmaster_report_once(Preflight *preflight, List *problems)
{
	ListCell *lc;

	foreach (lc, problems)
	{
		Finding *finding = lfirst(lc);

		if (!syncmaster_is_reported(preflight->findings, finding))
			preflight->findings = lappend(preflight->findings, finding);
	}
}
