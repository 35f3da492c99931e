/*-------------------------------------------------------------------------
 *
 * fernet.c
 *	  Fernet tokens: AES-128-CBC and HMAC-SHA256 in base64url.
 *
 * The reference is Python's "cryptography", because that is what writes and
 * reads these tokens beside us: what it accepts is accepted, what it refuses
 * is refused.  That includes its base64 decoder, which skips characters
 * outside the alphabet and stops at the padding.
 *
 *-------------------------------------------------------------------------
 */
#include "fernet.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define VERSION 0x80
#define TIMESTAMP_OFFSET 1
#define IV_OFFSET 9
#define CIPHERTEXT_OFFSET 25
#define BLOCK_BYTES 16
#define HMAC_BYTES 32
#define HALF_KEY_BYTES 16
#define SHA256_BLOCK_BYTES 64

/* Clock difference that the specification tolerates, in seconds. */
#define MAX_CLOCK_SKEW 60

/* Longest text that is tried as a key, with whatever is skipped in it. */
#define MAX_KEY_TEXT ((size_t) 1024)

/* Drawing random bytes costs more by the call than by the byte. */
#define IV_POOL_BYTES ((size_t) 64 * FERNET_IV_BYTES)

/*
 * A key with its contexts, set up once and used for any number of tokens.
 *
 * HMAC is the hash of the key xor opad and of the hash of the key xor ipad
 * and the message.  "inner" and "outer" have absorbed the two keyed blocks;
 * each HMAC starts from copies of them.  EVP_MAC does not exist before
 * OpenSSL 3.0, and copying a context of the digest-sign interface sets up the
 * key again, at four times the cost of the HMAC itself.
 *
 * The pool of IVs must not be shared by two processes: make a key after
 * fork(), not before.
 */
struct FernetKey
{
	EVP_CIPHER_CTX *encryptor;
	EVP_CIPHER_CTX *decryptor;
	EVP_MD_CTX *inner;
	EVP_MD_CTX *outer;
	EVP_MD_CTX *work;
	size_t iv_left;
	unsigned char iv_pool[IV_POOL_BYTES];
	char fingerprint[FERNET_FINGERPRINT_LENGTH + 1];
};

static const char base64url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of anything but the 64 characters. */
#define NOT_BASE64 0xff

/* Like Python's, the decoder takes both alphabets: "-_" and "+/". */
#define XX NOT_BASE64
/* clang-format off */
static const unsigned char base64_values[256] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, 62, XX, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
	XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, 63,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX
};
/* clang-format on */
#undef XX

/*
 * Bytes to padded base64url; returns the number of characters.  No zero is
 * appended.
 */
size_t
fernet_encode(const unsigned char *data, size_t length, char *text)
{
	char *start = text;

	while (length >= 3)
	{
		uint32_t group = (uint32_t) data[0] << 16 | data[1] << 8 | data[2];

		*text++ = base64url[group >> 18];
		*text++ = base64url[group >> 12 & 63];
		*text++ = base64url[group >> 6 & 63];
		*text++ = base64url[group & 63];
		data += 3;
		length -= 3;
	}
	if (length > 0)
	{
		uint32_t group = (uint32_t) data[0] << 16;

		if (length == 2)
			group |= data[1] << 8;
		*text++ = base64url[group >> 18];
		*text++ = base64url[group >> 12 & 63];
		*text++ = length == 2 ? base64url[group >> 6 & 63] : '=';
		*text++ = '=';
	}
	return text - start;
}

/*
 * Text to bytes, exactly as Python's urlsafe_b64decode() does for a str:
 * characters outside the alphabet are skipped, padding ends the text when it
 * completes a group of four and is skipped elsewhere, an incomplete last
 * group is an error, and so is any character that is not ASCII.
 */
static bool
decode_base64(const char *text, size_t length, unsigned char *data,
			  size_t *data_length)
{
	const unsigned char *in = (const unsigned char *) text;
	const unsigned char *end = in + length;
	unsigned char *out = data;
	unsigned char group[4];
	int position = 0;
	int padding = 0;
	unsigned char all = 0;
	bool complete = false;

	while (in < end)
	{
		unsigned char value;

		/* The usual case, four good characters at a time. */
		if (position == 0 && end - in >= 4)
		{
			unsigned int a = base64_values[in[0]];
			unsigned int b = base64_values[in[1]];
			unsigned int c = base64_values[in[2]];
			unsigned int d = base64_values[in[3]];

			if (((a | b | c | d) & 0x80) == 0)
			{
				out[0] = a << 2 | b >> 4;
				out[1] = b << 4 | c >> 2;
				out[2] = c << 6 | d;
				out += 3;
				in += 4;
				padding = 0;
				continue;
			}
		}

		all |= *in;
		value = base64_values[*in];
		if (*in++ == '=')
		{
			if (position >= 2 && position + ++padding >= 4)
			{
				complete = true;
				break;
			}
			continue;
		}
		if (value == NOT_BASE64)
			continue;

		padding = 0;
		group[position++] = value;
		if (position == 2)
			*out++ = group[0] << 2 | group[1] >> 4;
		else if (position == 3)
			*out++ = group[1] << 4 | group[2] >> 2;
		else if (position == 4)
		{
			*out++ = group[2] << 6 | group[3];
			position = 0;
		}
	}

	while (in < end)
		all |= *in++;
	OPENSSL_cleanse(group, sizeof(group));

	*data_length = out - data;
	return (all & 0x80) == 0 && (complete || position == 0);
}

/*
 * A new key, as FERNET_KEY_LENGTH characters and a zero.
 */
FernetStatus
fernet_generate_key(char *text)
{
	unsigned char bytes[FERNET_KEY_BYTES];
	bool ok = RAND_priv_bytes(bytes, sizeof(bytes)) == 1;

	if (ok)
		text[fernet_encode(bytes, sizeof(bytes), text)] = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));

	return ok ? FERNET_OK : FERNET_FAILED;
}

/*
 * A hash context that has absorbed one block: the signing key xor a constant.
 */
static EVP_MD_CTX *
make_hmac_half(const unsigned char *signing_key, unsigned char constant)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char block[SHA256_BLOCK_BYTES];
	bool ok;

	memset(block, constant, sizeof(block));
	for (int i = 0; i < HALF_KEY_BYTES; i++)
		block[i] ^= signing_key[i];
	ok = context != NULL &&
		 EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(context, block, sizeof(block)) == 1;
	OPENSSL_cleanse(block, sizeof(block));

	if (!ok)
	{
		EVP_MD_CTX_free(context);
		return NULL;
	}
	return context;
}

/*
 * The first bytes of the key's SHA-256, in hexadecimal.  The key is 256
 * random bits, so its hash tells nothing about it.
 */
static bool
make_fingerprint(const unsigned char *bytes, char *fingerprint)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(bytes, FERNET_KEY_BYTES, hash, NULL, EVP_sha256(), NULL) !=
		1)
		return false;
	for (size_t i = 0; i < FERNET_FINGERPRINT_LENGTH / 2; i++)
	{
		fingerprint[2 * i] = digits[hash[i] >> 4];
		fingerprint[2 * i + 1] = digits[hash[i] & 15];
	}
	fingerprint[FERNET_FINGERPRINT_LENGTH] = '\0';
	return true;
}

static bool
set_up_key(FernetKey *key, const unsigned char *bytes)
{
	const unsigned char *encryption_key = bytes + HALF_KEY_BYTES;

	key->inner = make_hmac_half(bytes, 0x36);
	key->outer = make_hmac_half(bytes, 0x5c);
	key->work = EVP_MD_CTX_new();
	key->encryptor = EVP_CIPHER_CTX_new();
	key->decryptor = EVP_CIPHER_CTX_new();

	return key->inner != NULL && key->outer != NULL && key->work != NULL &&
		   key->encryptor != NULL && key->decryptor != NULL &&
		   EVP_EncryptInit_ex(key->encryptor, EVP_aes_128_cbc(), NULL,
							  encryption_key, NULL) == 1 &&
		   EVP_DecryptInit_ex(key->decryptor, EVP_aes_128_cbc(), NULL,
							  encryption_key, NULL) == 1 &&
		   make_fingerprint(bytes, key->fingerprint);
}

/*
 * Make a key from its text.  On FERNET_OK, fernet_key_free() it; otherwise
 * *key is NULL.
 */
FernetStatus
fernet_key_create(const char *text, size_t length, FernetKey **key)
{
	unsigned char bytes[FERNET_DECODED_SIZE(MAX_KEY_TEXT)];
	size_t bytes_length = 0;
	FernetStatus status = FERNET_MALFORMED;

	*key = NULL;
	if (length <= MAX_KEY_TEXT &&
		decode_base64(text, length, bytes, &bytes_length) &&
		bytes_length == FERNET_KEY_BYTES)
	{
		*key = OPENSSL_zalloc(sizeof(FernetKey));
		status = FERNET_OK;
		if (*key == NULL || !set_up_key(*key, bytes))
		{
			fernet_key_free(*key);
			*key = NULL;
			status = FERNET_FAILED;
		}
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return status;
}

/*
 * OpenSSL wipes what the contexts hold when it frees them.
 */
void
fernet_key_free(FernetKey *key)
{
	if (key == NULL)
		return;
	EVP_CIPHER_CTX_free(key->encryptor);
	EVP_CIPHER_CTX_free(key->decryptor);
	EVP_MD_CTX_free(key->inner);
	EVP_MD_CTX_free(key->outer);
	EVP_MD_CTX_free(key->work);
	OPENSSL_clear_free(key, sizeof(FernetKey));
}

const char *
fernet_key_fingerprint(const FernetKey *key)
{
	return key->fingerprint;
}

static bool
compute_hmac(FernetKey *key, const unsigned char *data, size_t length,
			 unsigned char *hmac)
{
	return EVP_MD_CTX_copy_ex(key->work, key->inner) == 1 &&
		   EVP_DigestUpdate(key->work, data, length) == 1 &&
		   EVP_DigestFinal_ex(key->work, hmac, NULL) == 1 &&
		   EVP_MD_CTX_copy_ex(key->work, key->outer) == 1 &&
		   EVP_DigestUpdate(key->work, hmac, HMAC_BYTES) == 1 &&
		   EVP_DigestFinal_ex(key->work, hmac, NULL) == 1;
}

/*
 * The binary form of a token, which may be shorter than any real one if it
 * has a version and a timestamp; "data" has FERNET_DECODED_SIZE(length) bytes.
 */
FernetStatus
fernet_decode(const char *text, size_t length, unsigned char *data,
			  size_t *data_length)
{
	*data_length = 0;
	if (length > FERNET_MAX_TEXT ||
		!decode_base64(text, length, data, data_length) ||
		*data_length < IV_OFFSET || data[0] != VERSION)
		return FERNET_MALFORMED;
	return FERNET_OK;
}

/*
 * When the token was made, in seconds since 1970.
 */
uint64_t
fernet_timestamp(const unsigned char *data)
{
	uint64_t timestamp = 0;

	for (int i = TIMESTAMP_OFFSET; i < IV_OFFSET; i++)
		timestamp = timestamp << 8 | data[i];
	return timestamp;
}

/*
 * Is the token, made at any time of 64 bits, between its time to live before
 * now and the tolerated clock difference after now?  SyncMaster never asks.
 */
FernetStatus
fernet_check_time(const unsigned char *data, uint64_t ttl, uint64_t now)
{
	uint64_t timestamp = fernet_timestamp(data);

	if (timestamp < now && now - timestamp > ttl)
		return FERNET_EXPIRED;
	if (timestamp > now && timestamp - now > MAX_CLOCK_SKEW)
		return FERNET_FROM_THE_FUTURE;
	return FERNET_OK;
}

/*
 * Was this token signed with this key?
 */
FernetStatus
fernet_verify(FernetKey *key, const unsigned char *data, size_t length)
{
	unsigned char hmac[EVP_MAX_MD_SIZE];
	FernetStatus status;

	if (length < FERNET_SEALED_SIZE(0) ||
		(length - FERNET_OVERHEAD) % BLOCK_BYTES != 0)
		return FERNET_MALFORMED;

	length -= HMAC_BYTES;
	if (!compute_hmac(key, data, length, hmac))
		status = FERNET_FAILED;
	else if (CRYPTO_memcmp(hmac, data + length, HMAC_BYTES) != 0)
		status = FERNET_OTHER_KEY;
	else
		status = FERNET_OK;

	/* With the right HMAC in hand, one could forge the token. */
	OPENSSL_cleanse(hmac, sizeof(hmac));
	return status;
}

/*
 * Verify a token, then decrypt it into "plaintext", which has as many bytes
 * as the token.  Unless FERNET_OK is returned, nothing is left there.
 */
FernetStatus
fernet_decrypt(FernetKey *key, const unsigned char *data, size_t length,
			   unsigned char *plaintext, size_t *plaintext_length)
{
	FernetStatus status;
	int body = 0;
	int tail = 0;
	size_t ciphertext_length;

	*plaintext_length = 0;
	status = fernet_verify(key, data, length);
	if (status != FERNET_OK)
		return status;

	ciphertext_length = length - FERNET_OVERHEAD;
	if (EVP_DecryptInit_ex(key->decryptor, NULL, NULL, NULL,
						   data + IV_OFFSET) != 1 ||
		EVP_DecryptUpdate(key->decryptor, plaintext, &body,
						  data + CIPHERTEXT_OFFSET,
						  (int) ciphertext_length) != 1)
		status = FERNET_FAILED;
	else if (EVP_DecryptFinal_ex(key->decryptor, plaintext + body, &tail) != 1)
		status = FERNET_MALFORMED;

	if (status != FERNET_OK)
	{
		OPENSSL_cleanse(plaintext, ciphertext_length);
		ERR_clear_error();
		return status;
	}
	*plaintext_length = (size_t) body + tail;
	return FERNET_OK;
}

static const unsigned char *
next_iv(FernetKey *key)
{
	if (key->iv_left == 0)
	{
		if (RAND_bytes(key->iv_pool, (int) IV_POOL_BYTES) != 1)
			return NULL;
		key->iv_left = IV_POOL_BYTES;
	}
	key->iv_left -= FERNET_IV_BYTES;
	return key->iv_pool + key->iv_left;
}

/*
 * Make the binary form of a token, FERNET_SEALED_SIZE(plaintext_length) bytes
 * at "data".  A caller other than a test passes NULL for the IV and gets a
 * random one.
 */
FernetStatus
fernet_encrypt(FernetKey *key, const unsigned char *plaintext,
			   size_t plaintext_length, uint64_t timestamp,
			   const unsigned char *iv, unsigned char *data)
{
	unsigned char *ciphertext = data + CIPHERTEXT_OFFSET;
	int body = 0;
	int tail = 0;
	size_t length;

	if (plaintext_length > FERNET_MAX_PLAINTEXT)
		return FERNET_FAILED;
	if (iv == NULL && (iv = next_iv(key)) == NULL)
		return FERNET_FAILED;

	data[0] = VERSION;
	for (int i = IV_OFFSET - 1; i >= TIMESTAMP_OFFSET; i--)
	{
		data[i] = timestamp & 0xff;
		timestamp >>= 8;
	}
	memcpy(data + IV_OFFSET, iv, FERNET_IV_BYTES);

	if (EVP_EncryptInit_ex(key->encryptor, NULL, NULL, NULL, iv) != 1 ||
		EVP_EncryptUpdate(key->encryptor, ciphertext, &body, plaintext,
						  (int) plaintext_length) != 1 ||
		EVP_EncryptFinal_ex(key->encryptor, ciphertext + body, &tail) != 1)
		return FERNET_FAILED;

	length = CIPHERTEXT_OFFSET + (size_t) body + tail;
	return compute_hmac(key, data, length, data + length) ? FERNET_OK
														  : FERNET_FAILED;
}
