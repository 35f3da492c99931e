/*-------------------------------------------------------------------------
 *
 * rotation.c
 *	  Encrypting the stored credentials with another key.
 *
 * The table is locked against writers, and against sessions that lock its
 * rows, before the first row is read, and all happens in one transaction.  If
 * code other than this library's may run meanwhile, a checksum is computed
 * over what must be in the table, and compared with what is there afterwards:
 * no trigger can lose or change a token unnoticed.  Triggers never see the
 * plaintext.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "base/compat.h"
#include "credential/credential.h"
#include "credential/fernet.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* How many connection_ids an error message names. */
#define MAX_IDS_IN_MESSAGE 100

/* After how many rows, and how much time, progress is reported. */
#define ROWS_PER_PROGRESS 256
#define PROGRESS_INTERVAL_MS 500

PG_FUNCTION_INFO_V1(syncmaster_rotate_credentials);

typedef struct Rotation
{
	TokenReader *reader;
	bool		 write;
	bool   alone; /* can no other code write, so that no checksum is needed? */
	int64  re_encrypted;
	int64  already_current;
	IdList failed;

	uint64	 seed;
	Checksum expected;
	Checksum found;

	double		estimated_rows;
	int64		rows;
	TimestampTz reported;
} Rotation;

/*
 * Show in pg_stat_activity how far a long rotation is.
 */
static void
report_progress(Rotation *rotation)
{
	TimestampTz now;
	char		activity[128];

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
 * Add to the checksum what a row of the table must have afterwards.
 */
static void
expect_token(Rotation *rotation, const int64 *connection_id,
			 const struct varlena *token)
{
	if (!rotation->alone)
		syncmaster_add_to_checksum(&rotation->expected, rotation->seed,
								   connection_id, VARDATA_ANY(token),
								   VARSIZE_ANY_EXHDR(token));
}

/*
 * RowRewriter of a rotation: returns the new token, or NULL if the token is
 * under the primary key already, if it cannot be read, or if nothing is to be
 * written, for example because an earlier token could not be read.
 */
static text *
rotate_token(void *state, const int64 *connection_id, struct varlena *value)
{
	Rotation	*rotation = (Rotation *) state;
	TokenReader *reader = rotation->reader;
	text		*token;

	report_progress(rotation);
	if (!syncmaster_read_token(reader, value))
	{
		syncmaster_add_id(&rotation->failed, connection_id);
		return NULL;
	}
	if (reader->key == 0)
	{
		rotation->already_current++;
		expect_token(rotation, connection_id, value);
		return NULL;
	}
	rotation->re_encrypted++;
	if (!rotation->write || rotation->failed.count > 0)
		return NULL;

	/* The new token has the length of the old one and overwrites it. */
	if (fernet_encrypt(reader->ring->keys[0], reader->plaintext->data,
					   reader->plaintext->length,
					   fernet_timestamp(reader->data), NULL,
					   reader->data) != FERNET_OK)
		elog(ERROR, "OpenSSL failed");
	token = syncmaster_make_token_text(reader->data, reader->length,
									   CurrentMemoryContext);
	expect_token(rotation, connection_id, token);
	return token;
}

/*
 * RowReader of a rotation that writes nothing.
 */
static void
count_token(void *state, const int64 *connection_id, struct varlena *value)
{
	(void) rotate_token(state, connection_id, value);
}

/*
 * RowReader: adds the row to the checksum of the table after a rotation.
 */
static void
sum_token(void *state, const int64 *connection_id, struct varlena *value)
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
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg_plural("credentials of " INT64_FORMAT
						   " connection cannot be read with any key",
						   "credentials of " INT64_FORMAT
						   " connections cannot be read with any key",
						   (unsigned long) rotation->failed.count,
						   rotation->failed.count),
			 errdetail("connection_id: %s. Nothing was changed.",
					   syncmaster_ids_to_text(&rotation->failed,
											  MAX_IDS_IN_MESSAGE)),
			 errhint("Add the key that they were written under to the file in "
					 "\"syncmaster.previous_secret_key_file\", or enter these "
					 "credentials anew. syncmaster_verify_credentials() shows "
					 "all.")));
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
	/* The lock is held: this snapshot sees all that was written before. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	syncmaster_update_credentials(table, rotate_token, rotation,
								  &rotation->alone);
	PopActiveSnapshot();
	CommandCounterIncrement();

	if (rotation->failed.count > 0)
		report_unreadable_tokens(rotation);
	if (!rotation->alone)
		check_result(rotation, table);
}

/*
 * The checks that are possible before the lock.
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

/*
 * Refuse to rotate a schema of a later release, or warn: tables that it added
 * may hold tokens as well, which would stay under the old key.
 */
static void
check_revision(bool write)
{
	ExtensionEntry extension;

	syncmaster_get_extension(&extension);
	if (write)
		syncmaster_refuse_newer(extension.namespace);
	else
		syncmaster_warn_of_newer(extension.namespace);
}

static Rotation *
make_rotation(bool write)
{
	Rotation *rotation = palloc0(sizeof(Rotation));

	rotation->write = write;
	rotation->alone = !write;
	rotation->reader = syncmaster_make_token_reader();
	rotation->seed = syncmaster_make_checksum_seed();
	syncmaster_init_ids(&rotation->failed);
	rotation->reported = GetCurrentTimestamp();
	return rotation;
}

static Datum
make_rotation_result(FunctionCallInfo fcinfo, Rotation *rotation)
{
	TupleDesc descriptor;
	Datum	  values[4];
	bool	  nulls[4] = {false};

	if (syncmaster_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
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
	bool		  write;
	MemoryContext scratch;
	MemoryContext old_context;
	Rotation	 *rotation;
	OwnedTable	  table;
	Datum		  result;

	/* If the function were STRICT, null would silently do nothing. */
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("dry_run must not be null")));
	write = !PG_GETARG_BOOL(0);
	if (write)
		check_rotation_is_possible();
	check_revision(write);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "syncmaster rotation",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(scratch);
	rotation = make_rotation(write);

	/* EXCLUSIVE also keeps others from locking single rows. */
	syncmaster_open_auth_data(&table, write ? ExclusiveLock : AccessShareLock);
	rotation->estimated_rows = table.relation->rd_rel->reltuples;
	if (write)
		write_tokens(rotation, &table);
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
