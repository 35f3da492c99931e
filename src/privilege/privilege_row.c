/*-------------------------------------------------------------------------
 *
 * privilege_row.c
 *	  The rows of syncmaster_privileges().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "privilege/privilege.h"

#define PRIVILEGES_NATTS 8

static const char *const state_names[] = {"dangerous", "missing", "excess",
										  "granted"};

/*
 * Add a row about a role and an object; the message is the reason, which may
 * be NULL.
 */
typedef struct PrivilegeFinding
{
	Finding		finding;
	const char *role;
	const char *services;
	const char *privilege;
} PrivilegeFinding;

void
syncmaster_add_privilege(PrivilegeList *list, Severity state, Oid role,
						 const char *object_type, const char *object_name,
						 const char *privilege, const char *reason,
						 const char *fix)
{
	int				  services = syncmaster_services_of(list->roles, role);
	PrivilegeFinding *row = palloc0(sizeof(PrivilegeFinding));

	row->finding.severity = state;
	row->finding.kind = object_type;
	row->finding.subject = object_name;
	row->finding.message = reason;
	row->finding.fix = fix;
	row->role = syncmaster_role_name(role);
	row->services = syncmaster_services_text(services);
	row->privilege = privilege;
	list->findings = lappend(list->findings, row);
}

static void
put_columns(const Finding *finding, const char **texts)
{
	const PrivilegeFinding *row = (const PrivilegeFinding *) finding;

	texts[0] = row->role;
	texts[1] = row->services;
	texts[2] = finding->kind;
	texts[3] = finding->subject;
	texts[4] = row->privilege;
	texts[5] = state_names[finding->severity];
	texts[6] = finding->message;
	texts[7] = finding->fix;
}

/*
 * Return the rows: the gravest first.
 */
void
syncmaster_put_privileges(ReturnSetInfo *result, const PrivilegeList *list)
{
	syncmaster_put_findings(result, list->findings, PRIVILEGES_NATTS,
							put_columns);
}
