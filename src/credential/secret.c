/*-------------------------------------------------------------------------
 *
 * secret.c
 *	  Memory that is wiped before it is given back.
 *
 * Keys and plaintext are kept in these buffers only.  A buffer is wiped when
 * its memory context is reset or deleted, which also happens on every error,
 * and whenever it moves because it grows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "credential/credential.h"

static void
wipe(void *argument)
{
	Secret *secret = (Secret *) argument;

	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->size);
}

/*
 * An empty buffer with room for "size" bytes, in the current memory context.
 */
Secret *
syncmaster_make_secret(Size size)
{
	Secret *secret = palloc0(sizeof(Secret));

	secret->callback.func = wipe;
	secret->callback.arg = secret;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &secret->callback);
	syncmaster_reserve_secret(secret, size);
	return secret;
}

/*
 * Make room for "size" bytes altogether.  A buffer that grows by appending is
 * doubled; the caller decides about more.
 */
void
syncmaster_reserve_secret(Secret *secret, Size size)
{
	unsigned char *data;

	if (size <= secret->size)
		return;
	if (size > MAX_SECRET_SIZE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("credentials are too large"),
						errdetail("Those of a connection may have %d MB.",
								  MAX_SECRET_MB)));
	size = Max(size, Min(secret->size * 2, MAX_SECRET_SIZE));
	data = MemoryContextAlloc(GetMemoryChunkContext(secret), size);
	if (secret->data != NULL)
	{
		memcpy(data, secret->data, secret->length);
		explicit_bzero(secret->data, secret->size);
		pfree(secret->data);
	}
	secret->data = data;
	secret->size = size;
}

void
syncmaster_append_secret(Secret *secret, const void *data, Size length)
{
	if (length > secret->size - secret->length)
		syncmaster_reserve_secret(secret, secret->length + length);
	memcpy(secret->data + secret->length, data, length);
	secret->length += length;
}

/*
 * Have memory of the current context that another function allocated wiped
 * with the context.
 */
void
syncmaster_adopt_secret(void *data, Size length)
{
	Secret *secret = syncmaster_make_secret(0);

	secret->data = data;
	secret->length = length;
	secret->size = length;
}

/*
 * Wipe the content; the buffer can be used again.  The bytes behind the
 * content were never written, so a large secret does not slow down the small
 * ones after it.
 */
void
syncmaster_wipe_secret(Secret *secret)
{
	explicit_bzero(secret->data, secret->length);
	secret->length = 0;
}
