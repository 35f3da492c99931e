/*-------------------------------------------------------------------------
 *
 * highest_value.c
 *	  The highest id of a table, for the sequence that gives the next one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "rows/rows.h"

/*
 * Ids below this are the coordinator's: on each node of Citus, a bigint
 * sequence counts in a range of its own.
 */
#define CITUS_COORDINATOR_IDS "281474976710656"

typedef struct HighestQuestion
{
	Relation   rel;
	AttrNumber attnum;
	int64	   value;
	bool	   isnull;
} HighestQuestion;

/* SubtransactionBody: asks by SQL, as the owner. */
static void
ask_highest(void *argument)
{
	HighestQuestion *question = argument;
	Relation		 rel = question->rel;
	const char		*column = quote_identifier(
			 get_attname(RelationGetRelid(rel), question->attnum, false));

	question->value = syncmaster_query_int8_as(
		psprintf(
			"SELECT max(%s)::int8 FROM %s WHERE %s < " CITUS_COORDINATOR_IDS,
			column, syncmaster_quoted_relation(RelationGetRelid(rel)), column),
		rel->rd_rel->relowner, &question->isnull);
}

/*
 * The highest value in a table whose rows Citus has.  *reason says why it
 * could not be asked for.
 */
static HighestValue
highest_distributed(Relation rel, AttrNumber attnum, int64 *value,
					char **reason)
{
	HighestQuestion question = {rel, attnum, 0, true};

	*reason = syncmaster_ask_elsewhere(ask_highest, &question);
	if (*reason != NULL)
		return HIGHEST_UNKNOWN;
	*value = question.value;
	return question.isnull ? HIGHEST_NONE : HIGHEST_FOUND;
}

bool
syncmaster_has_ids(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_RELATION ||
		   syncmaster_is_partitioned(relid);
}

/*
 * Get a column's value; false if it is null.
 */
static bool
get_number(TupleTableSlot *slot, AttrNumber attnum, Oid type, int64 *value)
{
	bool  isnull;
	Datum datum = slot_getattr(slot, attnum, &isnull);

	if (isnull)
		return false;
	*value = type == INT8OID ? DatumGetInt64(datum) : DatumGetInt32(datum);
	return true;
}

/*
 * The highest value in a column that no index has in front: all rows are read.
 */
HighestValue
syncmaster_scan_highest_value(Oid relid, AttrNumber attnum, int64 *value)
{
	Relation	 rel = syncmaster_open_relation(relid, AccessShareLock);
	Oid			 type = get_atttype(relid, attnum);
	HighestValue result = HIGHEST_UNKNOWN;
	DirectScan	 scan;
	int64		 number;

	if ((type == INT8OID || type == INT4OID) &&
		syncmaster_begin_scan(&scan, rel))
	{
		result = HIGHEST_NONE;
		while (syncmaster_next_row(&scan))
		{
			if (!get_number(scan.slot, attnum, type, &number))
				continue;
			*value = result == HIGHEST_FOUND ? Max(*value, number) : number;
			result = HIGHEST_FOUND;
		}
		syncmaster_end_scan(&scan);
	}
	table_close(rel, AccessShareLock);

	return result;
}

/*
 * The highest value in a column, read directly: no statement runs, so no code
 * of the table's owner runs.
 */
HighestValue
syncmaster_highest_value(Oid relid, AttrNumber attnum, int64 *value,
						 char **reason)
{
	Relation	 rel = syncmaster_open_relation(relid, AccessShareLock);
	Oid			 type = get_atttype(relid, attnum);
	HighestValue result = HIGHEST_UNKNOWN;
	OrderedScan	 scan;

	if (type != INT8OID && type != INT4OID)
		result = HIGHEST_UNKNOWN;
	else if (syncmaster_begin_ordered_scan(&scan, rel, attnum, NULL,
										   BackwardScanDirection,
										   NO_ENTRY_LIMIT))
	{
		result = HIGHEST_NONE;
		/* nulls come first */
		while (result == HIGHEST_NONE && syncmaster_next_ordered(&scan))
		{
			if (get_number(scan.slot, attnum, type, value))
				result = HIGHEST_FOUND;
		}
		syncmaster_end_ordered_scan(&scan);
	}
	else if (syncmaster_is_distributed(relid))
		result = highest_distributed(rel, attnum, value, reason);
	table_close(rel, AccessShareLock);

	return result;
}
