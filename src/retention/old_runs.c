/*-------------------------------------------------------------------------
 *
 * old_runs.c
 *	  The old runs of a purge's batch, each read once.
 *
 * A table as SyncMaster made it is read directly, along its primary key, and
 * what goes is deleted where it was read, without looking for it again.  As long
 * as the snapshot is held that saw a row in a place (its TID), vacuum leaves the
 * row there, and the place is no other row's.  The server deletes from a place
 * only what is still the last version of the row: so that is the one that was
 * read and judged, and a row that somebody changed meanwhile stays.
 *
 * Where more than that has to happen when a row is deleted, SQL does it: for
 * triggers, foreign keys and rules.  It also reads the rows where not everything
 * is here for everybody to see: in distributed tables, under policies that bind
 * the owner, with other access methods.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"
#include "retention/retention.h"
#include "rows/rows.h"

/* The columns that tell which runs go. */
static const char *const columns[] = {"id", "transfer_id", "created_at",
									  "status"};

/*
 * Does a row hold the columns as SQL would see them?  A virtual one is not
 * there, and under some collations other bytes are equal.
 */
static bool
has_plain_columns(Relation table)
{
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		AttrNumber attnum = get_attnum(RelationGetRelid(table), columns[i]);
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table),
												 attnum - 1);

		if (column->attgenerated != '\0' ||
			(OidIsValid(column->attcollation) &&
			 !get_collation_isdeterministic(column->attcollation)))
			return false;
	}
	return true;
}

/*
 * Can the table be read directly?
 */
static bool
is_readable(Relation table)
{
	return table->rd_rel->relam == HEAP_TABLE_AM_OID &&
		   !table->rd_rel->relforcerowsecurity && has_plain_columns(table) &&
		   !syncmaster_is_distributed(RelationGetRelid(table));
}

/*
 * Is nothing to be done when a row is deleted but just that, and may its owner
 * do so?
 */
static bool
has_plain_deletes(Relation table)
{
	TriggerDesc *triggers = table->trigdesc;

	if (table->rd_rules != NULL || !snapshots_keep_rows() ||
		pg_class_aclcheck(RelationGetRelid(table), table->rd_rel->relowner,
						  ACL_DELETE) != ACLCHECK_OK)
		return false;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (TRIGGER_FOR_DELETE(triggers->triggers[i].tgtype))
			return false;
	}
	return true;
}

/*
 * Does all that help here?
 */
bool
syncmaster_has_places(Oid relid)
{
	Relation table = relation_open(relid, NoLock);
	bool result = is_readable(table) && has_plain_deletes(table);

	relation_close(table, NoLock);
	return result;
}

/*
 * Read a column, in which SyncMaster allows no null; false if it is one.
 */
static bool
get_column(TupleTableSlot *slot, AttrNumber column, Datum *value)
{
	bool isnull;

	*value = slot_getattr(slot, column, &isnull);
	return !isnull;
}

/*
 * Read directly; false where that cannot be.
 */
static bool
read_directly(OldRuns *runs, const OldRunRange *range)
{
	Relation table = relation_open(range->relid, NoLock);
	AttrNumber id_column = get_attnum(range->relid, "id");
	AttrNumber transfer_column = get_attnum(range->relid, "transfer_id");
	AttrNumber time_column = get_attnum(range->relid, "created_at");
	AttrNumber status_column = get_attnum(range->relid, "status");
	OrderedScan scan;
	int seen = 0;

	if (!is_readable(table) ||
		!syncmaster_begin_scan_from(&scan, table, id_column,
									Int64GetDatum(range->from)))
	{
		relation_close(table, NoLock);
		return false;
	}

	runs->runs = palloc(range->batch_size * sizeof(OldRun));
	while (seen < range->batch_size && syncmaster_next_ordered(&scan))
	{
		OldRun *run = &runs->runs[runs->count];
		Datum id;
		Datum transfer;
		Datum time;
		Datum status;

		if (!get_column(scan.slot, id_column, &id) ||
			DatumGetInt64(id) > range->last)
			break;
		run->id = DatumGetInt64(id);
		if (++seen == range->batch_size)
			runs->through = run->id;
		if (!get_column(scan.slot, time_column, &time) ||
			DatumGetTimestampTz(time) >= range->cutoff ||
			!get_column(scan.slot, transfer_column, &transfer) ||
			!get_column(scan.slot, status_column, &status))
			continue;
		run->transfer_id = DatumGetInt64(transfer);
		run->created_at = DatumGetTimestampTz(time);
		run->active = syncmaster_find_active_status(status) >= 0;
		run->place = scan.slot->tts_tid;
		runs->count++;
	}
	if (has_plain_deletes(table))
		runs->snapshot = RegisterSnapshot(scan.snapshot);
	syncmaster_end_ordered_scan(&scan);
	relation_close(table, NoLock);
	return true;
}

static void
read_by_sql(OldRuns *runs, const OldRunRange *range)
{
	Oid types[4] = {INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID};
	Datum values[4];
	SPITupleTable *rows;
	int64 seen;

	values[0] = Int64GetDatum(range->from);
	values[1] = Int64GetDatum(range->last);
	values[2] = TimestampTzGetDatum(range->cutoff);
	values[3] = Int64GetDatum(range->batch_size);
	seen = syncmaster_run_query(
		psprintf("SELECT r.id, r.transfer_id, r.created_at, NOT (%s) "
				 "FROM ONLY %s r WHERE r.id >= $1 AND r.id <= $2 "
				 "ORDER BY r.id LIMIT $4",
				 range->condition, range->relation),
		4, types, values);
	rows = SPI_tuptable;
	runs->runs = palloc(Max(seen, 1) * sizeof(OldRun));

	for (int64 i = 0; i < seen; i++)
	{
		OldRun *run = &runs->runs[runs->count];
		Datum row[4];
		bool isnull[4];

		heap_deform_tuple(rows->vals[i], rows->tupdesc, row, isnull);
		if (i == range->batch_size - 1)
			runs->through = DatumGetInt64(row[0]);
		if (isnull[1] || isnull[2] || isnull[3] ||
			DatumGetTimestampTz(row[2]) >= range->cutoff)
			continue;
		run->id = DatumGetInt64(row[0]);
		run->transfer_id = DatumGetInt64(row[1]);
		run->created_at = DatumGetTimestampTz(row[2]);
		run->active = DatumGetBool(row[3]);
		runs->count++;
	}
	SPI_freetuptable(rows);
}

/*
 * Read the old ones among the next runs.
 */
void
syncmaster_read_old_runs(OldRuns *runs, const OldRunRange *range)
{
	runs->through = range->last;
	runs->count = 0;
	runs->snapshot = NULL;
	if (!read_directly(runs, range))
		read_by_sql(runs, range);
}

/*
 * Delete those that are as they were read; the number of rows.  *changed
 * becomes true if others changed some.
 */
int64
syncmaster_delete_in_place(const OldRuns *runs, Oid relid, bool *changed)
{
	Relation table = relation_open(relid, NoLock);
	CommandId command = GetCurrentCommandId(true);
	int64 deleted = 0;

	CheckCmdReplicaIdentity(table, CMD_DELETE);
	for (int64 i = 0; i < runs->count; i++)
	{
		TM_FailureData failure;
		TM_Result result;

		CHECK_FOR_INTERRUPTS();
		result = delete_tuple(table, &runs->runs[i].place, command,
							  runs->snapshot, &failure);
		if (result == TM_Ok)
			deleted++;
		else if (result == TM_Updated)
			*changed = true;
	}
	relation_close(table, NoLock);
	return deleted;
}

/*
 * Their ids, as an array.
 */
Datum
syncmaster_old_run_ids(const OldRuns *runs)
{
	Datum *ids = palloc(Max(runs->count, 1) * sizeof(Datum));

	for (int64 i = 0; i < runs->count; i++)
		ids[i] = Int64GetDatum(runs->runs[i].id);
	return PointerGetDatum(construct_array(ids, (int) runs->count, INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

void
syncmaster_release_old_runs(OldRuns *runs)
{
	if (runs->snapshot != NULL)
		UnregisterSnapshot(runs->snapshot);
	pfree(runs->runs);
}
