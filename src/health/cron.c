/*-------------------------------------------------------------------------
 *
 * cron.c
 *	  When a schedule of five fields fires, as APScheduler reads it.
 *
 * SyncMaster's scheduler gives schedules to CronTrigger.from_crontab() of
 * APScheduler 3, which is not the cron of Unix: 0 is Monday, a day has to match
 * both the day of the month and the day of the week, steps must be smaller than
 * the range, and what follows the name of a day or a month is ignored.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>
#include <strings.h>

#include "health/cron.h"

/* Longer schedules with characters outside ASCII are not judged. */
#define MAX_TEXT 1000

#define MINUTES_A_DAY 1440

/* The number of days after which the calendar repeats itself. */
#define CALENDAR_DAYS 146097

/* Larger numbers are outside of every range. */
#define MAX_NUMBER 1000000

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may",
										  "jun", "jul", "aug", "sep", "oct",
										  "nov", "dec", NULL};
static const char *const weekday_names[] = {"mon", "tue", "wed", "thu",
											"fri", "sat", "sun", NULL};

/* The fields, in their order. */
typedef struct CronField
{
	int				   min;
	int				   max;
	const char *const *names; /* names of the values from "min" on; or NULL */
	bool			   has_last;
} CronField;

#define NFIELDS 5

static const CronField fields[NFIELDS] = {
	{0, 59, NULL, false},		  {0, 23, NULL, false},
	{1, 31, NULL, true},		  {1, 12, month_names, false},
	{0, 6, weekday_names, false},
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * Return whether Python's str.split() splits at the character.
 */
static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

/*
 * The zeros of Unicode's decimal digits outside ASCII: Python's \d takes them
 * all, and int() reads them.  Each is followed by the other nine.
 */
static const uint32_t zeros[] = {
	0x660,	 0x6f0,	  0x7c0,   0x966,	0x9e6,	 0xa66,	  0xae6,   0xb66,
	0xbe6,	 0xc66,	  0xce6,   0xd66,	0xde6,	 0xe50,	  0xed0,   0xf20,
	0x1040,	 0x1090,  0x17e0,  0x1810,	0x1946,	 0x19d0,  0x1a80,  0x1a90,
	0x1b50,	 0x1bb0,  0x1c40,  0x1c50,	0xa620,	 0xa8d0,  0xa900,  0xa9d0,
	0xa9f0,	 0xaa50,  0xabf0,  0xff10,	0x104a0, 0x10d30, 0x11066, 0x110f0,
	0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730,
	0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
	0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950,
	0x1fbf0};

/*
 * Read a character of UTF-8, and move *text behind it; false if it is none.
 */
static bool
take_character(const char **text, uint32_t *character)
{
	const unsigned char *byte = (const unsigned char *) *text;
	int					 more = byte[0] < 0x80	 ? 0
								: byte[0] < 0xc2 ? -1
								: byte[0] < 0xe0 ? 1
								: byte[0] < 0xf0 ? 2
								: byte[0] < 0xf5 ? 3
												 : -1;

	if (more < 0)
		return false;
	*character = more == 0 ? byte[0] : byte[0] & (0x3f >> more);
	for (int i = 1; i <= more; i++)
	{
		if ((byte[i] & 0xc0) != 0x80)
			return false;
		*character = *character << 6 | (byte[i] & 0x3f);
	}
	*text += more + 1;
	return true;
}

/*
 * The character in ASCII that APScheduler treats like this one: a digit, a blank,
 * or one that is nowhere allowed.  0 if there is none: Python takes these letters
 * for small i, s or k if it does not look at case.
 */
static char
ascii_for(uint32_t character)
{
	if (character < 0x80)
		return (char) character;
	if (character == 0x130 || character == 0x131 || character == 0x17f ||
		character == 0x212a)
		return '\0';
	if (character == 0x85 || character == 0xa0 || character == 0x1680 ||
		(character >= 0x2000 && character <= 0x200a) || character == 0x2028 ||
		character == 0x2029 || character == 0x202f || character == 0x205f ||
		character == 0x3000)
		return ' ';
	for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++)
	{
		if (character >= zeros[i] && character < zeros[i] + 10)
			return (char) ('0' + (character - zeros[i]));
	}
	return '?';
}

/*
 * Write a text in UTF-8 as one in ASCII that APScheduler reads in the same way;
 * false if there is none.
 */
static bool
to_ascii(const char *text, char *ascii, size_t size)
{
	size_t length = 0;

	while (*text != '\0')
	{
		uint32_t character;

		if (length + 1 >= size || !take_character(&text, &character) ||
			(ascii[length++] = ascii_for(character)) == '\0')
			return false;
	}
	ascii[length] = '\0';
	return true;
}

static bool
is_ascii(const char *text)
{
	while (*text != '\0')
	{
		if ((unsigned char) *text++ >= 0x80)
			return false;
	}
	return true;
}

/*
 * Read a number and move *text behind it; false if there is none.
 */
static bool
take_number(const char **text, const char *end, int *number)
{
	if (*text == end || !is_digit(**text))
		return false;
	for (*number = 0; *text < end && is_digit(**text); (*text)++)
	{
		if (*number < MAX_NUMBER)
			*number = *number * 10 + (**text - '0');
	}
	return true;
}

/*
 * Read a name and move *text behind it; returns false if it is not a name of
 * the field, else its value in *value.
 */
static bool
take_name(const CronField *field, const char **text, const char *end,
		  int *number)
{
	const char *start = *text;

	while (*text < end && is_letter(**text))
		(*text)++;
	for (int i = 0; field->names[i] != NULL; i++)
	{
		if (strlen(field->names[i]) == (size_t) (*text - start) &&
			strncasecmp(field->names[i], start, *text - start) == 0)
		{
			*number = field->min + i;
			return true;
		}
	}
	return false;
}

static void
add_values(uint64_t *values, int first, int last, int step)
{
	for (int i = first; i <= last; i += step)
		*values |= UINT64_C(1) << i;
}

/*
 * Read "jan" or "mon-fri"; the rest of the text is ignored.
 */
static bool
parse_names(const CronField *field, const char *text, const char *end,
			uint64_t *values)
{
	int first;
	int last;

	if (!take_name(field, &text, end, &first))
		return false;
	last = first;
	if (end - text > 1 && text[0] == '-' && is_letter(text[1]))
	{
		text++;
		if (!take_name(field, &text, end, &last))
			return false;
	}
	if (first > last)
		return false;
	add_values(values, first, last, 1);
	return true;
}

/*
 * Read one part of a field, between commas.
 */
static bool
parse_part(const CronField *field, const char *text, const char *end,
		   uint64_t *values, bool *last_day)
{
	int first = field->min;
	int last = -1; /* not named */
	int step = 0;
	int range;

	if (text == end)
		return false;
	if (is_letter(*text))
	{
		if (field->names != NULL)
			return parse_names(field, text, end, values);
		if (!field->has_last || end - text < 4 ||
			strncasecmp(text, "last", 4) != 0)
			return false;
		*last_day = true;
		return true;
	}

	if (*text == '*')
		text++;
	else
	{
		if (!take_number(&text, end, &first))
			return false;
		if (text < end && *text == '-')
		{
			text++;
			if (!take_number(&text, end, &last))
				return false;
		}
		else if (text == end)
			last = first;
	}
	if (text < end && *text == '/')
	{
		text++;
		if (!take_number(&text, end, &step) || step == 0)
			return false;
	}
	if (text != end || first < field->min || last > field->max ||
		(last != -1 && first > last))
		return false;

	/* APScheduler takes a range that ends with 0 for one without an end */
	range = (last > 0 ? last : field->max) - first;
	if (step > range && step > 0)
		return false;
	add_values(values, first, last == -1 ? field->max : last,
			   step == 0 ? 1 : step);
	return true;
}

static bool
parse_field(const CronField *field, const char *text, const char *end,
			uint64_t *values, bool *last_day)
{
	for (;;)
	{
		const char *comma = memchr(text, ',', end - text);

		if (!parse_part(field, text, comma == NULL ? end : comma, values,
						last_day))
			return false;
		if (comma == NULL)
			return true;
		text = comma + 1;
	}
}

CronStatus
cron_parse(const char *text, CronSchedule *schedule)
{
	char	 ascii[MAX_TEXT];
	uint64_t values[NFIELDS] = {0};
	bool	 last_day = false;
	bool	 good = true;
	int		 count = 0;

	if (!is_ascii(text))
	{
		if (!to_ascii(text, ascii, sizeof(ascii)))
			return CRON_UNKNOWN;
		text = ascii;
	}
	for (;;)
	{
		const char *start;

		while (*text != '\0' && is_blank(*text))
			text++;
		if (*text == '\0')
			break;
		start = text;
		while (*text != '\0' && !is_blank(*text))
			text++;
		if (count < NFIELDS)
			good = parse_field(&fields[count], start, text, &values[count],
							   &last_day) &&
				   good;
		count++;
	}
	if (!good || count != NFIELDS)
		return CRON_REFUSED;

	schedule->minutes = values[0];
	schedule->hours = values[1];
	schedule->days = values[2];
	schedule->months = values[3];
	schedule->weekdays = values[4];
	schedule->last_day = last_day;
	return CRON_OK;
}

static bool
has(uint64_t values, int value)
{
	return (values >> value & 1) != 0;
}

/*
 * Return whether the schedule fires on a day, counted since 1970.  Howard
 * Hinnant's civil_from_days() computes the date, with years that begin in
 * March.
 */
static bool
fires_on(const CronSchedule *schedule, int64_t day)
{
	int64_t shifted = day + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - (CALENDAR_DAYS - 1)) /
				  CALENDAR_DAYS;
	int day_of_era = (int) (shifted - era * CALENDAR_DAYS);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
					   day_of_era / 146096) /
					  365;
	int day_of_year = day_of_era -
					  (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int		from_march = (5 * day_of_year + 2) / 153;
	int		month = from_march < 10 ? from_march + 3 : from_march - 9;
	int		day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
	int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
	bool	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	int		length = month == 2 ? 28 + (leap ? 1 : 0)
					 : month == 4 || month == 6 || month == 9 || month == 11 ? 30
																			 : 31;
	int		weekday = (int) (((day + 3) % 7 + 7) % 7);

	return has(schedule->months, month) && has(schedule->weekdays, weekday) &&
		   (has(schedule->days, day_of_month) ||
			(schedule->last_day && day_of_month == length));
}

static int64_t
day_of(int64_t minute)
{
	return minute >= 0 ? minute / MINUTES_A_DAY
					   : -((-minute + MINUTES_A_DAY - 1) / MINUTES_A_DAY);
}

static bool
fires_at_time(const CronSchedule *schedule, int time)
{
	return has(schedule->hours, time / 60) && has(schedule->minutes, time % 60);
}

bool
cron_fires_at(const CronSchedule *schedule, int64_t minute)
{
	int64_t day = day_of(minute);

	return fires_at_time(schedule, (int) (minute - day * MINUTES_A_DAY)) &&
		   fires_on(schedule, day);
}

/*
 * The nearest time at which a schedule fires, not before "from", or not after
 * it.  False if it never fires.
 */
static bool
find(const CronSchedule *schedule, int64_t from, int direction, int64_t *minute)
{
	int64_t day = day_of(from);
	int		time = (int) (from - day * MINUTES_A_DAY);

	for (int i = 0; i <= CALENDAR_DAYS; i++)
	{
		if (fires_on(schedule, day))
		{
			for (; time >= 0 && time < MINUTES_A_DAY; time += direction)
			{
				if (fires_at_time(schedule, time))
				{
					*minute = day * MINUTES_A_DAY + time;
					return true;
				}
			}
		}
		day += direction;
		time = direction > 0 ? 0 : MINUTES_A_DAY - 1;
	}
	return false;
}

bool
cron_next(const CronSchedule *schedule, int64_t from, int64_t *minute)
{
	return find(schedule, from, 1, minute);
}

bool
cron_previous(const CronSchedule *schedule, int64_t from, int64_t *minute)
{
	return find(schedule, from, -1, minute);
}
