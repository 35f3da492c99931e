/*-------------------------------------------------------------------------
 *
 * syncmaster.c
 *	  Module magic, settings, and the version of the library.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"

PG_MODULE_MAGIC;

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
