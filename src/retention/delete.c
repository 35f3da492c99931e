/*-------------------------------------------------------------------------
 *
 * delete.c
 *	  Deleting rows of a batch, around those that cannot go.
 *
 * A batch is deleted by one statement, in a subtransaction.  If it would have to
 * wait for a row that others have locked, the statement runs again and passes
 * locked rows by.  If a row cannot be deleted, because a foreign key or a
 * trigger holds it, the rows are halved until it is found: all others go.  Rows
 * that a trigger or a rule keeps without an error are looked for afterwards.
 *
 * The condition stands in every DELETE, so that each row is looked at again when
 * it is locked: a run that became active after the batch was read stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/proc.h"

#include "base/base.h"
#include "retention/retention.h"
#include "settings.h"

/*
 * How long a batch waits for a row that another session has locked, in
 * milliseconds.  It is less than the default of deadlock_timeout, so that a
 * service which waits for a row that the purge has locked is never the victim.
 */
#define ROW_LOCK_TIMEOUT 100

/* Milliseconds after which a longer wait looks for a deadlock. */
#define DEADLOCK_WAIT 10

/*
 * How often a batch may run into that limit when its rows are tried in parts.
 * If more than a few rows are locked, the purge gives up.
 */
#define MAX_LOCK_FAILURES 100

/* RowReceiver: stores the next of several numbers. */
static bool
take_count(void *state, TupleTableSlot *slot)
{
	int64 **next = state;

	*(*next)++ = DatumGetInt64(slot->tts_values[0]);
	return true;
}

/*
 * Count the rows of other tables that were deleted along in this transaction,
 * as the server counts them.
 */
static void
count_along(const Delete *delete, int64 *counts)
{
	Oid	  types[1] = {OIDARRAYOID};
	Datum values[1];

	if (delete->nalong == 0)
		return;
	values[0] = delete->along;
	(void) syncmaster_each_row(
		"SELECT coalesce(pg_stat_get_xact_tuples_deleted(t.id), 0) "
		"FROM unnest($1) WITH ORDINALITY t (id, n) ORDER BY t.n",
		1, types, values, take_count, &counts);
}

/* SubtransactionBody: deletes all rows that the condition names. */
static void
run_delete(void *argument)
{
	Delete *delete = argument;
	int64 *before = palloc0((delete->nalong + 1) * sizeof(int64));
	int64 *after = palloc0((delete->nalong + 1) * sizeof(int64));

	count_along(delete, before);
	delete->count = syncmaster_run(psprintf("DELETE FROM %s r WHERE %s",
											delete->from, delete->where),
								   delete->nargs, delete->types,
								   delete->values);
	count_along(delete, after);
	for (int i = 0; i < delete->nalong; i++)
		delete->along_counts[i] += after[i] - before[i];
}

static bool
is_lock_error(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		   error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * Return whether an error may be caused by a row, or by what its deletion
 * runs.  A trigger can raise any error, but a failing server or a cancel is
 * not about a row.
 */
static bool
is_row_error(const ErrorData *error)
{
	static const char *const others[] = {"25", "53", "54", "57", "58", "XX"};
	const char				*state = unpack_sql_state(error->sqlerrcode);

	for (size_t i = 0; i < lengthof(others); i++)
	{
		if (strncmp(state, others[i], 2) == 0)
			return false;
	}
	return true;
}

/*
 * Try to delete the rows; returns the error, or NULL.
 */
static ErrorData *
try_delete(Delete *delete, int lock_timeout)
{
	ErrorData *error;

	syncmaster_set_locally_int("lock_timeout", lock_timeout);
	delete->count = 0;
	error = syncmaster_try(run_delete, delete);
	if (error != NULL && !is_lock_error(error) && !is_row_error(error))
		ReThrowError(error);
	syncmaster_set_locally_int("lock_timeout", syncmaster_lock_timeout);

	return error;
}

/*
 * The condition for rows that no other session has locked.  Citus has no such
 * thing for a distributed table.
 */
static const char *
unlocked_rows(const Delete *delete)
{
	return delete->distributed
			   ? delete->where
			   : psprintf("r.id = ANY (ARRAY(SELECT r.id FROM %s r WHERE %s "
						  "ORDER BY r.id FOR UPDATE SKIP LOCKED)) AND %s",
						  delete->from, delete->where, delete->where);
}

/*
 * Note a row that cannot be deleted, and why.
 */
static void
add_held_row(HeldRows *held, int64 id, const char *message)
{
	MemoryContext old_context = MemoryContextSwitchTo(held->context);
	HeldReason	 *reason = NULL;
	ListCell	 *lc;

	foreach (lc, held->reasons)
	{
		HeldReason *known = lfirst(lc);

		if (strcmp(known->message, message) == 0)
			reason = known;
	}
	held->count++;
	if (reason == NULL && list_length(held->reasons) < MAX_HELD_REASONS)
	{
		reason = palloc(sizeof(HeldReason));
		reason->message = pstrdup(message);
		syncmaster_init_ids(&reason->ids);
		held->reasons = lappend(held->reasons, reason);
	}
	/* further rows are only counted */
	if (reason != NULL)
		syncmaster_add_id(&reason->ids,
						  reason->ids.count < MAX_HELD_IDS ? &id : NULL);
	MemoryContextSwitchTo(old_context);
}

/*
 * Delete a slice of the rows; returns how many were deleted.
 */
static int64
delete_slice(Delete *delete, IdList *ids, int64 from, int64 count)
{
	IdList	   slice = {count, 0, count, ids->ids + from, CurrentMemoryContext};
	ErrorData *error;

	CHECK_FOR_INTERRUPTS();
	delete->values[3] = syncmaster_ids_to_array(&slice);
	error = try_delete(delete, ROW_LOCK_TIMEOUT);
	if (error == NULL)
	{
		delete->missing += count - delete->count;
		return delete->count;
	}
	if (is_lock_error(error) && ++delete->lock_failures > MAX_LOCK_FAILURES)
		ReThrowError(error);
	if (count > 1)
		return delete_slice(delete, ids, from, count / 2) +
			   delete_slice(delete, ids, from + count / 2, count - count / 2);
	syncmaster_add_id(&delete->failed, &ids->ids[from]);
	if (is_lock_error(error))
		delete->missing++;
	else
		add_held_row(delete->held, ids->ids[from], error->message);
	return 0;
}

/* RowReceiver: stores the id of a row. */
static bool
take_id(void *state, TupleTableSlot *slot)
{
	int64 id = DatumGetInt64(slot->tts_values[0]);

	syncmaster_add_id(state, &id);
	return true;
}

/*
 * Delete the rows that the condition names, in smaller and smaller parts.
 */
static int64
delete_around(Delete *delete)
{
	IdList ids;

	/* If it fails even without a row, the error is not about a row. */
	(void) syncmaster_run(psprintf("DELETE FROM %s r WHERE false",
								   delete->from),
						  0, NULL, NULL);

	syncmaster_init_ids(&ids);
	(void) syncmaster_each_row(psprintf("SELECT r.id::int8 FROM %s r WHERE %s "
										"ORDER BY r.id",
										delete->from, delete->where),
							   delete->nargs, delete->types, delete->values,
							   take_id, &ids);
	if (ids.count == 0)
		return 0;

	delete->where = psprintf("%s AND r.id = ANY ($4)", delete->all);
	delete->where = unlocked_rows(delete);
	delete->types[3] = INT8ARRAYOID;
	delete->nargs = 4;
	return delete_slice(delete, &ids, 0, ids.count);
}

/*
 * Lock the rows of a batch that no other session has locked, and list them in
 * order.
 */
static void
lock_free_rows(Delete *batch, IdList *ids)
{
	syncmaster_init_ids(ids);
	(void) syncmaster_each_row(psprintf("SELECT r.id::int8 FROM %s r WHERE %s "
										"ORDER BY r.id "
										"FOR UPDATE OF r SKIP LOCKED",
										batch->from, batch->where),
							   batch->nargs, batch->types, batch->values,
							   take_id, ids);
}

/*
 * Find the rows of a batch that still exist although nothing failed: a trigger
 * or a rule has kept them.  Only rows that were locked before the batch was
 * deleted were certainly tried; others may have been locked by another
 * session, or have become old and finished only afterwards.  Returns how many
 * rows were kept.
 */
static int64
find_kept_rows(Delete *delete, Delete *batch, const IdList *tried)
{
	char  *message = psprintf("kept by %s", batch->keepers);
	IdList left;
	int64  count = 0;

	lock_free_rows(batch, &left);
	for (int64 i = 0; i < left.count; i++)
	{
		if (!syncmaster_has_id(tried, left.ids[i]) ||
			syncmaster_has_id(&delete->failed, left.ids[i]))
			continue;
		add_held_row(delete->held, left.ids[i], message);
		count++;
	}
	return count;
}

/*
 * Delete the rows of a batch; returns how many were deleted.
 */
int64
syncmaster_delete_rows(Delete *delete)
{
	const char *where = delete->where;
	Delete		batch = *delete;
	bool		may_keep = batch.keepers != NULL && !batch.distributed;
	IdList		tried;
	ErrorData  *error;
	int64		count;

	syncmaster_init_ids(&delete->failed);
	if (may_keep)
		lock_free_rows(&batch, &tried);
	error = try_delete(delete, ROW_LOCK_TIMEOUT);
	if (error != NULL && is_lock_error(error) && !delete->distributed)
	{
		delete->passed_by = true;
		delete->where = unlocked_rows(delete);
		/*
		 * for the rest of the batch: a session that waits for its rows goes
		 * first
		 */
		if (DeadlockTimeout > DEADLOCK_WAIT)
			syncmaster_set_deadlock_timeout(DEADLOCK_WAIT);
		error = try_delete(delete, syncmaster_lock_timeout);
		delete->where = where;
	}
	count = error == NULL ? delete->count : delete_around(delete);
	if (may_keep)
		delete->missing -= find_kept_rows(delete, &batch, &tried);
	if (delete->missing > 0)
		delete->passed_by = true;
	return count;
}
