/*-------------------------------------------------------------------------
 *
 * health_credential.c
 *	  Stored credentials that the services cannot read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "credential/credential.h"
#include "health/health.h"
#include "rows/rows.h"

#define VERIFY "syncmaster_verify_credentials"

/*
 * Return whether the caller may call the function that tells the same.
 */
static bool
may_verify(const Health *health)
{
	oidvector *no_arguments = buildoidvector(NULL, 0);
	Oid		   function =
		GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						CStringGetDatum(VERIFY), PointerGetDatum(no_arguments),
						ObjectIdGetDatum(health->extension.namespace));

	return OidIsValid(function) && may_execute(function, GetUserId());
}

typedef struct CheckCall
{
	CredentialCheck *check;
	MemoryContext	 scratch;
} CheckCall;

static void
run_check(void *argument)
{
	CheckCall *call = argument;

	MemoryContextSwitchTo(call->scratch);
	syncmaster_check_credentials(call->check);
}

/*
 * Check the credentials in a subtransaction: a key file that cannot be read is
 * a finding, and the other checks go on.  NULL if it succeeded, else the
 * error.
 */
static ErrorData *
try_check(CredentialCheck *check, MemoryContext scratch)
{
	CheckCall  call = {check, scratch};
	ErrorData *error = syncmaster_try(run_check, &call);

	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

/*
 * Report which credentials the services cannot read.  Before a rotation all
 * credentials are under the previous key, which the services still have.  If
 * some are under the primary key, the services cannot read one of the two
 * groups.
 */
static void
report_previous(Health *health, const CredentialCheck *check)
{
	const char *count = syncmaster_count(check->previous, "connection are",
										 "connections are");

	if (check->tokens[0] == 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, "credentials", "auth_data",
			psprintf("the credentials of %s under the previous key, and none "
					 "under the primary one, as before a rotation",
					 count),
			"The services need the previous key until SELECT * FROM "
			"syncmaster_rotate_credentials().");
	else
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "credentials", "auth_data",
			psprintf("the credentials of %s under a previous key, which the "
					 "services do not know",
					 count),
			"SELECT * FROM syncmaster_rotate_credentials() puts them under the "
			"primary key, if the services have that.");
}

static void
report_credentials(Health *health, CredentialCheck *check)
{
	if (syncmaster_primary_key_is_public(check->reader->ring))
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "credentials", "auth_data",
			"the primary key is the example key of SyncMaster's .env.docker "
			"and config.docker.yml, which is public",
			"Make another one with syncmaster_generate_key(), and put all "
			"credentials under it with syncmaster_rotate_credentials().");
	if (check->unreadable.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_ERROR, "credentials", "auth_data",
			psprintf("the credentials of %s be read with any key: %s",
					 syncmaster_count(check->unreadable.count,
									  "connection cannot",
									  "connections cannot"),
					 syncmaster_list_ids(&check->unreadable)),
			"Add the key that they were written under to the key file, or "
			"enter them anew.");
	if (check->previous > 0)
		report_previous(health, check);
	if (check->missing.count > 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "credentials", "connection",
			psprintf("%s no credentials: %s",
					 syncmaster_count(check->missing.count, "connection has",
									  "connections have"),
					 syncmaster_list_ids(&check->missing)),
			"Runs of their transfers fail. Enter credentials.");
}

/*
 * Return whether the tables can be locked without a wait: the check itself
 * would wait.
 */
static bool
may_look_at_tables(Health *health)
{
	static const char *const tables[] = {"auth_data", "connection"};
	static const char *const no_columns[] = {NULL};

	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		AppTable	  table;
		AppTableState state = syncmaster_open_app_table(
			&table, health->extension.namespace, tables[i], no_columns);

		if (state == APP_TABLE_OPEN)
			syncmaster_close_app_table(&table);
		if (!syncmaster_may_look(health, "credentials", tables[i], state))
			return false;
	}
	return true;
}

void
syncmaster_check_stored_credentials(Health *health)
{
	const char	   *file = GetConfigOption("syncmaster.secret_key_file", false,
										   false);
	MemoryContext	scratch;
	CredentialCheck check = {0};
	ErrorData	   *error;

	if (file == NULL || file[0] == '\0')
	{
		syncmaster_add_finding(&health->findings, SEVERITY_INFO, "credentials",
							   "auth_data",
							   "was not looked at: no key file is set",
							   "Setting syncmaster.secret_key_file names it.");
		return;
	}
	if (!may_verify(health))
	{
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, "credentials", "auth_data",
			"was not looked at: that is for those who may call " VERIFY "()",
			"GRANT EXECUTE ON FUNCTION " VERIFY "() to the role.");
		return;
	}
	if (!may_look_at_tables(health))
		return;

	scratch = AllocSetContextCreate(CurrentMemoryContext,
									"syncmaster credentials",
									ALLOCSET_DEFAULT_SIZES);
	error = try_check(&check, scratch);
	if (error == NULL)
		report_credentials(health, &check);
	else
		syncmaster_add_finding(
			&health->findings, SEVERITY_ERROR, "credentials", "auth_data",
			psprintf("were not looked at: %s", error->message),
			error->hint != NULL ? error->hint
								: "SELECT * FROM " VERIFY "() says more.");
	MemoryContextDelete(scratch);
}
