/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The settings syncmaster.*
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SETTINGS_H
#define SYNCMASTER_SETTINGS_H

#include "postgres.h"

typedef enum RestoringSetting
{
	RESTORING_AUTO,
	RESTORING_ON,
	RESTORING_OFF
} RestoringSetting;

extern int syncmaster_lock_timeout; /* milliseconds */
extern int syncmaster_restoring;	/* RestoringSetting */
extern bool syncmaster_create_indexes_enabled;
extern bool syncmaster_allow_destroy;

#endif /* SYNCMASTER_SETTINGS_H */
