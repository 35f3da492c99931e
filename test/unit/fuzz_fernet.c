/*-------------------------------------------------------------------------
 *
 * fuzz_fernet.c
 *	  libFuzzer target for src/credential/fernet.c and src/credential/base64.c.
 *
 * The first byte of the input chooses what the rest is taken for.  Random
 * bytes practically never carry a valid HMAC, so one choice signs them: that
 * is how the fuzzer reaches what lies behind the signature.
 *
 * Build and run with tools/fuzz.
 *
 *-------------------------------------------------------------------------
 */
#include "credential/base64.h"
#include "credential/fernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define SIGNING_KEY_BYTES 16
#define HMAC_BYTES 32
#define IV_OFFSET 9
#define CIPHERTEXT_OFFSET 25

static const unsigned char key_bytes[FERNET_KEY_BYTES + 1] =
	"the signing key.the crypto key..";

static FernetKey *fuzz_key;
static FernetKey *other_key;

extern int LLVMFuzzerInitialize(int *argc, char ***argv);
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *what)
{
	if (!condition)
	{
		fprintf(stderr, "property does not hold: %s\n", what);
		abort();
	}
}

static void *
allocate(size_t size)
{
	/* An exact heap block, so that the sanitizer sees each byte beyond. */
	void *block = malloc(size);

	require(block != NULL, "out of memory");
	return block;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char text[FERNET_KEY_LENGTH + 1];

	(void) argc;
	(void) argv;
	require(fernet_encode(key_bytes, FERNET_KEY_BYTES, text) ==
				FERNET_KEY_LENGTH,
			"length of a key");
	require(fernet_key_create(text, FERNET_KEY_LENGTH, &fuzz_key) == FERNET_OK,
			"a key is a key");
	require(fernet_generate_key(text) == FERNET_OK, "generate a key");
	require(fernet_key_create(text, FERNET_KEY_LENGTH, &other_key) == FERNET_OK,
			"a generated key is a key");
	return 0;
}

/*
 * Whatever the bytes are, decrypting them neither crashes nor leaves anything
 * behind when it fails.
 */
static FernetStatus
open_token(const unsigned char *data, size_t length)
{
	unsigned char *plaintext = allocate(length);
	size_t		   plaintext_length;
	FernetStatus   status;

	memset(plaintext, 0, length);
	(void) fernet_timestamp(data);
	(void) fernet_check_time(data, length, 1000000000);
	status = fernet_decrypt(fuzz_key, data, length, plaintext,
							&plaintext_length);
	require(status != FERNET_FAILED, "the library works");
	if (status == FERNET_OK)
	{
		require(fernet_verify(fuzz_key, data, length) == FERNET_OK,
				"what decrypts verifies");
		require(FERNET_SEALED_SIZE(plaintext_length) == length,
				"length of the plaintext");
		require(fernet_decrypt(other_key, data, length, plaintext,
							   &plaintext_length) == FERNET_OTHER_KEY,
				"another key reads nothing");
	}
	else
	{
		require(plaintext_length == 0, "no length without success");
		for (size_t i = 0; i < length; i++)
			require(plaintext[i] == 0, "nothing left behind");
	}
	free(plaintext);
	return status;
}

/*
 * The decoder again, without tables and in no hurry, after CPython's
 * binascii.a2b_base64().
 */
static int
decode_slowly(const uint8_t *text, size_t length, unsigned char *data,
			  size_t *data_length)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								   "abcdefghijklmnopqrstuvwxyz0123456789";
	int				  quad_position = 0;
	int				  pads = 0;
	unsigned int	  left = 0;

	*data_length = 0;
	for (size_t i = 0; i < length; i++)
	{
		if (text[i] >= 0x80)
			return 0;
	}
	for (size_t i = 0; i < length; i++)
	{
		const char	*found;
		unsigned int value;

		if (text[i] == '=')
		{
			if (quad_position >= 2 && quad_position + ++pads >= 4)
				return 1;
			continue;
		}
		if (text[i] == '-' || text[i] == '+')
			value = 62;
		else if (text[i] == '_' || text[i] == '/')
			value = 63;
		else if (text[i] != 0 && (found = strchr(alphabet, text[i])) != NULL)
			value = found - alphabet;
		else
			continue;

		pads = 0;
		if (quad_position > 0)
			data[(*data_length)++] = left << (2 * quad_position) |
									 value >> (6 - 2 * quad_position);
		left = value & ((1 << (6 - 2 * quad_position)) - 1);
		quad_position = (quad_position + 1) % 4;
	}
	return quad_position == 0;
}

static void
compare_decoders(const uint8_t *text, size_t size)
{
	unsigned char *fast = allocate(FERNET_DECODED_SIZE(size));
	unsigned char *slow = allocate(FERNET_DECODED_SIZE(size));
	size_t		   fast_length;
	size_t		   slow_length;
	int			   good = decode_slowly(text, size, slow, &slow_length);

	require(syncmaster_decode_base64((const char *) text, size, fast,
									 &fast_length) == good,
			"both decoders accept the same");
	require(!good || (fast_length == slow_length &&
					  memcmp(fast, slow, fast_length) == 0),
			"both decoders give the same");
	free(slow);
	free(fast);
}

/*
 * Decrypt what is known to be a token, with a context of its own.
 */
static void
require_plaintext(const unsigned char *data, size_t length,
				  const uint8_t *plaintext, size_t size)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char  *result = allocate(length);
	int				body = 0;
	int				tail = 0;

	require(context != NULL &&
				EVP_DecryptInit_ex(context, EVP_aes_128_cbc(), NULL,
								   key_bytes + SIGNING_KEY_BYTES,
								   data + IV_OFFSET) == 1 &&
				EVP_DecryptUpdate(context, result, &body,
								  data + CIPHERTEXT_OFFSET,
								  (int) (length - FERNET_OVERHEAD)) == 1 &&
				EVP_DecryptFinal_ex(context, result + body, &tail) == 1,
			"OpenSSL decrypts the token");
	require((size_t) body + tail == size &&
				(size == 0 || memcmp(result, plaintext, size) == 0),
			"and finds the plaintext");
	EVP_CIPHER_CTX_free(context);
	free(result);
}

/* The input is a token in text form. */
static void
fuzz_text(const uint8_t *input, size_t size)
{
	unsigned char *data = allocate(FERNET_DECODED_SIZE(size));
	size_t		   length;

	compare_decoders(input, size);
	if (fernet_decode((const char *) input, size, data, &length) == FERNET_OK)
	{
		char		  *text = allocate(FERNET_ENCODED_SIZE(length));
		unsigned char *again = allocate(
			FERNET_DECODED_SIZE(FERNET_ENCODED_SIZE(length)));
		size_t text_length = fernet_encode(data, length, text);
		size_t again_length;

		require(text_length == FERNET_ENCODED_SIZE(length),
				"length of the text");
		require(fernet_decode(text, text_length, again, &again_length) ==
						FERNET_OK &&
					again_length == length && memcmp(data, again, length) == 0,
				"text and back");
		open_token(data, length);
		free(again);
		free(text);
	}
	free(data);
}

/* The input is the text of a key. */
static void
fuzz_key_text(const uint8_t *input, size_t size)
{
	FernetKey	*key;
	FernetStatus status = fernet_key_create((const char *) input, size, &key);

	require(status == FERNET_OK || status == FERNET_MALFORMED,
			"the library works");
	require((status == FERNET_OK) == (key != NULL), "a key or none");
	fernet_key_free(key);
}

/* The input is a plaintext; the last byte says which bit to flip. */
static void
fuzz_plaintext(const uint8_t *input, size_t size)
{
	size_t		   length = FERNET_SEALED_SIZE(size);
	unsigned char *data = allocate(length);
	unsigned char *plaintext = allocate(length);
	size_t		   plaintext_length;
	size_t		   flip = size > 0 ? input[size - 1] : 0;
	unsigned char  iv[FERNET_IV_BYTES];

	/* A given IV is used, and does not show in the token after it. */
	memset(iv, (int) flip, sizeof(iv));
	require(fernet_encrypt(fuzz_key, input, size, 0, iv, data) == FERNET_OK &&
				memcmp(data + IV_OFFSET, iv, sizeof(iv)) == 0,
			"encrypt with an IV");
	require_plaintext(data, length, input, size);

	require(fernet_encrypt(fuzz_key, input, size, UINT64_MAX - size, NULL,
						   data) == FERNET_OK,
			"encrypt");
	require(memcmp(data + IV_OFFSET, iv, sizeof(iv)) != 0, "a fresh IV");
	require_plaintext(data, length, input, size);
	require(fernet_timestamp(data) == UINT64_MAX - size, "timestamp");
	require(fernet_decrypt(fuzz_key, data, length, plaintext,
						   &plaintext_length) == FERNET_OK &&
				plaintext_length == size &&
				(size == 0 || memcmp(plaintext, input, size) == 0),
			"round trip");
	data[(flip * 8191 + size) % length] ^= 1 << (flip & 7);
	require(open_token(data, length) == FERNET_OTHER_KEY, "flipped bit");
	free(plaintext);
	free(data);
}

/* The input is the unsigned part of a token: sign it. */
static void
fuzz_signed(const uint8_t *input, size_t size)
{
	unsigned char *data = allocate(size + HMAC_BYTES);
	size_t		   length = size + HMAC_BYTES;
	FernetStatus   status;

	if (size > 0)
		memcpy(data, input, size);
	require(HMAC(EVP_sha256(), key_bytes, SIGNING_KEY_BYTES, input, size,
				 data + size, NULL) != NULL,
			"sign");
	if (length >= 9)
	{
		status = open_token(data, length);
		require(status == FERNET_OK || status == FERNET_MALFORMED,
				"our own signature");
		require(size < CIPHERTEXT_OFFSET + 16 ||
					(size - CIPHERTEXT_OFFSET) % 16 != 0 ||
					fernet_verify(fuzz_key, data, length) == FERNET_OK,
				"the HMAC is OpenSSL's");
		require(size >= CIPHERTEXT_OFFSET + 16 ||
					fernet_verify(fuzz_key, data, length) == FERNET_MALFORMED,
				"a token has ciphertext, whoever signed it");
	}
	free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size == 0)
		return 0;
	switch (input[0] % 4)
	{
		case 0:
			fuzz_text(input + 1, size - 1);
			break;
		case 1:
			fuzz_key_text(input + 1, size - 1);
			break;
		case 2:
			fuzz_plaintext(input + 1, size - 1);
			break;
		default:
			fuzz_signed(input + 1, size - 1);
	}
	return 0;
}
