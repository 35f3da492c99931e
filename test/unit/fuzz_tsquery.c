/*-------------------------------------------------------------------------
 *
 * fuzz_tsquery.c
 *	  libFuzzer target for the search query that src/search/tsquery.c makes of
 *	  what a person types, compared with one that is made slowly.
 *
 * The slow one goes as SyncMaster's Python does: it replaces punctuation by
 * blanks, splits at white space, and joins what is left.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz_server.h"

#include "search/tsquery.c"

#define PUNCTUATION "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
#define MARKS "/._-"

static const char *const blanks[] = {"\t",			 "\n",
									 "\v",			 "\f",
									 "\r",			 "\x1c",
									 "\x1d",		 "\x1e",
									 "\x1f",		 " ",
									 "\xc2\x85",	 "\xc2\xa0",
									 "\xe1\x9a\x80", "\xe2\x80\x80",
									 "\xe2\x80\x81", "\xe2\x80\x82",
									 "\xe2\x80\x83", "\xe2\x80\x84",
									 "\xe2\x80\x85", "\xe2\x80\x86",
									 "\xe2\x80\x87", "\xe2\x80\x88",
									 "\xe2\x80\x89", "\xe2\x80\x8a",
									 "\xe2\x80\xa8", "\xe2\x80\xa9",
									 "\xe2\x80\xaf", "\xe2\x81\x9f",
									 "\xe3\x80\x80", NULL};

typedef struct Words
{
	int	  count;
	char *words[1024];
} Words;

static void
split(Words *words, const char *input, int length, const char *dropped,
	  bool drop_marks_only)
{
	char *text = pnstrdup(input, length);
	int	  start = 0;

	words->count = 0;
	memcpy(text, input, length);
	for (int i = 0; i < length; i++)
	{
		if (text[i] != '\0' && strchr(dropped, text[i]) != NULL)
			text[i] = ' ';
	}
	for (int i = 0; i <= length;)
	{
		int blank = i == length ? 1 : 0;

		for (int b = 0; blanks[b] != NULL && blank == 0; b++)
		{
			int n = strlen(blanks[b]);

			if (length - i >= n && memcmp(text + i, blanks[b], n) == 0)
				blank = n;
		}
		if (blank == 0)
		{
			i++;
			continue;
		}
		text[i] = '\0';
		if (i > start &&
			(!drop_marks_only ||
			 strspn(text + start, PUNCTUATION) < (size_t) (i - start)))
			words->words[words->count++] = text + start;
		i += blank;
		start = i;
	}
}

static void
join(StringInfo query, const Words *words, const char *suffix)
{
	if (words->count == 0)
		return;
	appendStringInfoString(query, query->len > 0 ? " | (" : "(");
	for (int i = 0; i < words->count; i++)
	{
		appendStringInfoString(query, psprintf("%s'%s'%s", i > 0 ? " & " : "",
											   words->words[i], suffix));
	}
	appendStringInfoString(query, ")");
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	/* neither a text of the server nor a request has a zero byte */
	if (memchr(input, '\0', size) == NULL)
	{
		char		  *text = palloc(size);
		char		   dropped[] = PUNCTUATION;
		char		  *end = dropped;
		StringInfoData query;
		StringInfoData slow;
		Words		   kept;
		Words		   only;
		bool		   same;

		if (size > 0)
			memcpy(text, input, size);
		initStringInfo(&query);
		build_query(&query, text, size);

		for (const char *c = PUNCTUATION; *c != '\0'; c++)
		{
			if (strchr(MARKS, *c) == NULL)
				*end++ = *c;
		}
		*end = '\0';
		split(&kept, text, size, dropped, true);
		split(&only, text, size, PUNCTUATION, false);
		same = kept.count == only.count;
		for (int i = 0; i < kept.count && same; i++)
			same = strcmp(kept.words[i], only.words[i]) == 0;
		initStringInfo(&slow);
		join(&slow, &kept, "");
		join(&slow, &kept, ":*");
		if (!same)
			join(&slow, &only, ":*");
		fuzz_require(strcmp(query.data, slow.data) == 0,
					 "both queries are the same");
	}
	fuzz_reset();
	return 0;
}
