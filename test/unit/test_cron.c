/*
 * Reads lines "MINUTE SCHEDULE" and says of each when it fires next, not before
 * that minute, and when it fired last, before it; or "refused", "unknown", "never".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/cron.h"

int
main(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		CronSchedule schedule;
		char		*text;
		int64_t		 from = strtoll(line, &text, 10);
		int64_t		 next;
		int64_t		 previous;

		text[strcspn(text, "\n")] = '\0';
		switch (cron_parse(text + 1, &schedule))
		{
			case CRON_REFUSED:
				puts("refused");
				break;
			case CRON_UNKNOWN:
				puts("unknown");
				break;
			case CRON_OK:
				if (cron_next(&schedule, from, &next) &&
					cron_previous(&schedule, from - 1, &previous))
					printf("%" PRId64 " %" PRId64 "\n", next, previous);
				else
					puts("never");
				break;
		}
	}
	return 0;
}
