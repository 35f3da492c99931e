/*-------------------------------------------------------------------------
 *
 * syncmaster.c
 *	  Module magic, settings, and the version of the library.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "credential/credential.h"
#include "schema/schema.h"
#include "settings.h"

PG_MODULE_MAGIC;

int	 syncmaster_lock_timeout;
int	 syncmaster_restoring;
int	 syncmaster_guard;
int	 syncmaster_progress;
int	 syncmaster_health_started;
int	 syncmaster_health_waiting;
int	 syncmaster_health_queue_idle;
int	 syncmaster_health_retention;
int	 syncmaster_health_keep_last;
bool syncmaster_create_indexes_enabled;
bool syncmaster_precompute_vectors;
bool syncmaster_allow_destroy;
bool syncmaster_update_migrates;

static const struct config_enum_entry restoring_options[] = {
	{"auto", RESTORING_AUTO, false}, {"on", RESTORING_ON, false},
	{"off", RESTORING_OFF, false},	 {"true", RESTORING_ON, true},
	{"false", RESTORING_OFF, true},	 {"yes", RESTORING_ON, true},
	{"no", RESTORING_OFF, true},	 {"1", RESTORING_ON, true},
	{"0", RESTORING_OFF, true},		 {NULL, 0, false}};

static const struct config_enum_entry guard_options[] = {
	{"locks", GUARD_LOCKS, false},
	{"sessions", GUARD_SESSIONS, false},
	{"off", GUARD_OFF, false},
	{NULL, 0, false}};

static const struct config_enum_entry progress_options[] = {
	{"auto", PROGRESS_AUTO, false}, {"on", PROGRESS_ON, false},
	{"off", PROGRESS_OFF, false},	{"true", PROGRESS_ON, true},
	{"false", PROGRESS_OFF, true},	{"yes", PROGRESS_ON, true},
	{"no", PROGRESS_OFF, true},		{"1", PROGRESS_ON, true},
	{"0", PROGRESS_OFF, true},		{NULL, 0, false}};

/*
 * Settings of syncmaster_health(): the times from which on it reports
 * something.
 */
static void
define_health_settings(void)
{
	DefineCustomIntVariable(
		"syncmaster.health_started",
		"Time after which a run that is still STARTED is reported.",
		"0 reports none.", &syncmaster_health_started, SECS_PER_DAY, 0, INT_MAX,
		PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"syncmaster.health_waiting",
		"Time after which what waits for a worker or the scheduler is "
		"reported.",
		"0 reports none.", &syncmaster_health_waiting, SECS_PER_HOUR, 0,
		INT_MAX, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"syncmaster.health_queue_idle",
		"Time after which queues with transfers and without a run are "
		"reported.",
		"0 reports none.", &syncmaster_health_queue_idle, 35 * SECS_PER_DAY, 0,
		INT_MAX, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"syncmaster.health_retention",
		"Age after which runs and task results should have been deleted.",
		"0 reports none.", &syncmaster_health_retention, 0, 0, INT_MAX,
		PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"syncmaster.health_keep_last",
		"Number of runs of each transfer that purges keep whatever their age.",
		NULL, &syncmaster_health_keep_last, 0, 0, INT_MAX, PGC_USERSET, 0, NULL,
		NULL, NULL);
}

void _PG_init(void);

void
_PG_init(void)
{
	syncmaster_load_revisions();

	DefineCustomIntVariable(
		"syncmaster.lock_timeout",
		"Longest wait for each lock that a migration takes.",
		"0 waits without a limit.", &syncmaster_lock_timeout, 10000, 0, INT_MAX,
		PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomEnumVariable(
		"syncmaster.restoring",
		"Whether the extension's scripts run as part of a restore, which "
		"brings the tables itself.",
		"auto recognizes pg_restore and scripts of pg_dump.",
		&syncmaster_restoring, RESTORING_AUTO, restoring_options, PGC_USERSET,
		0, NULL, NULL, NULL);

	DefineCustomEnumVariable(
		"syncmaster.guard",
		"What a migration insists on before it changes anything.",
		"locks: to get each lock within syncmaster.lock_timeout. sessions: "
		"also that no other client is connected and no run is active. off: "
		"nothing.",
		&syncmaster_guard, GUARD_LOCKS, guard_options, PGC_USERSET, 0, NULL,
		NULL, NULL);

	DefineCustomEnumVariable(
		"syncmaster.progress",
		"Whether a migration says what it has done and how long it took.",
		"auto says so of what took a second or longer.", &syncmaster_progress,
		PROGRESS_AUTO, progress_options, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"syncmaster.create_indexes",
		"Whether install and update build the extra indexes.", NULL,
		&syncmaster_create_indexes_enabled, true, PGC_USERSET, 0, NULL, NULL,
		NULL);

	DefineCustomBoolVariable(
		"syncmaster.precompute_vectors",
		"Whether a migration computes search vectors before it locks their "
		"tables.",
		"off leaves them to ALTER TABLE.", &syncmaster_precompute_vectors, true,
		PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"syncmaster.allow_destroy",
		"Whether syncmaster_downgrade() may drop tables with their rows.", NULL,
		&syncmaster_allow_destroy, false, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"syncmaster.update_migrates",
		"Whether ALTER EXTENSION UPDATE migrates the tables.",
		"off leaves them to syncmaster_upgrade().", &syncmaster_update_migrates,
		true, PGC_USERSET, 0, NULL, NULL, NULL);

	define_health_settings();
	syncmaster_define_key_settings();

	MarkGUCPrefixReserved("syncmaster");
}

PG_FUNCTION_INFO_V1(syncmaster_library_version);

/*
 * Version of the loaded library, which is default_version of the control file
 * it was built with.
 */
Datum
syncmaster_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(SYNCMASTER_VERSION));
}
