/*-------------------------------------------------------------------------
 *
 * credential_check.c
 *	  Which key each of the stored credentials is under.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "credential/credential.h"
#include "credential/fernet.h"
#include "rows/rows.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(syncmaster_verify_credentials);

#define VERIFY_COLUMNS 4

/*
 * RowReader of auth_data: a token counts for a key only if it decrypts under
 * it.
 */
static void
check_token(void *state, const int64 *connection_id, struct varlena *value)
{
	CredentialCheck *check = (CredentialCheck *) state;

	syncmaster_add_id(&check->all, connection_id);
	if (syncmaster_read_token(check->reader, value))
		check->tokens[check->reader->key]++;
	else
		syncmaster_add_id(&check->unreadable, connection_id);
}

/* RowReader of connection. */
static void
add_connection(void *state, const int64 *id, struct varlena *value)
{
	(void) value;
	syncmaster_add_id((IdList *) state, id);
}

static void
add_row(ReturnSetInfo *result, const char *status, const char *key, int64 count,
		IdList *ids)
{
	Datum values[VERIFY_COLUMNS];
	bool  nulls[VERIFY_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(status);
	nulls[1] = key == NULL;
	values[1] = key == NULL ? (Datum) 0 : CStringGetTextDatum(key);
	values[2] = Int64GetDatum(count);
	nulls[3] = ids == NULL;
	values[3] = ids == NULL ? (Datum) 0 : syncmaster_ids_to_array(ids);
	syncmaster_put_row(result, values, nulls);
}

static void
add_result(ReturnSetInfo *result, CredentialCheck *check)
{
	KeyRing *ring = check->reader->ring;

	for (int i = 0; i < ring->count; i++)
		add_row(result, i == 0 ? "primary key" : "previous key",
				fernet_key_fingerprint(ring->keys[i]), check->tokens[i], NULL);
	add_row(result, "unreadable", NULL, check->unreadable.count,
			&check->unreadable);
	add_row(result, "connection without credentials", NULL,
			check->missing.count, &check->missing);
	add_row(result, "credentials without connection", NULL,
			check->orphaned.count, &check->orphaned);
}

/*
 * Check all stored credentials, in the current memory context.
 */
void
syncmaster_check_credentials(CredentialCheck *check)
{
	OwnedTable table;
	IdList	   connections;

	check->reader = syncmaster_make_token_reader();
	check->tokens = palloc0(check->reader->ring->count * sizeof(int64));
	syncmaster_init_ids(&check->all);
	syncmaster_init_ids(&check->unreadable);
	syncmaster_init_ids(&connections);
	syncmaster_init_ids(&check->missing);
	syncmaster_init_ids(&check->orphaned);

	syncmaster_open_auth_data(&table, AccessShareLock);
	syncmaster_scan_table(&table, check_token, check);
	syncmaster_close_owned_table(&table);
	syncmaster_open_connection(&table, AccessShareLock);
	syncmaster_scan_table(&table, add_connection, &connections);
	syncmaster_close_owned_table(&table);
	check->previous = 0;
	for (int i = 1; i < check->reader->ring->count; i++)
		check->previous += check->tokens[i];
	syncmaster_compare_ids(&connections, &check->all, &check->missing,
						   &check->orphaned);
}

Datum
syncmaster_verify_credentials(PG_FUNCTION_ARGS)
{
	ReturnSetInfo  *result = syncmaster_begin_result(fcinfo);
	CredentialCheck check;
	ExtensionEntry	extension;
	MemoryContext	scratch;
	MemoryContext	old_context;

	syncmaster_get_extension(&extension);
	syncmaster_warn_of_newer(extension.namespace);
	scratch = AllocSetContextCreate(CurrentMemoryContext,
									"syncmaster credential check",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(scratch);
	syncmaster_check_credentials(&check);
	add_result(result, &check);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);
	return (Datum) 0;
}
