/*-------------------------------------------------------------------------
 *
 * secret.h
 *	  Memory that is wiped before it is given back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SECRET_H
#define SYNCMASTER_SECRET_H

#include "postgres.h"

/* A token of this size still is a text that PostgreSQL can hold. */
#define MAX_SECRET_MB 256
#define MAX_SECRET_SIZE ((Size) MAX_SECRET_MB * 1024 * 1024)

/* Bytes that grow; for what must not stay in memory afterwards. */
typedef struct Secret
{
	unsigned char *data;
	Size length;
	Size size;
	MemoryContextCallback callback;
} Secret;

extern Secret *syncmaster_make_secret(Size size);
extern void syncmaster_reserve_secret(Secret *secret, Size size);
extern void syncmaster_append_secret(Secret *secret, const void *data,
									 Size length);
extern void syncmaster_adopt_secret(void *data, Size length);
extern void syncmaster_wipe_secret(Secret *secret);

#endif /* SYNCMASTER_SECRET_H */
