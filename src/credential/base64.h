/*-------------------------------------------------------------------------
 *
 * base64.h
 *	  Base64url, as the tokens and keys of Fernet use it.
 *
 * This file knows nothing of PostgreSQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_BASE64_H
#define SYNCMASTER_BASE64_H

#include <stdbool.h>
#include <stddef.h>

extern size_t syncmaster_encode_base64(const unsigned char *data, size_t length,
									   char *text);
extern bool	  syncmaster_decode_base64(const char *text, size_t length,
									   unsigned char *data, size_t *data_length);

#endif /* SYNCMASTER_BASE64_H */
