/*-------------------------------------------------------------------------
 *
 * credentials.h
 *	  Single tokens.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CREDENTIALS_H
#define SYNCMASTER_CREDENTIALS_H

#include "postgres.h"

#include "keyfile.h"
#include "secret.h"

extern FernetStatus syncmaster_try_keys(KeyRing *ring,
										const unsigned char *data,
										size_t length, Secret *plaintext,
										int *number);
extern text *syncmaster_make_token_text(const unsigned char *data,
										size_t length, MemoryContext context);

#endif /* SYNCMASTER_CREDENTIALS_H */
