/*-------------------------------------------------------------------------
 *
 * vector_chain.c
 *	  Search vectors in a chain: a || b || c ...
 *
 * The operator copies what it has joined so far, once for each link, which is
 * a sixth of what computing such a vector takes.  Here all are merged at once,
 * into the same bytes; where one of a vector's limits is near, it is left to
 * the operator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "port/pg_bswap.h"
#include "tsearch/ts_utils.h"
#include "utils/fmgrprotos.h"

#include "base/compat.h"
#include "vectors/vectors.h"

/* What is left of a vector, while it is merged. */
typedef struct Cursor
{
	TSVector vector;
	const WordEntry *entry;
	const WordEntry *end;
	uint64 prefix; /* of the entry's lexeme: decides most comparisons */
	int shift;	   /* of positions, by those of the vectors before */
} Cursor;

/*
 * Is a node the operator ||, without a schema's name?
 */
static bool
is_link(const Node *node)
{
	const A_Expr *expr = (const A_Expr *) node;

	return IsA(node, A_Expr) && expr->kind == AEXPR_OP && expr->lexpr != NULL &&
		   expr->rexpr != NULL && list_length(expr->name) == 1 &&
		   strcmp(strVal(linitial(expr->name)), "||") == 0;
}

/*
 * The text of a call, which is a whole term; NULL if it is anything else,
 * which could be in parentheses.
 */
static char *
term_text(const TableStatement *statement, const Node *node, const char *begin,
		  const char *end)
{
	begin += strspn(begin, " \n\t");
	if (!IsA(node, FuncCall) || statement->sql +
										((const FuncCall *) node)->location -
										statement->location !=
									begin)
		return NULL;
	return pnstrdup(begin, end - begin);
}

/*
 * The expression of a generated column as a list of terms, whose vectors are
 * joined in that order: one, the whole, if it is no chain of calls.
 */
List *
syncmaster_split_chain(const TableStatement *statement,
					   const GeneratedColumn *column)
{
	const Node *node = column->raw_expr;
	const char *end = column->expr + column->expr_length;
	List *terms = NIL;
	char *term;

	while (is_link(node))
	{
		const A_Expr *link = (const A_Expr *) node;
		const char *sign = statement->sql + link->location -
						   statement->location;

		term = term_text(statement, link->rexpr, sign + strlen("||"), end);
		if (term == NULL)
			break;
		terms = lcons(term, terms);
		end = sign;
		node = link->lexpr;
	}
	term = term_text(statement, node, column->expr, end);
	if (term != NULL)
		return lcons(term, terms);
	return list_make1(pnstrdup(column->expr, column->expr_length));
}

/*
 * Take the prefix of the entry that a cursor is at.  A lexeme has no byte 0, so
 * what a short one is filled up with comes before all others.
 */
static inline void
take_prefix(Cursor *cursor)
{
	uint64 prefix = 0;

	memcpy(&prefix, STRPTR(cursor->vector) + cursor->entry->pos,
		   Min(cursor->entry->len, sizeof(prefix)));
	cursor->prefix = pg_hton64(prefix);
}

static inline int
compare_entries(const Cursor *a, const Cursor *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	if (a->entry->len <= sizeof(uint64) && b->entry->len <= sizeof(uint64))
		return 0;
	return tsCompareString(STRPTR(a->vector) + a->entry->pos, a->entry->len,
						   STRPTR(b->vector) + b->entry->pos, b->entry->len,
						   false);
}

/*
 * Append what a cursor is at, to the lexeme that is last in the text if it is
 * the same, and move on.  False if it would have more positions than a lexeme
 * can: the operator knows which go.
 */
static bool
append_entry(Cursor *cursor, WordEntry *last, bool same, char *text,
			 int *length)
{
	const WordEntry *entry = cursor->entry;
	uint16 count = POSDATALEN(cursor->vector, entry);
	const WordEntryPos *positions = POSDATAPTR(cursor->vector, entry);
	WordEntryPosVector *own;

	if (!same)
	{
		last->haspos = 0;
		last->len = entry->len;
		last->pos = *length;
		memcpy(text + *length, STRPTR(cursor->vector) + entry->pos, entry->len);
		*length += entry->len;
	}
	if (count > 0)
	{
		if (!last->haspos)
		{
			last->haspos = 1;
			if (*length != (int) SHORTALIGN(*length))
				text[(*length)++] = '\0';
			*(uint16 *) (text + *length) = 0;
			*length += sizeof(uint16);
		}
		own = (WordEntryPosVector *) (text + SHORTALIGN(last->pos + last->len));
		if (own->npos + count > MAXNUMPOS)
			return false;
		for (int i = 0; i < count; i++)
		{
			WordEntryPos *position = &own->pos[own->npos++];

			*position = positions[i];
			WEP_SETPOS(*position, WEP_GETPOS(positions[i]) + cursor->shift);
		}
		*length += count * sizeof(WordEntryPos);
	}

	if (++cursor->entry < cursor->end)
		take_prefix(cursor);
	return true;
}

/*
 * Merge what cursors are at, lexeme by lexeme; NULL if the operator has to.
 */
static TSVector
merge(Cursor *cursors, int count, int entries, int bytes)
{
	TSVector result = palloc(DATAHDRSIZE + entries * sizeof(WordEntry) + bytes);
	char *text = palloc(bytes);
	int length = 0;
	WordEntry *last = ARRPTR(result) - 1;

	while (count > 0)
	{
		int least = 0;
		int left = 0;
		Cursor first;

		for (int i = 1; i < count; i++)
		{
			if (compare_entries(&cursors[i], &cursors[least]) < 0)
				least = i;
		}
		first = cursors[least];
		last++;
		for (int i = 0; i < count; i++)
		{
			if (i >= least && compare_entries(&cursors[i], &first) == 0 &&
				!append_entry(&cursors[i], last, i > least, text, &length))
				return NULL;
			if (cursors[i].entry < cursors[i].end)
				cursors[left++] = cursors[i];
		}
		count = left;
	}

	result->size = last + 1 - ARRPTR(result);
	memcpy(STRPTR(result), text, length);
	pfree(text);
	SET_VARSIZE(result, CALCDATASIZE(result->size, length));
	return result;
}

/*
 * The greatest position in a vector, 0 if it has none.
 *
 * In older minor versions, to_tsvector() makes a broken vector of a word that is
 * too long when in lower case: what follows it is not the number of its
 * positions.  The operator has a result all the same, so it is asked: such a
 * vector is said to reach to the limit.
 */
static int
last_position(TSVector vector)
{
	const char *end = (const char *) vector + VARSIZE(vector);
	int result = 0;

	for (const WordEntry *entry = ARRPTR(vector);
		 entry < ARRPTR(vector) + vector->size; entry++)
	{
		int count = POSDATALEN(vector, entry);
		const WordEntryPos *positions = POSDATAPTR(vector, entry);

		if (count == 0)
			continue;
		if (count > MAXNUMPOS || (const char *) (positions + count) > end)
			return MAXENTRYPOS;
		for (int i = 0; i < count; i++)
			result = Max(result, WEP_GETPOS(positions[i]));
	}
	return result;
}

/*
 * Join vectors as the operator || does from left to right.  Where it might
 * leave something out, it does.
 */
TSVector
syncmaster_join_vectors(const TSVector *vectors, int count)
{
	Cursor *cursors;
	TSVector result = NULL;
	int nonempty = 0;
	int position = 0;
	int entries = 0;
	Size bytes = 0;

	if (count == 1)
		return vectors[0];

	cursors = palloc(sizeof(Cursor) * count);
	for (int i = 0; i < count && bytes <= MAXSTRPOS; i++)
	{
		Cursor *cursor = &cursors[nonempty];
		int size = vectors[i]->size;

		if (size == 0)
			continue;
		cursor->vector = vectors[i];
		cursor->entry = ARRPTR(vectors[i]);
		cursor->end = cursor->entry + size;
		cursor->shift = position;
		take_prefix(cursor);
		nonempty++;
		position += last_position(vectors[i]);
		entries += size;
		/* a lexeme may have to be aligned that was not */
		bytes += VARSIZE(vectors[i]) + size;
	}
	if (bytes <= MAXSTRPOS && position < MAXENTRYPOS - 1)
		result = merge(cursors, nonempty, entries, (int) bytes);
	pfree(cursors);
	if (result != NULL)
		return result;

	result = vectors[0];
	for (int i = 1; i < count; i++)
		result = DatumGetTSVector(
			DirectFunctionCall2(tsvector_concat, TSVectorGetDatum(result),
								TSVectorGetDatum(vectors[i])));
	return result;
}
