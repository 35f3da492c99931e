/*-------------------------------------------------------------------------
 *
 * fuzz_server.c
 *	  What the fuzzed files need of a PostgreSQL server: memory that is freed
 *	  after each input, strings, and errors that end the work on an input.
 *
 * Each block of memory is one of malloc(), so that the sanitizer sees each
 * byte beyond.  Messages are formatted, so that it sees what they read.
 *
 *-------------------------------------------------------------------------
 */
/* vasprintf() */
#define _GNU_SOURCE
#include "fuzz_server.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#undef fprintf
#undef snprintf
#undef vsnprintf
#include <stdio.h>

#define MAX_BLOCKS 4096

static void					 *blocks[MAX_BLOCKS];
static int					  nblocks = 0;
static MemoryContextCallback *callbacks = NULL;

sigjmp_buf			  fuzz_error;
volatile sig_atomic_t InterruptPending = false;
MemoryContext		  CurrentMemoryContext = NULL;
#if PG_VERSION_NUM >= 190000
const
#endif
	bool assert_enabled = true;

void
fuzz_require(bool condition, const char *what)
{
	if (!condition)
	{
		fprintf(stderr, "property does not hold: %s\n", what);
		abort();
	}
}

/* Free what the input took, after what asked to be called then. */
void
fuzz_reset(void)
{
	for (; callbacks != NULL; callbacks = callbacks->next)
		callbacks->func(callbacks->arg);
	while (nblocks > 0)
		free(blocks[--nblocks]);
}

static void *
keep(void *block)
{
	fuzz_require(block != NULL && nblocks < MAX_BLOCKS, "memory");
	blocks[nblocks++] = block;
	return block;
}

void *
palloc(Size size)
{
	return keep(malloc(size));
}

void *
palloc0(Size size)
{
	return keep(calloc(1, size));
}

void
MemoryContextRegisterResetCallback(MemoryContext		  context,
								   MemoryContextCallback *callback)
{
	(void) context;
	callback->next = callbacks;
	callbacks = callback;
}

static int
place_of(const void *pointer)
{
	int i = nblocks - 1;

	while (i >= 0 && blocks[i] != pointer)
		i--;
	fuzz_require(i >= 0, "what is given back was taken");
	return i;
}

void
pfree(void *pointer)
{
	int i = place_of(pointer);

	free(pointer);
	blocks[i] = blocks[--nblocks];
}

void *
repalloc(void *pointer, Size size)
{
	int i = place_of(pointer);

	blocks[i] = realloc(pointer, size);
	fuzz_require(blocks[i] != NULL, "memory");
	return blocks[i];
}

char *
pnstrdup(const char *text, Size length)
{
	return keep(strndup(text, length));
}

char *
pstrdup(const char *text)
{
	return keep(strdup(text));
}

char *
psprintf(const char *format, ...)
{
	va_list arguments;
	char   *text;

	va_start(arguments, format);
	fuzz_require(vasprintf(&text, format, arguments) >= 0, "memory");
	va_end(arguments);
	return keep(text);
}

void
initStringInfo(StringInfo string)
{
	string->maxlen = 1024;
	string->data = palloc(string->maxlen);
	resetStringInfo(string);
}

void
resetStringInfo(StringInfo string)
{
	string->data[0] = '\0';
	string->len = 0;
	string->cursor = 0;
}

void
appendBinaryStringInfo(StringInfo string,
#if PG_VERSION_NUM >= 160000
					   const void *data,
#else
					   const char *data,
#endif
					   int length)
{
	while (string->len + length >= string->maxlen)
	{
		string->maxlen *= 2;
		string->data = repalloc(string->data, string->maxlen);
	}
	memcpy(string->data + string->len, data, length);
	string->len += length;
	string->data[string->len] = '\0';
}

#undef appendStringInfoString
void
appendStringInfoString(StringInfo string, const char *text)
{
	appendBinaryStringInfo(string, text, strlen(text));
}

#undef appendStringInfoChar
void
appendStringInfoChar(StringInfo string, char c)
{
	appendBinaryStringInfo(string, &c, 1);
}

void
ProcessInterrupts(void)
{
}

bool
errstart(int elevel, const char *domain)
{
	(void) domain;
	fuzz_require(elevel >= ERROR, "only errors are reported");
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *file, int line, const char *function)
{
	(void) file;
	(void) line;
	(void) function;
	siglongjmp(fuzz_error, 1);
}

int
errcode(int sqlstate)
{
	/* An internal error is a fault. */
	fuzz_require(sqlstate != ERRCODE_INTERNAL_ERROR, "no internal error");
	return 0;
}

int
errcode_for_file_access(void)
{
	fuzz_require(false, "the file can be read");
	return 0;
}

#define MESSAGE(name) \
	int name(const char *format, ...) \
	{ \
		va_list arguments; \
		char	text[4096]; \
\
		va_start(arguments, format); \
		vsnprintf(text, sizeof(text), format, arguments); \
		va_end(arguments); \
		return 0; \
	}

MESSAGE(errmsg)
MESSAGE(errmsg_internal)
MESSAGE(errdetail)
MESSAGE(errdetail_internal)
MESSAGE(errdetail_log)
MESSAGE(errhint)
