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

typedef enum GuardSetting
{
	GUARD_LOCKS,	/* waits for locks are bounded */
	GUARD_SESSIONS, /* and no other session or active run */
	GUARD_OFF		/* locks are waited for as the session's own settings say */
} GuardSetting;

typedef enum ProgressSetting
{
	PROGRESS_AUTO, /* lines about what takes long */
	PROGRESS_ON,
	PROGRESS_OFF
} ProgressSetting;

extern int	syncmaster_lock_timeout;   /* milliseconds */
extern int	syncmaster_restoring;	   /* RestoringSetting */
extern int	syncmaster_guard;		   /* GuardSetting */
extern int	syncmaster_progress;	   /* ProgressSetting */
extern int	syncmaster_health_started; /* seconds, like the next ones; */
extern int	syncmaster_health_waiting; /* 0 stands for no limit */
extern int	syncmaster_health_queue_idle;
extern int	syncmaster_health_retention;
extern int	syncmaster_health_keep_last;
extern bool syncmaster_create_indexes_enabled;
extern bool syncmaster_precompute_vectors;
extern bool syncmaster_allow_destroy;
extern bool syncmaster_update_migrates;

#endif /* SYNCMASTER_SETTINGS_H */
