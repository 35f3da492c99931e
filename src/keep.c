/*-------------------------------------------------------------------------
 *
 * keep.c
 *	  The last runs of each transfer, which a purge keeps.
 *
 * The order is that of the server's list of runs, newest first: created_at,
 * and id where that is equal.  For each transfer that a purge meets, the place
 * where the last runs end is looked up once and kept in memory.  Newer runs,
 * which come meanwhile, could only raise it; that somebody else deletes some is
 * not noticed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "keep.h"

/*
 * Create in the current memory context a table of limits.
 */
HTAB *
syncmaster_create_keep_limits(void)
{
	HASHCTL options = {0};

	options.keysize = sizeof(int64);
	options.entrysize = sizeof(KeepLimit);
	options.hcxt = CurrentMemoryContext;
	return hash_create("syncmaster keep_last", 1024, &options,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Run a query; its rows are in SPI_tuptable.
 */
static int64
query(const char *sql, int nargs, Oid *types, Datum *values)
{
	int rc = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);

	if (rc != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed: %s",
			 SPI_result_code_string(rc));
	return (int64) SPI_processed;
}

static int64
get_int8(SPITupleTable *rows, int64 row, int column, bool *isnull)
{
	Datum value = SPI_getbinval(rows->vals[row], rows->tupdesc, column, isnull);

	return *isnull ? 0 : DatumGetInt64(value);
}

static ArrayType *
int8_array(Datum *elements, int count)
{
	return construct_array(elements, count, INT8OID, sizeof(int64),
						   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/*
 * Look up the limits of transfers, which are in the table already, by SQL: for
 * want of an index that answers directly, or where runs of the same time lie on
 * both sides of the limit.
 */
static void
find_limits(HTAB *limits, const char *relation, int keep_last, Datum cutoff,
			Datum *transfers, int count)
{
	Oid types[3] = {INT8ARRAYOID, INT8OID, TIMESTAMPTZOID};
	Datum values[3];
	SPITupleTable *rows;
	int64 nrows;

	values[0] = PointerGetDatum(int8_array(transfers, count));
	values[1] = Int64GetDatum((int64) keep_last - 1);
	values[2] = cutoff;
	nrows = query(
		psprintf("SELECT t.id, k.created_at, CASE WHEN k.created_at < $3 THEN "
				 "(SELECT r.id FROM ONLY %s r WHERE r.transfer_id = t.id "
				 "AND r.created_at = k.created_at ORDER BY r.id DESC "
				 "OFFSET $2 - (SELECT count(*) FROM ONLY %s r "
				 "WHERE r.transfer_id = t.id AND r.created_at > k.created_at) "
				 "LIMIT 1) END "
				 "FROM unnest($1) t (id) LEFT JOIN LATERAL ("
				 "SELECT r.created_at FROM ONLY %s r "
				 "WHERE r.transfer_id = t.id ORDER BY r.created_at DESC "
				 "OFFSET $2 LIMIT 1) k ON true",
				 relation, relation, relation),
		3, types, values);
	rows = SPI_tuptable;

	for (int64 i = 0; i < nrows; i++)
	{
		bool isnull;
		int64 transfer = get_int8(rows, i, 1, &isnull);
		KeepLimit *limit = hash_search(limits, &transfer, HASH_FIND, NULL);

		limit->created_at = get_int8(rows, i, 2, &limit->keep_all);
		limit->id = get_int8(rows, i, 3, &isnull);
		if (isnull)
			limit->id = PG_INT64_MIN;
	}
	SPI_freetuptable(rows);
}

/*
 * Is an old run none of the last ones of its transfer?
 */
static bool
exceeds_limit(HTAB *limits, int64 transfer, TimestampTz created_at, int64 id)
{
	KeepLimit *limit = hash_search(limits, &transfer, HASH_FIND, NULL);

	if (limit->keep_all)
		return false;
	return created_at != limit->created_at ? created_at < limit->created_at
										   : id < limit->id;
}

/*
 * Of the old runs in a range of ids, find those that must stay: the last ones
 * of their transfer, and those that the condition, about rows r, does not
 * meet now but may in a moment.  Parameters of the condition are in range:
 * first id, last id, cutoff.
 *
 * *nsuperfluous is the number of those that may
 * go, *nkept the number of last ones.
 */
ArrayType *
syncmaster_find_kept(HTAB *limits, Oid relid, const char *relation,
					 const char *condition, int keep_last, Datum *range,
					 int64 *nsuperfluous, int64 *nkept)
{
	Oid types[3] = {INT8OID, INT8OID, TIMESTAMPTZOID};
	SPITupleTable *rows;
	int64 nrows;
	Datum *values;
	int nvalues = 0;
	bool isnull;

	nrows = query(psprintf("SELECT r.id, r.transfer_id, r.created_at, %s "
						   "FROM ONLY %s r WHERE r.id >= $1 AND r.id <= $2 "
						   "AND r.created_at < $3",
						   condition, relation),
				  3, types, range);
	rows = SPI_tuptable;
	values = palloc(Max(nrows, 1) * sizeof(Datum));

	for (int64 i = 0; i < nrows; i++)
	{
		int64 transfer = get_int8(rows, i, 2, &isnull);
		bool found;
		KeepLimit *limit = hash_search(limits, &transfer, HASH_ENTER, &found);

		if (!found)
		{
			limit->keep_all = true;
			values[nvalues++] = Int64GetDatum(transfer);
		}
	}
	if (nvalues > 0)
		nvalues = syncmaster_find_limits_by_index(limits, relid, keep_last,
												  DatumGetTimestampTz(range[2]),
												  values, nvalues);
	if (nvalues > 0)
		find_limits(limits, relation, keep_last, range[2], values, nvalues);

	nvalues = 0;
	*nkept = 0;
	for (int64 i = 0; i < nrows; i++)
	{
		int64 id = get_int8(rows, i, 1, &isnull);
		bool may_go = DatumGetBool(
			SPI_getbinval(rows->vals[i], rows->tupdesc, 4, &isnull));

		if (may_go && exceeds_limit(limits, get_int8(rows, i, 2, &isnull),
									get_int8(rows, i, 3, &isnull), id))
			continue;
		if (may_go)
			(*nkept)++;
		values[nvalues++] = Int64GetDatum(id);
	}
	SPI_freetuptable(rows);
	*nsuperfluous = nrows - nvalues;

	return int8_array(values, nvalues);
}
