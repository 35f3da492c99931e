/*-------------------------------------------------------------------------
 *
 * act_as.c
 *	  Acting as another role, out of reach of what that role planted.
 *
 * A command is usually given by a superuser and works on tables of an
 * application role, whose triggers, rules, domains and expressions may run
 * meanwhile.  What runs between syncmaster_begin_acting() and
 * syncmaster_end_acting() runs as that role, in a security-restricted
 * operation: SET ROLE alone would be no boundary, because a trigger can reset
 * it.  No other file changes the current user or a setting.
 *
 * Callers need no PG_TRY: after an error, the abort of the transaction or the
 * subtransaction restores user and settings, and syncmaster_try() what has to
 * do with the extension whose script is running.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/base.h"
#include "base/compat.h"
#include "settings.h"

/*
 * In kB.  With the server's default of 64 MB, a GIN index of a few hundred
 * thousand rows is made in several passes, while the table is locked.
 */
#define LARGER_MAINTENANCE_WORK_MEM (256 * 1024)

/*
 * Begin settings that hold until syncmaster_leave_settings() or the end of
 * the (sub)transaction.
 */
int
syncmaster_enter_settings(void)
{
	return NewGUCNestLevel();
}

void
syncmaster_set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
syncmaster_set_locally_int(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	syncmaster_set_locally(name, text);
}

/*
 * Switch a setting off for the rest of the session, if this transaction is
 * committed.
 */
void
syncmaster_switch_off(const char *name)
{
	(void) set_config_option(name, "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
}

/*
 * When this session looks for a deadlock.  It is a superuser's setting
 * because of what a look costs, not because of what it shows.
 */
void
syncmaster_set_deadlock_timeout(int milliseconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", milliseconds);
	(void) set_config_option("deadlock_timeout", text, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Return whether the server would accept this value for a setting it knows.
 */
bool
syncmaster_is_setting_value(const char *name, const char *value)
{
	return set_config_option(name, value, PGC_SUSET, PGC_S_DATABASE,
							 GUC_ACTION_SET, false, DEBUG5, false) != 0;
}

/*
 * Undo the settings, and all that the statements in between have set: a
 * function that a table's owner planted may have changed settings of the
 * session.
 */
void
syncmaster_leave_settings(int level)
{
	AtEOXact_GUC(false, level);
}

/*
 * Names resolve in pg_catalog alone, whatever schema the application uses: an
 * operator or a cast that somebody made there would otherwise be found.
 * pg_temp is named so that it comes last.  Definitions are printed in one
 * way, so that they can be compared.
 */
int
syncmaster_enter_safe_settings(void)
{
	int level = syncmaster_enter_settings();

	syncmaster_set_locally("search_path", "pg_catalog, pg_temp");
	syncmaster_set_locally("standard_conforming_strings", "on");
	syncmaster_set_locally("quote_all_identifiers", "off");

	return level;
}

/*
 * Memory that a migration may use for one thing, in kB: more than the server's
 * default, but what somebody has set for the server, a database, a role or the
 * session, even if it is the same value.
 */
int
syncmaster_maintenance_memory(void)
{
	return setting_source("maintenance_work_mem") == PGC_S_DEFAULT
			   ? Max(LARGER_MAINTENANCE_WORK_MEM, maintenance_work_mem)
			   : maintenance_work_mem;
}

/*
 * How many processes may help with building an index or computing vectors.
 * More processes than processors would only make each one slower.
 */
static int
helping_processes(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors < 1
			   ? max_parallel_maintenance_workers
			   : (int) Min(max_parallel_maintenance_workers, processors - 1);
}

/*
 * Become a role.  Nothing that is created becomes a member of the extension
 * whose script may be running: members are dropped with the extension, and
 * the application's tables must not be.
 */
void
syncmaster_begin_acting(ActingScope *scope, Oid role)
{
	GetUserIdAndSecContext(&scope->user, &scope->security);
	scope->creating_extension = creating_extension;
	scope->extension = CurrentExtensionObject;
	scope->settings = syncmaster_enter_safe_settings();

	/*
	 * Reading rows that a policy would hide is to fail, not to return fewer
	 * rows.
	 */
	syncmaster_set_locally("row_security", "off");

	/* Code of the owner must not wait for a lock forever. */
	if (syncmaster_guard != GUARD_OFF)
		syncmaster_set_locally_int("lock_timeout", syncmaster_lock_timeout);
	syncmaster_set_locally_int("max_parallel_maintenance_workers",
							   helping_processes());
	syncmaster_set_locally_int("maintenance_work_mem",
							   syncmaster_maintenance_memory());

	creating_extension = false;
	CurrentExtensionObject = InvalidOid;
	SetUserIdAndSecContext(role,
						   scope->security | SECURITY_RESTRICTED_OPERATION);
}

/*
 * Be the caller again.
 */
void
syncmaster_end_acting(const ActingScope *scope)
{
	SetUserIdAndSecContext(scope->user, scope->security);
	syncmaster_leave_settings(scope->settings);
	creating_extension = scope->creating_extension;
	CurrentExtensionObject = scope->extension;
}
