/*-------------------------------------------------------------------------
 *
 * caller.c
 *	  The role on whose behalf a script of the extension runs.
 *
 * PostgreSQL runs the scripts of a trusted extension as the bootstrap
 * superuser if the role that gave the command is not a superuser.  The
 * substitution @extowner@ would name that role, but if the name has a quote, a
 * dollar sign or a backslash, PostgreSQL refuses the whole script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "engine/engine.h"

/* Who called the function that updates the extension now. */
static Oid updating_for = InvalidOid;

/*
 * The role that gave the command which runs the present script.
 *
 * Whoever creates the extension owns it, and whoever updates it has its
 * owner's rights.  So where the script runs as the bootstrap superuser on
 * behalf of somebody else, that is the role of the session or, if a function
 * with its owner's rights gave the command, a role with the rights of the
 * extension's owner: then these rights alone count.
 */
Oid
syncmaster_script_caller(void)
{
	ExtensionEntry extension;
	Oid			   user;
	int			   sec_context;
	Oid			   outer = GetOuterUserId();

	if (OidIsValid(updating_for))
		return updating_for;
	GetUserIdAndSecContext(&user, &sec_context);
	if (user != BOOTSTRAP_SUPERUSERID ||
		(sec_context & SECURITY_LOCAL_USERID_CHANGE) == 0)
		return user;

	syncmaster_get_extension(&extension);
	if ((sec_context & SECURITY_RESTRICTED_OPERATION) == 0 &&
		!superuser_arg(outer) && has_privs_of_role(outer, extension.owner))
		return outer;
	return extension.owner;
}

/*
 * Return whether a function of this extension is running ALTER EXTENSION
 * UPDATE.
 */
bool
syncmaster_is_updating(void)
{
	return OidIsValid(updating_for);
}

/*
 * ALTER EXTENSION UPDATE, with the caller's own rights.
 */
void
syncmaster_update_extension(const char *version)
{
	char *sql = psprintf("ALTER EXTENSION syncmaster UPDATE TO %s",
						 quote_literal_cstr(version));
	Oid	  save_updating_for = updating_for;

	updating_for = GetUserId();
	PG_TRY();
	{
		(void) syncmaster_run(sql, 0, NULL, NULL);
	}
	PG_FINALLY();
	{
		updating_for = save_updating_for;
	}
	PG_END_TRY();
}
