/*-------------------------------------------------------------------------
 *
 * tsquery.c
 *	  The text search query that SyncMaster's server builds from what a
 *	  person types into the search field.
 *
 * The server makes a string out of the input and leaves the rest to
 *
 *		to_tsquery('simple', string) || plainto_tsquery('russian', input)
 *
 * so only the string is made here, and PostgreSQL's own functions do the rest,
 * with the same notices and errors as the server meets.  SyncMaster does so
 * since 0.2.5; earlier releases just call plainto_tsquery('english', input).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/compat.h"

/*
 * A walk over the words of an input.  Words are separated by white space and
 * by punctuation; the marks of paths, addresses and host names separate words
 * only if split_marks is set.
 */
typedef struct WordScan
{
	const char *pos; /* where the next word may begin */
	const char *end; /* end of the input */
	bool		split_marks;
	const char *word; /* the last word that was found, not terminated */
	int			len;
} WordScan;

PG_FUNCTION_INFO_V1(syncmaster_tsquery);

/*
 * Python's string.punctuation, which is ASCII only and takes no locale into
 * account.
 */
static bool
is_punctuation(unsigned char c)
{
	return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') ||
		   (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/*
 * The punctuation that the exact words of a query keep.
 */
static bool
is_mark(unsigned char c)
{
	return c == '/' || c == '.' || c == '_' || c == '-';
}

/*
 * Length in bytes of the white space character at p, or 0 if there is none.
 *
 * White space is what Python's str.split() splits at: the characters of
 * Unicode's category Zs or of the bidirectional classes WS, B and S.  They
 * are the same 29 since Unicode 6.3; t/720_tsquery.pl compares every code
 * point with Python.
 *
 * None of these sequences can begin in the middle of a character, so it does
 * not take well-formed UTF-8 to find them: what is malformed belongs to a
 * word.
 */
static int
space_length(const char *p, const char *end)
{
	const unsigned char *s = (const unsigned char *) p;

	if (s[0] < 0x80)
		return ((s[0] >= 0x09 && s[0] <= 0x0D) ||
				(s[0] >= 0x1C && s[0] <= 0x20));
	if (end - p >= 2 && s[0] == 0xC2)
		return (s[1] == 0x85 || s[1] == 0xA0) ? 2 : 0;
	if (end - p >= 3)
	{
		uint32 bytes = (s[0] << 16) | (s[1] << 8) | s[2];

		if (bytes == 0xE19A80 ||						/* U+1680 */
			(bytes >= 0xE28080 && bytes <= 0xE2808A) || /* U+2000-200A */
			bytes == 0xE280A8 || bytes == 0xE280A9 ||	/* U+2028-2029 */
			bytes == 0xE280AF ||						/* U+202F */
			bytes == 0xE2819F ||						/* U+205F */
			bytes == 0xE38080)							/* U+3000 */
			return 3;
	}
	return 0;
}

/*
 * Length in bytes of the separator at p, or 0 if a word goes on there.
 */
static int
separator_length(const WordScan *scan, const char *p)
{
	unsigned char c = *p;

	if (is_punctuation(c))
		return (scan->split_marks || !is_mark(c)) ? 1 : 0;
	return space_length(p, scan->end);
}

static void
start_words(WordScan *scan, const char *input, int len, bool split_marks)
{
	scan->pos = input;
	scan->end = input + len;
	scan->split_marks = split_marks;
	scan->word = NULL;
	scan->len = 0;
}

/*
 * Find the next word; false at the end of the input.  Words that are nothing
 * but marks, such as "./", do not count.
 */
static bool
next_word(WordScan *scan)
{
	CHECK_FOR_INTERRUPTS();

	while (scan->pos < scan->end)
	{
		const char *p = scan->pos;
		bool		only_marks = true;
		int			separator = 0;

		while (p < scan->end && (separator = separator_length(scan, p)) == 0)
		{
			if (!is_mark(*p))
				only_marks = false;
			p++;
		}
		scan->word = scan->pos;
		scan->len = p - scan->pos;
		scan->pos = p + separator;
		if (!only_marks)
			return true;
	}
	return false;
}

/*
 * Return whether splitting the words at punctuation gives the same words.
 */
static bool
marks_split_nothing(const char *input, int len)
{
	WordScan kept;
	WordScan split;

	start_words(&kept, input, len, false);
	start_words(&split, input, len, true);
	for (;;)
	{
		bool more = next_word(&kept);

		if (next_word(&split) != more)
			return false;
		if (!more)
			return true;
		if (kept.len != split.len ||
			memcmp(kept.word, split.word, kept.len) != 0)
			return false;
	}
}

/*
 * Append ('word'suffix & 'word'suffix ...) for all words, after a | if it is
 * not the first such group; nothing if there are no words.
 *
 * Quotes and backslashes never are part of a word, so nothing needs escaping.
 */
static void
append_group(StringInfo query, const char *input, int len, bool split_marks,
			 const char *suffix)
{
	WordScan	scan;
	const char *before = query->len == 0 ? "(" : " | (";

	start_words(&scan, input, len, split_marks);
	if (!next_word(&scan))
		return;
	do
	{
		appendStringInfoString(query, before);
		appendStringInfoChar(query, '\'');
		appendBinaryStringInfo(query, scan.word, scan.len);
		appendStringInfoChar(query, '\'');
		appendStringInfoString(query, suffix);
		before = " & ";
	} while (next_word(&scan));
	appendStringInfoChar(query, ')');
}

/*
 * Build the string for to_tsquery from an input in UTF-8.
 */
static void
build_query(StringInfo query, const char *input, int len)
{
	append_group(query, input, len, false, "");
	append_group(query, input, len, false, ":*");
	if (!marks_split_nothing(input, len))
		append_group(query, input, len, true, ":*");
}

/*
 * A configuration of PostgreSQL's own, as the generated columns use it: one
 * of the same name elsewhere on the search_path must not matter.
 */
static Datum
system_config(char *name)
{
	List *names = list_make2(makeString("pg_catalog"), makeString(name));

	return ObjectIdGetDatum(get_ts_config_oid(names, false));
}

/*
 * The query for an input.
 *
 * The server is a Python program and sees the characters of Unicode.  In a
 * database of another encoding they are converted back and forth; one that
 * has no equivalent in Unicode is refused, as no server can have sent it.
 * SQL_ASCII stands for no encoding: what the server stores there is UTF-8,
 * and bytes that are not belong to a word.
 */
Datum
syncmaster_tsquery(PG_FUNCTION_ARGS)
{
	text *input = PG_GETARG_TEXT_PP(0);
	char *data = VARDATA_ANY(input);
	int	  len = VARSIZE_ANY_EXHDR(input);
	int	  encoding = GetDatabaseEncoding();
	bool  convert = encoding != PG_UTF8 && encoding != PG_SQL_ASCII && len > 0;
	StringInfoData query;
	Datum		   simple;
	Datum		   russian;

	/*
	 * What a client sends is checked on arrival, what a damaged table returns
	 * is not, and the text search parser relies on it.
	 */
	(void) pg_verify_mbstr(encoding, data, len, false);

	if (convert)
	{
		data = pg_server_to_any(data, len, PG_UTF8);
		len = strlen(data);
	}
	initStringInfo(&query);
	build_query(&query, data, len);
	if (convert)
		query.data = pg_any_to_server(query.data, query.len, PG_UTF8);

	simple = DirectFunctionCall2(to_tsquery_byid, system_config("simple"),
								 CStringGetTextDatum(query.data));
	russian = DirectFunctionCall2(plainto_tsquery_byid,
								  system_config("russian"),
								  PointerGetDatum(input));

	PG_RETURN_DATUM(DirectFunctionCall2(tsquery_or, simple, russian));
}
