/*-------------------------------------------------------------------------
 *
 * fuzz_cron.c
 *	  libFuzzer target for the schedules that src/health/cron.c reads.
 *
 * The first four bytes are the time that is asked about, in minutes.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/cron.h"

#define DAY 1440

extern int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void
require(bool condition, const char *what)
{
	if (!condition)
	{
		fprintf(stderr, "property does not hold: %s\n", what);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	CronSchedule schedule;
	int32_t		 from;
	int64_t		 next;
	int64_t		 previous;
	char		*text;

	if (size < sizeof(from))
		return 0;
	memcpy(&from, input, sizeof(from));
	text = strndup((const char *) input + sizeof(from), size - sizeof(from));
	if (text != NULL && cron_parse(text, &schedule) == CRON_OK)
	{
		require((schedule.minutes >> 60) == 0 && (schedule.hours >> 24) == 0 &&
					((schedule.days | 1) >> 32) == 0 &&
					(schedule.days & 1) == 0 && (schedule.months >> 13) == 0 &&
					(schedule.months & 1) == 0 && (schedule.weekdays >> 7) == 0,
				"values are in the range of their field");
		require(schedule.minutes != 0 && schedule.hours != 0 &&
					schedule.months != 0 && schedule.weekdays != 0 &&
					(schedule.days != 0 || schedule.last_day),
				"each field allows a value");
		if (cron_next(&schedule, from, &next))
		{
			require(next >= from && cron_fires_at(&schedule, next),
					"it fires next");
			for (int64_t at = from; at < next && at < (int64_t) from + 2 * DAY;
				 at++)
				require(!cron_fires_at(&schedule, at),
						"it does not fire before");
			require(cron_previous(&schedule, next, &previous) &&
						previous == next,
					"it fires when it fires");
			require(!cron_previous(&schedule, next - 1, &previous) ||
						(previous < from && cron_fires_at(&schedule, previous)),
					"the time before is before");
		}
		else
			require(!cron_previous(&schedule, from, &previous),
					"never is never");
	}
	free(text);
	return 0;
}
