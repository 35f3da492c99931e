/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  When a schedule of five fields fires, as APScheduler reads it.
 *
 * This file knows nothing of PostgreSQL, so that it can be compared alone with
 * APScheduler.  Times are minutes since 1970 on the scheduler's wall clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CRON_H
#define SYNCMASTER_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct CronSchedule
{
	uint64_t minutes; /* a bit for each value that a field allows */
	uint64_t hours;
	uint64_t days;
	uint64_t months;
	uint64_t weekdays; /* 0 is Monday */
	bool	 last_day; /* is the last day of the month allowed as well? */
} CronSchedule;

typedef enum CronStatus
{
	CRON_OK,
	CRON_REFUSED, /* the scheduler raises an error on it */
	CRON_UNKNOWN  /* it has characters that are not judged */
} CronStatus;

/* The text is in UTF-8. */
extern CronStatus cron_parse(const char *text, CronSchedule *schedule);
extern bool		  cron_fires_at(const CronSchedule *schedule, int64_t minute);
extern bool		  cron_next(const CronSchedule *schedule, int64_t from,
							int64_t *minute);
extern bool		  cron_previous(const CronSchedule *schedule, int64_t from,
								int64_t *minute);

#endif /* SYNCMASTER_CRON_H */
