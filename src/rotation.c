/*-------------------------------------------------------------------------
 *
 * rotation.c
 *	  Putting the stored credentials under another key.
 *
 * The table is locked against writers before the first row is read, and all
 * happens in one transaction.  A checksum over what has to be in the table is
 * kept meanwhile, and compared with what is there afterwards, whenever other
 * code than ours may have written to it: no trigger can lose or change a token
 * unnoticed.  The plaintext never gets near them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "auth_data.h"
#include "checksum.h"
#include "compat.h"
#include "credential_update.h"
#include "credentials.h"
#include "execute.h"

/* How many connection_ids an error message names. */
#define MAX_IDS_IN_MESSAGE 100

/* After how many rows, and how much time, progress is reported. */
#define ROWS_PER_PROGRESS 256
#define PROGRESS_INTERVAL_MS 500

PG_FUNCTION_INFO_V1(syncmaster_rotate_credentials);

typedef struct Rotation
{
	KeyRing *ring;
	bool write;
	int64 re_encrypted;
	int64 already_current;
	IdList failed;

	/* The binary form of the token at hand, and what is in it. */
	unsigned char *data;
	size_t data_size;
	Secret *plaintext;

	uint64 seed;
	Checksum expected;
	Checksum found;

	MemoryContext context;
	double estimated_rows;
	int64 rows;
	TimestampTz reported;
} Rotation;

typedef struct RowCounts
{
	int64 inserted;
	int64 updated;
	int64 deleted;
} RowCounts;

/*
 * Show in pg_stat_activity how far a long rotation is.
 */
static void
report_progress(Rotation *rotation)
{
	TimestampTz now;
	char activity[128];

	if (++rotation->rows % ROWS_PER_PROGRESS != 0)
		return;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(rotation->reported, now,
									PROGRESS_INTERVAL_MS))
		return;
	rotation->reported = now;
	snprintf(activity, sizeof(activity),
			 "syncmaster_rotate_credentials(): " INT64_FORMAT
			 " of about %.0f tokens",
			 rotation->rows, Max(rotation->estimated_rows, 0));
	pgstat_report_activity(STATE_RUNNING, activity);
}

/*
 * RowRewriter of a rotation: the text of the token's successor, or NULL where
 * there is none.  That is when it is under the primary key already, or cannot
 * be read, or when nothing is to be written (any more, once a token could not
 * be read).
 */
static text *
rotate_token(void *state, int64 connection_id, struct varlena *value)
{
	Rotation *rotation = (Rotation *) state;
	FernetStatus status = FERNET_MALFORMED;
	size_t length = 0;
	int number = 0;
	text *token;

	report_progress(rotation);
	if (value != NULL)
	{
		size_t size = FERNET_DECODED_SIZE(VARSIZE_ANY_EXHDR(value));

		if (size > rotation->data_size)
		{
			pfree(rotation->data);
			rotation->data = MemoryContextAlloc(rotation->context, size);
			rotation->data_size = size;
		}
		status = fernet_decode(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
							   rotation->data, &length);
	}
	if (length > MAX_SECRET_SIZE)
		status = FERNET_MALFORMED;
	if (status == FERNET_OK)
		status = syncmaster_try_keys(rotation->ring, rotation->data, length,
									 rotation->plaintext, &number);
	if (status != FERNET_OK)
	{
		syncmaster_add_id(&rotation->failed, connection_id);
		return NULL;
	}
	if (number == 0)
	{
		rotation->already_current++;
		syncmaster_add_to_checksum(&rotation->expected, rotation->seed,
								   connection_id, VARDATA_ANY(value),
								   VARSIZE_ANY_EXHDR(value));
		return NULL;
	}
	rotation->re_encrypted++;
	if (!rotation->write || rotation->failed.count > 0)
		return NULL;

	/* The new token is as long as the old one and takes its place. */
	if (fernet_encrypt(rotation->ring->keys[0], rotation->plaintext->data,
					   rotation->plaintext->length,
					   fernet_timestamp(rotation->data), NULL,
					   rotation->data) != FERNET_OK)
		elog(ERROR, "OpenSSL failed");
	token = syncmaster_make_token_text(rotation->data, length,
									   CurrentMemoryContext);
	syncmaster_add_to_checksum(&rotation->expected, rotation->seed,
							   connection_id, VARDATA(token),
							   VARSIZE(token) - VARHDRSZ);
	return token;
}

/*
 * RowReader of a rotation that writes nothing.
 */
static void
count_token(void *state, int64 connection_id, struct varlena *value)
{
	(void) rotate_token(state, connection_id, value);
}

/*
 * RowReader for what is in the table after a rotation.
 */
static void
sum_token(void *state, int64 connection_id, struct varlena *value)
{
	Rotation *rotation = (Rotation *) state;

	if (value != NULL)
		syncmaster_add_to_checksum(&rotation->found, rotation->seed,
								   connection_id, VARDATA_ANY(value),
								   VARSIZE_ANY_EXHDR(value));
}

static void
report_unreadable_tokens(Rotation *rotation)
{
	StringInfoData ids;
	int shown = Min(rotation->failed.count, MAX_IDS_IN_MESSAGE);

	syncmaster_sort_ids(&rotation->failed);
	initStringInfo(&ids);
	for (int i = 0; i < shown; i++)
		appendStringInfo(&ids, "%s" INT64_FORMAT, i > 0 ? ", " : "",
						 rotation->failed.ids[i]);
	if (shown < rotation->failed.count)
		appendStringInfo(&ids, " and " INT64_FORMAT " more",
						 rotation->failed.count - shown);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg_plural("credentials of " INT64_FORMAT
						   " connection cannot be read with any key",
						   "credentials of " INT64_FORMAT
						   " connections cannot be read with any key",
						   (unsigned long) rotation->failed.count,
						   rotation->failed.count),
			 errdetail("connection_id: %s. Nothing was changed.", ids.data),
			 errhint("Add the key that they were written under to the file in "
					 "\"syncmaster.previous_secret_key_file\", or enter these "
					 "credentials anew. syncmaster_verify_credentials() shows "
					 "all.")));
}

/*
 * How many rows of the table this transaction has written so far, by whatever
 * statement; zeros with track_counts off.
 */
static RowCounts
count_writes(OwnedTable *table)
{
	Datum relid = ObjectIdGetDatum(RelationGetRelid(table->relation));
	RowCounts counts;

	counts.inserted = DatumGetInt64(
		DirectFunctionCall1(pg_stat_get_xact_tuples_inserted, relid));
	counts.updated = DatumGetInt64(
		DirectFunctionCall1(pg_stat_get_xact_tuples_updated, relid));
	counts.deleted = DatumGetInt64(
		DirectFunctionCall1(pg_stat_get_xact_tuples_deleted, relid));
	return counts;
}

/*
 * Can nobody but us have had a hand in what is in the table?  Other sessions
 * are locked out.  In this one, code of the owner may have run; then it could
 * have changed a row on its way into the table, by a BEFORE trigger, or
 * written to the table itself, which is counted.
 */
static bool
wrote_alone(Rotation *rotation, OwnedTable *table, const RowCounts *before)
{
	TriggerDesc *triggers = table->relation->trigdesc;
	RowCounts after = count_writes(table);

	return !table->distributed &&
		   (triggers == NULL || !triggers->trig_update_before_row) &&
		   after.updated - before->updated == rotation->re_encrypted &&
		   after.inserted == before->inserted &&
		   after.deleted == before->deleted;
}

/*
 * Compare what is in the table with what was written.
 */
static void
check_result(Rotation *rotation, OwnedTable *table)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	syncmaster_scan_table(table, sum_token, rotation);
	PopActiveSnapshot();
	if (memcmp(&rotation->expected, &rotation->found, sizeof(Checksum)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("table \"%s\" does not hold the credentials that were "
						"written",
						RelationGetRelationName(table->relation)),
				 errdetail("A trigger of the table, or what it calls, "
						   "suppressed or changed some of them. Nothing was "
						   "changed."),
				 errhint("Disable the trigger while credentials are "
						 "rotated.")));
}

static void
write_tokens(Rotation *rotation, OwnedTable *table)
{
	RowCounts before = count_writes(table);

	/* The lock is held: this snapshot sees all that was written before. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	syncmaster_update_credentials(table, rotate_token, rotation);
	PopActiveSnapshot();
	CommandCounterIncrement();

	if (rotation->failed.count > 0)
		report_unreadable_tokens(rotation);
	if (!wrote_alone(rotation, table, &before))
		check_result(rotation, table);
}

/*
 * What can be said before a lock is taken.
 */
static void
check_rotation_is_possible(void)
{
	PreventCommandIfReadOnly("syncmaster_rotate_credentials()");
	PreventCommandIfParallelMode("syncmaster_rotate_credentials()");

	/*
	 * With a snapshot from before the lock, tokens that were written in
	 * between would be passed over.
	 */
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("credentials cannot be rotated at this isolation "
						"level"),
				 errhint("Use a transaction at READ COMMITTED.")));
}

static Rotation *
make_rotation(bool write)
{
	Rotation *rotation = palloc0(sizeof(Rotation));

	rotation->write = write;
	rotation->context = CurrentMemoryContext;
	rotation->ring = syncmaster_read_keys();
	rotation->plaintext = syncmaster_make_secret(1024);
	rotation->data_size = 1024;
	rotation->data = palloc(rotation->data_size);
	rotation->seed = syncmaster_make_checksum_seed();
	syncmaster_init_ids(&rotation->failed);
	rotation->reported = GetCurrentTimestamp();
	return rotation;
}

static Datum
make_rotation_result(FunctionCallInfo fcinfo, Rotation *rotation)
{
	TupleDesc descriptor;
	Datum values[4];
	bool nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(rotation->re_encrypted);
	values[1] = Int64GetDatum(rotation->already_current);
	values[2] = Int64GetDatum(rotation->failed.count);
	values[3] = syncmaster_ids_to_array(&rotation->failed);
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

/*
 * Put all credentials under the primary key.  A token's timestamp stays.
 */
Datum
syncmaster_rotate_credentials(PG_FUNCTION_ARGS)
{
	bool write;
	MemoryContext scratch;
	MemoryContext old_context;
	Rotation *rotation;
	OwnedTable table;
	Datum result;

	/* STRICT would make "nothing happened" of a null. */
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("dry_run must not be null")));
	write = !PG_GETARG_BOOL(0);
	if (write)
		check_rotation_is_possible();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "syncmaster rotation",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(scratch);
	rotation = make_rotation(write);

	syncmaster_open_auth_data(&table,
							  write ? ShareRowExclusiveLock : AccessShareLock);
	rotation->estimated_rows = table.relation->rd_rel->reltuples;
	if (write)
	{
		syncmaster_refuse_triggers(RelationGetRelid(table.relation));
		write_tokens(rotation, &table);
	}
	else
		syncmaster_scan_table(&table, count_token, rotation);
	syncmaster_close_owned_table(&table);

	if (debug_query_string != NULL)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	MemoryContextSwitchTo(old_context);
	result = make_rotation_result(fcinfo, rotation);
	MemoryContextDelete(scratch);
	return result;
}
