/*-------------------------------------------------------------------------
 *
 * credentials.c
 *	  Single tokens: generate a key, encrypt, decrypt, read what is stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "credential/credential.h"
#include "credential/fernet.h"

PG_FUNCTION_INFO_V1(syncmaster_generate_key);
PG_FUNCTION_INFO_V1(syncmaster_encrypt);
PG_FUNCTION_INFO_V1(syncmaster_decrypt);

/*
 * The keys for one call site, read once per query however many rows it has.
 */
static KeyRing *
get_keys(FunctionCallInfo fcinfo)
{
	KeyRing		 *ring = (KeyRing *) fcinfo->flinfo->fn_extra;
	MemoryContext context;
	MemoryContext old_context;

	if (ring != NULL && syncmaster_keys_are_current(ring))
		return ring;
	if (ring != NULL)
	{
		fcinfo->flinfo->fn_extra = NULL;
		MemoryContextDelete(GetMemoryChunkContext(ring));
	}

	/*
	 * Until all keys are read, an error has to delete the context, and wipe
	 * the keys in it.
	 */
	context = AllocSetContextCreate(CurrentMemoryContext, "syncmaster keys",
									ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	ring = syncmaster_read_keys();
	MemoryContextSwitchTo(old_context);
	MemoryContextSetParent(context, fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = ring;
	return ring;
}

/*
 * Create a context for one token; deleting it wipes its content.
 */
static MemoryContext
enter_scratch_context(MemoryContext *old_context)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "syncmaster credentials",
												  ALLOCSET_DEFAULT_SIZES);

	*old_context = MemoryContextSwitchTo(scratch);
	return scratch;
}

/*
 * The text of a token from its binary form, in "context".
 */
text *
syncmaster_make_token_text(const unsigned char *data, size_t length,
						   MemoryContext context)
{
	Size  size = FERNET_ENCODED_SIZE(length) + VARHDRSZ;
	text *result;

	result = MemoryContextAlloc(context, size);
	fernet_encode(data, length, VARDATA(result));
	SET_VARSIZE(result, size);
	return result;
}

/*
 * Return whether decrypted bytes are text in UTF-8.  Under a key whose signing
 * half is right and whose encryption half is wrong, one token in 256 decrypts
 * to random bytes.
 */
static bool
is_text(const Secret *plaintext)
{
	return pg_verify_mbstr(PG_UTF8, (const char *) plaintext->data,
						   (int) plaintext->length, true);
}

static FernetStatus
try_key(KeyRing *ring, int number, const unsigned char *data, size_t length,
		Secret *plaintext)
{
	size_t		 plaintext_length;
	FernetStatus status;

	syncmaster_wipe_secret(plaintext);
	status = fernet_decrypt(ring->keys[number], data, length, plaintext->data,
							&plaintext_length);
	if (status == FERNET_FAILED)
		elog(ERROR, "OpenSSL failed");
	plaintext->length = plaintext_length;
	return status;
}

/*
 * Decrypt the binary form of a token under the first key that can, and set
 * *number to the key's place in the ring.  The key that was used last is tried
 * first, because most tokens of a table are under the same key.
 *
 * A right signature does not end the search, because another key may have the
 * same signing half.
 */
static FernetStatus
try_keys(KeyRing *ring, const unsigned char *data, size_t length,
		 Secret *plaintext, int *number)
{
	FernetStatus status = FERNET_OTHER_KEY;
	int			 start = ring->last;
	int			 signer = -1;

	syncmaster_reserve_secret(plaintext, length);
	for (int i = 0; i < ring->count; i++)
	{
		ring->last = (start + i) % ring->count;
		status = try_key(ring, ring->last, data, length, plaintext);
		if (status == FERNET_OK && is_text(plaintext))
		{
			*number = ring->last;
			return FERNET_OK;
		}
		if (status != FERNET_OTHER_KEY && signer < 0)
			signer = ring->last;
	}
	*number = signer < 0 ? 0 : signer;
	return try_key(ring, *number, data, length, plaintext);
}

TokenReader *
syncmaster_make_token_reader(void)
{
	TokenReader *reader = palloc0(sizeof(TokenReader));

	reader->context = CurrentMemoryContext;
	reader->ring = syncmaster_read_keys();
	reader->plaintext = syncmaster_make_secret(1024);
	reader->size = 1024;
	reader->data = palloc(reader->size);
	return reader;
}

/*
 * Read a token as it is stored; false if it is NULL or no service could read
 * it.
 */
bool
syncmaster_read_token(TokenReader *reader, const struct varlena *value)
{
	size_t size = value == NULL ? 0
								: FERNET_DECODED_SIZE(VARSIZE_ANY_EXHDR(value));

	if (value == NULL)
		return false;
	if (size > reader->size)
	{
		pfree(reader->data);
		reader->data = MemoryContextAllocHuge(reader->context, size);
		reader->size = size;
	}
	return fernet_decode(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
						 reader->data, &reader->length) == FERNET_OK &&
		   reader->length <= MAX_SECRET_SIZE &&
		   try_keys(reader->ring, reader->data, reader->length,
					reader->plaintext, &reader->key) == FERNET_OK &&
		   is_text(reader->plaintext);
}

Datum
syncmaster_generate_key(PG_FUNCTION_ARGS)
{
	char  key[FERNET_KEY_LENGTH + 1];
	text *result = palloc(VARHDRSZ + FERNET_KEY_LENGTH);

	if (fernet_generate_key(key) != FERNET_OK)
		elog(ERROR, "OpenSSL failed");
	SET_VARSIZE(result, VARHDRSZ + FERNET_KEY_LENGTH);
	memcpy(VARDATA(result), key, FERNET_KEY_LENGTH);
	explicit_bzero(key, sizeof(key));
	PG_RETURN_TEXT_P(result);
}

Datum
syncmaster_encrypt(PG_FUNCTION_ARGS)
{
	KeyRing		  *ring = get_keys(fcinfo);
	MemoryContext  old_context;
	MemoryContext  scratch = enter_scratch_context(&old_context);
	Jsonb		  *value = PG_GETARG_JSONB_P(0);
	Secret		  *payload;
	unsigned char *data;
	text		  *result;

	if ((Pointer) value != DatumGetPointer(PG_GETARG_DATUM(0)))
		syncmaster_adopt_secret(value, VARSIZE(value));
	payload = syncmaster_write_payload(value);
	data = MemoryContextAllocHuge(scratch, FERNET_SEALED_SIZE(payload->length));
	if (fernet_encrypt(ring->keys[0], payload->data, payload->length,
					   (uint64_t) time(NULL), NULL, data) != FERNET_OK)
		elog(ERROR, "OpenSSL failed");
	result = syncmaster_make_token_text(data,
										FERNET_SEALED_SIZE(payload->length),
										old_context);

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);
	PG_RETURN_TEXT_P(result);
}

/*
 * The fingerprints of the keys that were tried, as a list.
 */
static char *
list_fingerprints(KeyRing *ring)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < ring->count; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "",
						 fernet_key_fingerprint(ring->keys[i]));
	return list.data;
}

Datum
syncmaster_decrypt(PG_FUNCTION_ARGS)
{
	KeyRing		  *ring = get_keys(fcinfo);
	MemoryContext  old_context;
	MemoryContext  scratch = enter_scratch_context(&old_context);
	text		  *token = PG_GETARG_TEXT_PP(0);
	size_t		   length = VARSIZE_ANY_EXHDR(token);
	unsigned char *data = palloc(FERNET_DECODED_SIZE(length));
	Secret		  *plaintext = syncmaster_make_secret(0);
	FernetStatus   status;
	int			   number;
	Datum		   result;

	status = fernet_decode(VARDATA_ANY(token), length, data, &length);
	if (status == FERNET_OK)
		status = try_keys(ring, data, length, plaintext, &number);
	if (status == FERNET_OTHER_KEY)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("token cannot be read with any key"),
						errdetail_plural("The key tried is %s.",
										 "The keys tried are %s.", ring->count,
										 list_fingerprints(ring))));
	if (status != FERNET_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("value is not a Fernet token")));
	result = syncmaster_parse_payload(plaintext, old_context);

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);
	return result;
}
