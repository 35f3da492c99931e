/*-------------------------------------------------------------------------
 *
 * fernet.h
 *	  Fernet tokens: AES-128-CBC and HMAC-SHA256 in base64url.
 *
 * A token travels through two forms.  The text form is base64url; the binary
 * form is what it encodes: version, timestamp, IV, ciphertext, HMAC.  Callers
 * that try several keys decode once and then verify or decrypt the binary
 * form under each.
 *
 * This file knows nothing of PostgreSQL, so that it can be tested and fuzzed
 * alone.  All buffers belong to the caller; the macros below say how large
 * they have to be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_FERNET_H
#define SYNCMASTER_FERNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FERNET_KEY_BYTES 32
#define FERNET_KEY_LENGTH 44
#define FERNET_IV_BYTES 16
#define FERNET_FINGERPRINT_LENGTH 16

/* Everything in the binary form but the ciphertext. */
#define FERNET_OVERHEAD 57

/* Longest text that is read; OpenSSL counts in int. */
#define FERNET_MAX_TEXT ((size_t) 0x7fffff00)

/* Longest plaintext whose token is not longer than that. */
#define FERNET_MAX_PLAINTEXT ((size_t) 0x5fffff00)

/* Size of the binary form of a plaintext of n bytes. */
#define FERNET_SEALED_SIZE(n) (FERNET_OVERHEAD + ((size_t) (n) / 16 + 1) * 16)

/* Length of n bytes as padded base64url, without a terminating zero. */
#define FERNET_ENCODED_SIZE(n) (((size_t) (n) + 2) / 3 * 4)

/* Bytes that n characters of base64url can decode to. */
#define FERNET_DECODED_SIZE(n) ((size_t) (n) / 4 * 3 + 3)

typedef enum FernetStatus
{
	FERNET_OK,
	FERNET_MALFORMED,		/* not a token (or a key), whatever the key */
	FERNET_OTHER_KEY,		/* the HMAC was made with another key */
	FERNET_EXPIRED,			/* older than the time to live allows */
	FERNET_FROM_THE_FUTURE, /* newer than the clock allows */
	FERNET_FAILED			/* OpenSSL failed: the token may be good */
} FernetStatus;

typedef struct FernetKey FernetKey;

extern FernetStatus fernet_generate_key(char *text);
extern FernetStatus fernet_key_create(const char *text, size_t length,
									  FernetKey **key);
extern void			fernet_key_free(FernetKey *key);
extern const char  *fernet_key_fingerprint(const FernetKey *key);

extern FernetStatus fernet_decode(const char *text, size_t length,
								  unsigned char *data, size_t *data_length);
extern size_t		fernet_encode(const unsigned char *data, size_t length,
								  char *text);

extern uint64_t		fernet_timestamp(const unsigned char *data);
extern FernetStatus fernet_check_time(const unsigned char *data, uint64_t ttl,
									  uint64_t now);
extern FernetStatus fernet_verify(FernetKey *key, const unsigned char *data,
								  size_t length);
extern FernetStatus fernet_decrypt(FernetKey *key, const unsigned char *data,
								   size_t length, unsigned char *plaintext,
								   size_t *plaintext_length);
extern FernetStatus fernet_encrypt(FernetKey		   *key,
								   const unsigned char *plaintext,
								   size_t plaintext_length, uint64_t timestamp,
								   const unsigned char *iv,
								   unsigned char	   *data);

#endif /* SYNCMASTER_FERNET_H */
