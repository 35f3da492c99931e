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

#include "compat.h"
#include "settings.h"

PG_MODULE_MAGIC;

int syncmaster_lock_timeout;
int syncmaster_restoring;
bool syncmaster_create_indexes_enabled;
bool syncmaster_allow_destroy;

static const struct config_enum_entry restoring_options[] = {
	{"auto", RESTORING_AUTO, false}, {"on", RESTORING_ON, false},
	{"off", RESTORING_OFF, false},	 {"true", RESTORING_ON, true},
	{"false", RESTORING_OFF, true},	 {"yes", RESTORING_ON, true},
	{"no", RESTORING_OFF, true},	 {"1", RESTORING_ON, true},
	{"0", RESTORING_OFF, true},		 {NULL, 0, false}};

void _PG_init(void);

void
_PG_init(void)
{
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

	DefineCustomBoolVariable(
		"syncmaster.create_indexes",
		"Whether install and update build the extra indexes.", NULL,
		&syncmaster_create_indexes_enabled, true, PGC_USERSET, 0, NULL, NULL,
		NULL);

	DefineCustomBoolVariable(
		"syncmaster.allow_destroy",
		"Whether syncmaster_downgrade() may drop tables with their rows.", NULL,
		&syncmaster_allow_destroy, false, PGC_USERSET, 0, NULL, NULL, NULL);

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
