/*-------------------------------------------------------------------------
 *
 * health_privilege.c
 *	  What syncmaster_privileges() has to say, in one line.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "health/health.h"
#include "privilege/privilege.h"

/*
 * Return whether the finding is about a role's attributes or memberships.
 * These are the cluster's and may be meant, like those of a standby's role:
 * they are information here.
 */
static bool
is_of_role(const Finding *privilege)
{
	return strcmp(privilege->kind, "role") == 0;
}

void
syncmaster_check_privileges(Health *health)
{
	PrivilegeList list = {0};
	int64		  missing = 0;
	int64		  dangerous = 0;
	bool		  is_warning = false;
	const char	 *missing_text;
	const char	 *dangerous_text;
	ListCell	 *lc;

	syncmaster_list_privileges(&list, DEBUG1);
	foreach (lc, list.findings)
	{
		const Finding *privilege = lfirst(lc);

		if (privilege->severity == STATE_MISSING)
			missing++;
		else if (privilege->severity == STATE_DANGEROUS)
			dangerous++;
		else
			continue;
		is_warning = is_warning || !is_of_role(privilege);
	}
	if (missing == 0 && dangerous == 0)
		return;
	missing_text = syncmaster_count(missing,
									"privilege that a service needs is missing",
									"privileges that services need are "
									"missing");
	dangerous_text = syncmaster_count(dangerous, "privilege is dangerous",
									  "privileges are dangerous");
	syncmaster_add_finding(
		&health->findings, is_warning ? SEVERITY_WARNING : SEVERITY_INFO,
		"privileges", health->extension.namespace_name,
		psprintf("%s%s%s", missing > 0 ? missing_text : "",
				 missing > 0 && dangerous > 0 ? ", and " : "",
				 dangerous > 0 ? dangerous_text : ""),
		"SELECT * FROM syncmaster_privileges() lists them, with SQL that sets "
		"them right.");
}
