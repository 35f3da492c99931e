/*-------------------------------------------------------------------------
 *
 * purge.c
 *	  Deleting old rows of a table in committed batches.
 *
 * A purge walks a table along its primary key, in batches that are committed
 * one by one: no transaction is long, and whatever ends a call, the next one
 * goes on.
 *
 * Each batch runs as the table's owner in a security-restricted operation,
 * because triggers run with it.  That role ends before the batch is committed;
 * deferred triggers, which would run at the commit with the caller's rights,
 * are made immediate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "retention/retention.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

/*
 * Return whether an id identifies one row.  Where Citus distributes runs by
 * their transfer, the key has to be (id, transfer_id); all ids come from one
 * sequence.
 */
static bool
has_unique_id(Oid relid)
{
	Relation   table = relation_open(relid, NoLock);
	AttrNumber attnum = get_attnum(relid, "id");
	AttrNumber transfer = get_attnum(relid, "transfer_id");
	bool	   distributed = syncmaster_is_distributed(relid);
	bool	   result = false;
	ListCell  *lc;

	foreach (lc, RelationGetIndexList(table))
	{
		HeapTuple	  tuple = SearchSysCache1(INDEXRELID,
											  ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisunique && index->indimmediate && index->indisvalid &&
			index->indkey.values[0] == attnum &&
			(index->indnkeyatts == 1 ||
			 (distributed && index->indnkeyatts == 2 &&
			  index->indkey.values[1] == transfer)) &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			result = true;
		ReleaseSysCache(tuple);
	}
	relation_close(table, NoLock);

	return result;
}

/*
 * The expected definition of a column.
 */
static const ColumnInfo *
find_column(const RelationInfo *table, const char *name)
{
	const ColumnInfo *column = syncmaster_columns_at(table, REVISION_HEAD);

	while (column->name != NULL && strcmp(column->name, name) != 0)
		column++;
	Assert(column->name != NULL);
	return column;
}

/*
 * Lock a table against changes of its definition, and look at it again:
 * between batches anybody may have changed it.  "columns" are those that
 * statements use, and end with NULL.
 */
Oid
syncmaster_open_for_change(const char		  *schema, Oid namespace,
						   const RelationInfo *table,
						   const char *const  *columns)
{
	Oid relid = get_relname_relid(table->name, namespace);

	if (!OidIsValid(relid))
	{
		syncmaster_refuse_newer(namespace);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" does not exist", schema, table->name),
				 errhint("Run SELECT syncmaster_upgrade('head') to create what "
						 "is missing.")));
	}
	syncmaster_lock_relation(relid, RowExclusiveLock);

	/* the session that held the lock may have dropped or renamed the table */
	if (get_relname_relid(table->name, namespace) != relid ||
		!syncmaster_is_of_kind(table, relid))
	{
		syncmaster_refuse_newer(namespace);
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s.%s\" is not the ordinary table that "
						"SyncMaster makes",
						schema, table->name),
				 errhint("Put that table back, and run the command again.")));
	}

	for (; *columns != NULL; columns++)
	{
		const ColumnInfo *column = find_column(table, *columns);
		AttrNumber		  attnum = get_attnum(relid, column->name);

		if (attnum > 0 && get_atttype(relid, attnum) == column->type)
			continue;
		syncmaster_refuse_newer(namespace);
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table \"%s.%s\" has no column \"%s\" of type %s",
						schema, table->name, column->name,
						format_type_be(column->type)),
				 errhint("Change it back with ALTER TABLE, and run the "
						 "command again.")));
	}
	if (!has_unique_id(relid))
	{
		syncmaster_refuse_newer(namespace);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" has no unique index on column \"id\"",
						schema, table->name),
				 errhint("Run SELECT syncmaster_repair(false) to put the "
						 "primary key back, and run the command again.")));
	}

	return relid;
}

/*
 * Begin a batch: from here to syncmaster_commit_batch() everything runs as the
 * owner of the table, so that code of the owner gets no other rights.
 */
static void
begin_batch(Purge *purge)
{
	const char *const columns[] = {"id", purge->table->time_column,
								   purge->has_status ? "status" : NULL,
								   "transfer_id", NULL};
	Oid				  owner;

	syncmaster_begin_command(&purge->context, purge->options->procedure);
	purge->relid = syncmaster_open_for_change(purge->context.schema,
											  purge->context.namespace,
											  purge->table, columns);
	owner = syncmaster_relation_owner(purge->relid);
	purge->distributed = syncmaster_is_distributed(purge->relid);
	purge->from = quote_qualified_identifier(purge->context.schema,
											 purge->table->name);

	/* rows of child tables of an ordinary table are not SyncMaster's */
	if (get_rel_relkind(purge->relid) == RELKIND_RELATION)
		purge->from = psprintf("ONLY %s", purge->from);

	syncmaster_begin_acting(&purge->acting, owner);
	syncmaster_set_locally_int("lock_timeout", syncmaster_lock_timeout);

	/*
	 * Statistics may be out of date: a batch is small, however large they say
	 * it is.
	 */
	syncmaster_set_locally("enable_seqscan", "off");
	syncmaster_set_locally("enable_nestloop", "off");
	syncmaster_set_locally("jit", "off");
	syncmaster_run("SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL);
}

/*
 * Commit it.  On an error the transaction's abort restores the role.  A
 * transaction in which no row was to be deleted has written nothing but the
 * lock of the schema's row: neither the disk nor a standby has to confirm
 * that.
 */
void
syncmaster_commit_batch(ActingScope *acting, bool deletes)
{
	syncmaster_end_acting(acting);
	if (!deletes)
		syncmaster_set_locally("synchronous_commit", "off");
	syncmaster_commit();
}

/*
 * Refuse to go on after a commit that no synchronous standby has confirmed:
 * canceling it ended only the wait, and the next batch would follow.
 */
void
syncmaster_require_confirmed_commit(void)
{
	if (syncmaster_is_commit_confirmed())
		return;
	ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
					errmsg("no synchronous standby has confirmed the last "
						   "transaction, which is committed here"),
					errdetail("Somebody cancelled the wait for the standby, or "
							  "changed synchronous_standby_names meanwhile.")));
}

/*
 * Find the lowest and the highest id of the table.  False if it is empty.
 * Rows that are inserted during the purge are too young to be deleted.
 */
static bool
find_ends(Purge *purge)
{
	bool isnull;

	purge->first = syncmaster_query_int8(psprintf("SELECT min(r.id)::int8 "
												  "FROM %s r",
												  purge->from),
										 0, NULL, NULL, &isnull);
	if (isnull)
		return false;
	purge->last = syncmaster_query_int8(
		psprintf("SELECT max(r.id)::int8 FROM %s r", purge->from), 0, NULL,
		NULL, &isnull);
	return !isnull;
}

/*
 * Prepare for the first batch; false if the table is empty.
 *
 * A result without a time is one that was begun and not finished: its worker
 * was killed.  Ids are in the order of time, so such a row is certainly old if
 * a row with a higher id is.
 */
static bool
begin_purge(Purge *purge)
{
	const char *time_column = quote_identifier(purge->table->time_column);
	Oid			types[1] = {purge->time_type};
	Datum		values[1];
	int64		bound;
	bool		isnull;

	purge->along = syncmaster_find_along(purge->relid);
	purge->keepers = syncmaster_describe_keepers(purge->relid);
	if (purge->options->dry_run)
		purge->holders = syncmaster_describe_holders(purge->relid);
	if (purge->has_status)
		purge->condition = psprintf("r.created_at < $3 AND r.status IN (%s)",
									syncmaster_list_statuses(NACTIVE_STATUSES));
	else
	{
		values[0] = Int64GetDatum(purge->cutoff);
		bound = syncmaster_query_int8(
			psprintf("SELECT max(r.id)::int8 FROM %s r WHERE r.%s < $1 "
					 "AND EXISTS (SELECT FROM %s n WHERE n.%s IS NULL)",
					 purge->from, time_column, purge->from, time_column),
			1, types, values, &isnull);
		purge->no_time = isnull ? "false"
								: psprintf("r.%s IS NULL AND r.id < "
										   "'" INT64_FORMAT "'",
										   time_column, bound);
		purge->condition = psprintf("(r.%s < $3 OR (%s))", time_column,
									purge->no_time);
	}
	return find_ends(purge);
}

/* A batch: the rows in a range of ids. */
typedef struct Batch
{
	int64	from;
	int64	through;
	int64	kept; /* old runs that are among the last of their transfer */
	IdList *ids;  /* the runs to delete, if not all old ones; or NULL */
} Batch;

/*
 * Find the next batch from an id on; false after the last.  Gaps between ids
 * are skipped.
 */
static bool
find_batch(Purge *purge, int64 from, Batch *batch)
{
	Oid	  types[1] = {INT8OID};
	Datum values[1];
	bool  isnull;

	values[0] = Int64GetDatum(from);
	batch->from = syncmaster_query_int8(psprintf("SELECT min(r.id)::int8 "
												 "FROM %s r WHERE r.id >= $1",
												 purge->from),
										1, types, values, &isnull);
	if (isnull || batch->from > purge->last)
		return false;
	if (pg_add_s64_overflow(batch->from, purge->options->batch_size - 1,
							&batch->through) ||
		batch->through > purge->last)
		batch->through = purge->last;
	return true;
}

/*
 * Read the old runs of a batch, and take out the last ones of their transfers.
 */
static void
find_runs(Purge *purge, Batch *batch)
{
	const KeepOptions options = {purge->from, purge->distributed,
								 purge->options->keep_last, purge->cutoff};
	Oid				  types[3] = {INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum			  values[3];
	OldRuns			  runs = {0};

	values[0] = Int64GetDatum(batch->from);
	values[1] = Int64GetDatum(batch->through);
	values[2] = TimestampTzGetDatum(purge->cutoff);
	runs.runs = palloc(purge->options->batch_size * sizeof(OldRun));
	(void) syncmaster_each_row(
		psprintf("SELECT r.id, r.transfer_id, r.created_at FROM %s r "
				 "WHERE r.id >= $1 AND r.id <= $2 "
				 "AND r.transfer_id IS NOT NULL AND %s LIMIT %d",
				 purge->from, purge->condition, purge->options->batch_size),
		3, types, values, syncmaster_take_old_run, &runs);

	batch->kept = syncmaster_take_out_kept(purge->limits, &runs, &options);
	batch->ids = palloc(sizeof(IdList));
	syncmaster_init_ids(batch->ids);
	for (int i = 0; i < runs.count; i++)
		syncmaster_add_id(batch->ids, &runs.runs[i].id);
}

/*
 * Count the rows that a batch would delete, and those that would be deleted
 * along.
 */
static int64
count_rows(Purge *purge, Delete *delete)
{
	bool	  isnull;
	ListCell *lc;

	foreach (lc, purge->along)
	{
		AlongTable *along = lfirst(lc);

		if (along->column != NULL)
			along->count += syncmaster_query_int8(
				psprintf("SELECT count(*) FROM %s c WHERE c.%s IN "
						 "(SELECT r.id FROM %s r WHERE %s)",
						 along->name, along->column, purge->from,
						 delete->where),
				delete->nargs, delete->types, delete->values, &isnull);
	}
	return syncmaster_query_int8(psprintf("SELECT count(*) FROM %s r WHERE %s",
										  purge->from, delete->where),
								 delete->nargs, delete->types, delete->values,
								 &isnull);
}

/*
 * Delete the rows of a batch, and count those that are deleted along.
 */
static int64
delete_rows(Purge *purge, Delete *delete)
{
	int	   nalong = list_length(purge->along);
	Datum *oids = palloc((nalong + 1) * sizeof(Datum));
	int64  deleted;

	delete->held = &purge->held;
	delete->keepers = purge->keepers;
	delete->distributed = purge->distributed;
	for (int i = 0; i < nalong; i++)
	{
		AlongTable *along = list_nth(purge->along, i);

		oids[i] = ObjectIdGetDatum(along->relid);
	}
	delete->nalong = pgstat_track_counts ? nalong : 0;
	delete->along = PointerGetDatum(
		construct_array(oids, nalong, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	delete->along_counts = palloc0((nalong + 1) * sizeof(int64));

	deleted = syncmaster_delete_rows(delete);
	for (int i = 0; i < nalong; i++)
	{
		AlongTable *along = list_nth(purge->along, i);

		along->count += delete->along_counts[i];
	}
	if (delete->passed_by)
		purge->passed_by = true;
	return deleted;
}

/*
 * Purge a batch; returns the number of rows.
 */
static int64
purge_batch(Purge *purge, Batch *batch)
{
	Delete delete = {.from = purge->from, .nargs = 3};
	int64 held = purge->held.count;
	int64 deleted;

	delete.types[0] = INT8OID;
	delete.types[1] = INT8OID;
	delete.types[2] = purge->time_type;
	delete.values[0] = Int64GetDatum(batch->from);
	delete.values[1] = Int64GetDatum(batch->through);
	/* Of either type, the time is counted in microseconds of UTC. */
	delete.values[2] = Int64GetDatum(purge->cutoff);
	delete.all = psprintf("r.id >= $1 AND r.id <= $2 AND %s", purge->condition);
	delete.where = delete.all;
	if (purge->options->keep_last > 0)
	{
		find_runs(purge, batch);
		if (batch->ids->count == 0)
			return 0;
		delete.types[3] = INT8ARRAYOID;
		delete.values[3] = syncmaster_ids_to_array(batch->ids);
		delete.nargs = 4;
		/* Citus may not take the second, which is cheaper. */
		delete.where = psprintf("%s AND r.id %s", delete.where,
								purge->distributed ? "= ANY ($4)"
												   : "IN (SELECT unnest($4))");
	}
	if (purge->options->dry_run)
		return count_rows(purge, &delete);
	deleted = delete_rows(purge, &delete);
	if (batch->ids != NULL &&
		deleted + purge->held.count - held < batch->ids->count)
		purge->passed_by = true;
	return deleted;
}

/*
 * Add to an error's context what was committed before it.
 */
static void
add_error_context(void *arg)
{
	const Purge *purge = arg;

	if (geterrcode() == ERRCODE_SUCCESSFUL_COMPLETION || purge->deleted == 0 ||
		purge->options->dry_run)
		return;
	errcontext("purge of table \"%s\", %lld rows deleted in committed batches",
			   purge->table->name, (long long) purge->deleted);
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE ||
		geterrcode() == ERRCODE_QUERY_CANCELED)
		errhint("Run the command again to go on.");
}

/*
 * Purge one table; returns the number of rows.
 */
int64
syncmaster_purge_table(const PurgeOptions *options, const RelationInfo *table)
{
	Purge		  purge = {0};
	MemoryContext procedure_context = CurrentMemoryContext;
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext,
														"syncmaster purge",
														ALLOCSET_DEFAULT_SIZES);
	ErrorContextCallback callback;
	int64				 left;
	char				*statuses;
	bool				 more;
	bool				 deletes;

	purge.options = options;
	purge.table = table;
	purge.has_status = strcmp(table->name, "run") == 0;
	purge.time_type = find_column(table, table->time_column)->type;
	purge.told_at = GetCurrentTimestamp();
	purge.cutoff = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval,
		TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
		IntervalPGetDatum(&options->older_than)));
	purge.limits = syncmaster_create_keep_limits();
	purge.held.context = procedure_context;

	callback.callback = add_error_context;
	callback.arg = &purge;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	begin_batch(&purge);
	more = begin_purge(&purge);
	syncmaster_commit_batch(&purge.acting, false);

	for (int64 from = purge.first; more;)
	{
		Batch batch = {0};
		int64 deleted = 0;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch_context);
		MemoryContextReset(batch_context);
		begin_batch(&purge);
		more = find_batch(&purge, from, &batch);
		if (more)
			deleted = purge_batch(&purge, &batch);
		deletes = more && !options->dry_run;
		syncmaster_commit_batch(&purge.acting, deletes);
		if (!more)
			break;

		purge.deleted += deleted;
		purge.kept += batch.kept;
		if (deletes)
			syncmaster_require_confirmed_commit();
		syncmaster_tell_progress(&purge, batch.through);
		more = batch.through < purge.last;
		from = batch.through + 1;
	}
	MemoryContextSwitchTo(procedure_context);
	begin_batch(&purge);
	left = syncmaster_count_left(&purge, &statuses);
	syncmaster_commit_batch(&purge.acting, false);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	syncmaster_tell_result(&purge);
	syncmaster_tell_left(&purge, left, statuses);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(procedure_context);
	hash_destroy(purge.limits);
	MemoryContextDelete(batch_context);

	return purge.deleted;
}
