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

/* Stored tokens, one after the other. */
typedef struct TokenReader
{
	KeyRing *ring;
	unsigned char *data; /* the binary form of the token at hand */
	size_t length;
	size_t size;
	Secret *plaintext;
	int key; /* number of the key that it is under */
	MemoryContext context;
} TokenReader;

extern TokenReader *syncmaster_make_token_reader(void);
extern bool syncmaster_read_token(TokenReader *reader,
								  const struct varlena *value);
extern text *syncmaster_make_token_text(const unsigned char *data,
										size_t length, MemoryContext context);

#endif /* SYNCMASTER_CREDENTIALS_H */
