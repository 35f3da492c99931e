/*-------------------------------------------------------------------------
 *
 * finding.c
 *	  What a check found: to be listed, raised as an error or reported.
 *
 * The preflight, the check of the schema, its repair, the health report and
 * the list of privileges all collect findings and return them as rows.  A
 * migration raises the first error that the preflight would list.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"

/*
 * Add a finding to a list; the caller may fill in its other fields.
 */
Finding *
syncmaster_add_finding(List **findings, Severity severity, const char *kind,
					   const char *subject, const char *message,
					   const char *hint)
{
	Finding *finding = palloc0(sizeof(Finding));

	finding->severity = severity;
	finding->kind = kind;
	finding->subject = pstrdup(subject);
	finding->message = message;
	finding->hint = hint;
	*findings = lappend(*findings, finding);

	return finding;
}

/*
 * Add an error that a command raises; the caller may make it milder.
 */
Finding *
syncmaster_add_error(List **findings, int sqlerrcode, const char *subject,
					 const char *message, const char *hint)
{
	Finding *finding = syncmaster_add_finding(findings, SEVERITY_ERROR, NULL,
											  subject, message, hint);

	finding->sqlerrcode = sqlerrcode;
	return finding;
}

static const char *const severity_names[] = {"error", "warning", "info",
											 "none"};

const char *
syncmaster_severity_name(Severity severity)
{
	return severity_names[severity];
}

/*
 * The severity that a query's text names.
 */
Severity
syncmaster_parse_severity(const char *name)
{
	Severity severity = SEVERITY_ERROR;

	while (severity < SEVERITY_NONE &&
		   strcmp(severity_names[severity], name) != 0)
		severity++;
	return severity;
}

static void
report(const Finding *finding, int elevel)
{
	ereport(elevel,
			(errcode(finding->sqlerrcode),
			 errmsg_internal("%s", finding->message),
			 finding->detail != NULL ? errdetail_internal("%s", finding->detail)
									 : 0,
			 errhint("%s", finding->hint)));
}

/*
 * Report all findings of a list, whatever their severity.
 */
void
syncmaster_report_findings(List *findings, int elevel)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		report(lfirst(lc), elevel);
	}
}

/*
 * Raise the first error of a list, if there is one.
 */
void
syncmaster_raise_error(List *findings)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->severity == SEVERITY_ERROR)
			report(finding, ERROR);
	}
}

/*
 * Return findings as rows of texts: the gravest first, and those of one
 * severity in the order in which they were found.
 */
void
syncmaster_put_findings(ReturnSetInfo *result, List *findings, int natts,
						FindingColumns columns)
{
	const char **texts = palloc(natts * sizeof(char *));

	for (Severity severity = SEVERITY_ERROR; severity <= SEVERITY_NONE;
		 severity++)
	{
		ListCell *lc;

		foreach (lc, findings)
		{
			const Finding *finding = lfirst(lc);

			if (finding->severity != severity)
				continue;
			columns(finding, texts);
			syncmaster_put_texts(result, natts, texts);
		}
	}
}
