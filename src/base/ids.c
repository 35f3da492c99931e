/*-------------------------------------------------------------------------
 *
 * ids.c
 *	  Lists of ids of rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"

#include "base/base.h"

/*
 * An empty list in the current memory context.
 */
void
syncmaster_init_ids(IdList *list)
{
	list->count = 0;
	list->nulls = 0;
	list->size = 64;
	list->context = CurrentMemoryContext;
	list->ids = palloc(list->size * sizeof(int64));
}

void
syncmaster_add_id(IdList *list, const int64 *id)
{
	int64 place = list->count++ - list->nulls;

	if (id == NULL)
	{
		list->nulls++;
		return;
	}
	if (place == list->size)
	{
		list->size *= 2;
		list->ids = repalloc_huge(list->ids, list->size * sizeof(int64));
	}
	list->ids[place] = *id;
}

static int
compare_id(const void *left, const void *right)
{
	int64 a = *(const int64 *) left;
	int64 b = *(const int64 *) right;

	return a < b ? -1 : a > b;
}

/*
 * Return whether an id is in a list that is in order.
 */
bool
syncmaster_has_id(const IdList *list, int64 id)
{
	return bsearch(&id, list->ids, list->count - list->nulls, sizeof(int64),
				   compare_id) != NULL;
}

/*
 * Sort the ids; the number of those that are not null.
 */
static int64
sort_ids(IdList *list)
{
	int64 count = list->count - list->nulls;

	qsort(list->ids, count, sizeof(int64), compare_id);
	return count;
}

/*
 * The first ids, sorted, for a message.
 */
char *
syncmaster_ids_to_text(IdList *list, int64 most)
{
	int64		   count = sort_ids(list);
	int64		   shown = Min(list->count, most);
	StringInfoData text;

	initStringInfo(&text);
	for (int64 i = 0; i < shown; i++)
	{
		appendStringInfoString(&text, i > 0 ? ", " : "");
		if (i < count)
			appendStringInfo(&text, INT64_FORMAT, list->ids[i]);
		else
			appendStringInfoString(&text, "null");
	}
	if (shown < list->count)
		appendStringInfo(&text, " and " INT64_FORMAT " more",
						 list->count - shown);
	return text.data;
}

/*
 * The ids, sorted, as bigint[].
 */
Datum
syncmaster_ids_to_array(IdList *list)
{
	int64  count = sort_ids(list);
	Size   room = Max(list->count, 1);
	Datum *datums = MemoryContextAllocHuge(CurrentMemoryContext,
										   room * sizeof(Datum));
	bool  *nulls = MemoryContextAllocHuge(CurrentMemoryContext,
										  room * sizeof(bool));
	int	   dimension = list->count;
	int	   lower_bound = 1;

	for (int64 i = 0; i < list->count; i++)
	{
		nulls[i] = i >= count;
		datums[i] = nulls[i] ? (Datum) 0 : Int64GetDatum(list->ids[i]);
	}
	return PointerGetDatum(
		construct_md_array(datums, nulls, dimension > 0 ? 1 : 0, &dimension,
						   &lower_bound, INT8OID, sizeof(int64),
						   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * Which ids are in one list only, nulls among them.
 */
void
syncmaster_compare_ids(IdList *left, IdList *right, IdList *only_left,
					   IdList *only_right)
{
	int64 left_count = sort_ids(left);
	int64 right_count = sort_ids(right);
	int64 l = 0;
	int64 r = 0;

	while (l < left_count || r < right_count)
	{
		if (r == right_count ||
			(l < left_count && left->ids[l] < right->ids[r]))
			syncmaster_add_id(only_left, &left->ids[l++]);
		else if (l == left_count || right->ids[r] < left->ids[l])
			syncmaster_add_id(only_right, &right->ids[r++]);
		else
		{
			l++;
			r++;
		}
	}
	for (l = 0; l < left->nulls; l++)
		syncmaster_add_id(only_left, NULL);
	for (r = 0; r < right->nulls; r++)
		syncmaster_add_id(only_right, NULL);
}
