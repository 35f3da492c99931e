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
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "credential/base64.h"
#include "credential/fernet.h"

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
#define POOL_BYTES ((size_t) 64 * BLOCK_BYTES)

/*
 * A key with its contexts, set up once and used for any number of tokens.
 *
 * HMAC is the hash of the key xor opad and of the hash of the key xor ipad
 * and the message.  "inner" and "outer" have absorbed the two keyed blocks;
 * each HMAC starts from copies of them.  EVP_MAC does not exist before
 * OpenSSL 3.0, and copying a context of the digest-sign interface sets up the
 * key again, at four times the cost of the HMAC itself.
 *
 * The ciphers' contexts do no padding and are never finished, so that they
 * can go on with the next token as they are: see fernet_decrypt().
 *
 * The pool of random bytes must not be shared by two processes: make a key
 * after fork(), not before.
 */
struct FernetKey
{
	EVP_CIPHER_CTX *encryptor;
	EVP_CIPHER_CTX *decryptor;
	EVP_MD_CTX	   *inner;
	EVP_MD_CTX	   *outer;
	EVP_MD_CTX	   *work;
	size_t			pool_left;
	unsigned char	pool[POOL_BYTES];
	char			fingerprint[FERNET_FINGERPRINT_LENGTH + 1];
};

/*
 * A new key, as FERNET_KEY_LENGTH characters and a zero.
 */
FernetStatus
fernet_generate_key(char *text)
{
	unsigned char bytes[FERNET_KEY_BYTES];
	bool		  ok = RAND_priv_bytes(bytes, sizeof(bytes)) == 1;

	if (ok)
		text[syncmaster_encode_base64(bytes, sizeof(bytes), text)] = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));

	return ok ? FERNET_OK : FERNET_FAILED;
}

/*
 * A hash context that has absorbed one block: the signing key xor a constant.
 */
static EVP_MD_CTX *
make_hmac_half(const unsigned char *signing_key, unsigned char constant)
{
	EVP_MD_CTX	 *context = EVP_MD_CTX_new();
	unsigned char block[SHA256_BLOCK_BYTES];
	bool		  ok;

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
	unsigned char	  hash[EVP_MAX_MD_SIZE];

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
	static const unsigned char zeros[FERNET_IV_BYTES];
	const unsigned char		  *encryption_key = bytes + HALF_KEY_BYTES;

	key->inner = make_hmac_half(bytes, 0x36);
	key->outer = make_hmac_half(bytes, 0x5c);
	key->work = EVP_MD_CTX_new();
	key->encryptor = EVP_CIPHER_CTX_new();
	key->decryptor = EVP_CIPHER_CTX_new();

	return key->inner != NULL && key->outer != NULL && key->work != NULL &&
		   key->encryptor != NULL && key->decryptor != NULL &&
		   EVP_EncryptInit_ex(key->encryptor, EVP_aes_128_cbc(), NULL,
							  encryption_key, zeros) == 1 &&
		   EVP_DecryptInit_ex(key->decryptor, EVP_aes_128_cbc(), NULL,
							  encryption_key, zeros) == 1 &&
		   EVP_CIPHER_CTX_set_padding(key->encryptor, 0) == 1 &&
		   EVP_CIPHER_CTX_set_padding(key->decryptor, 0) == 1 &&
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
	size_t		  bytes_length = 0;
	FernetStatus  status = FERNET_MALFORMED;

	*key = NULL;
	if (length <= MAX_KEY_TEXT &&
		syncmaster_decode_base64(text, length, bytes, &bytes_length) &&
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
 * The text form of a token; returns its length.  No zero is appended.
 */
size_t
fernet_encode(const unsigned char *data, size_t length, char *text)
{
	return syncmaster_encode_base64(data, length, text);
}

/*
 * The binary form of a token, which may be shorter than any real one if it
 * has a version and a timestamp; "data" has FERNET_DECODED_SIZE(length)
 * bytes.
 */
FernetStatus
fernet_decode(const char *text, size_t length, unsigned char *data,
			  size_t *data_length)
{
	*data_length = 0;
	if (length > FERNET_MAX_TEXT ||
		!syncmaster_decode_base64(text, length, data, data_length) ||
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
 * Check that the token's time, any 64-bit number, is not older than the time
 * to live and not further in the future than the tolerated clock skew.
 * SyncMaster does not make this check.
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
 * Check that the token was signed with this key.
 */
FernetStatus
fernet_verify(FernetKey *key, const unsigned char *data, size_t length)
{
	unsigned char hmac[EVP_MAX_MD_SIZE];
	FernetStatus  status;

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
 * The number of padding bytes of the last block; 0 if they are not those of
 * PKCS #7.  The padded text was signed, so the time that this takes tells an
 * attacker nothing.
 */
static size_t
padding_length(const unsigned char *block)
{
	size_t padding = block[BLOCK_BYTES - 1];

	if (padding > BLOCK_BYTES)
		return 0;
	for (size_t i = BLOCK_BYTES - padding; i < BLOCK_BYTES; i++)
	{
		if (block[i] != padding)
			return 0;
	}
	return padding;
}

/*
 * Verify a token, then decrypt it into "plaintext", which has as many bytes as
 * the token.  Unless FERNET_OK is returned, no plaintext is left there.
 *
 * The token's IV is decrypted as if it were the first block of ciphertext.
 * The resulting block, which depends on what the context did before, is
 * discarded; decrypting it puts the context into the state that the IV is for.
 * Setting the IV by EVP_DecryptInit_ex() takes longer than decrypting a usual
 * token.
 */
FernetStatus
fernet_decrypt(FernetKey *key, const unsigned char *data, size_t length,
			   unsigned char *plaintext, size_t *plaintext_length)
{
	FernetStatus status;
	int			 size = 0;
	size_t		 padding = 0;

	*plaintext_length = 0;
	status = fernet_verify(key, data, length);
	if (status != FERNET_OK)
		return status;

	length -= IV_OFFSET + HMAC_BYTES;
	if (EVP_DecryptUpdate(key->decryptor, plaintext, &size, data + IV_OFFSET,
						  (int) length) != 1 ||
		(size_t) size != length)
		status = FERNET_FAILED;
	else if ((padding = padding_length(plaintext + length - BLOCK_BYTES)) == 0)
		status = FERNET_MALFORMED;

	if (status != FERNET_OK)
	{
		OPENSSL_cleanse(plaintext, length);
		return status;
	}
	*plaintext_length = length - BLOCK_BYTES - padding;
	memmove(plaintext, plaintext + BLOCK_BYTES, *plaintext_length);
	OPENSSL_cleanse(plaintext + *plaintext_length, BLOCK_BYTES + padding);
	return FERNET_OK;
}

static const unsigned char *
next_random_block(FernetKey *key)
{
	if (key->pool_left == 0)
	{
		if (RAND_bytes(key->pool, (int) POOL_BYTES) != 1)
			return NULL;
		key->pool_left = POOL_BYTES;
	}
	key->pool_left -= BLOCK_BYTES;
	return key->pool + key->pool_left;
}

/*
 * Make the binary form of a token, FERNET_SEALED_SIZE(plaintext_length) bytes
 * at "data".  Only tests pass an IV; with NULL, the IV is random.
 *
 * A random IV is not set, which would take longer than encrypting a usual
 * token: a random block is encrypted before the plaintext, and the result is
 * the IV. As all random blocks are equally likely, so are all IVs, whatever
 * the context did before.
 */
FernetStatus
fernet_encrypt(FernetKey *key, const unsigned char *plaintext,
			   size_t plaintext_length, uint64_t timestamp,
			   const unsigned char *iv, unsigned char *data)
{
	unsigned char		*ciphertext = data + CIPHERTEXT_OFFSET;
	unsigned char		*start = data + IV_OFFSET;
	const unsigned char *first_block = iv;
	size_t				 length;
	size_t				 padding;
	int					 size = 0;

	if (plaintext_length > FERNET_MAX_PLAINTEXT)
		return FERNET_FAILED;
	if (iv == NULL && (first_block = next_random_block(key)) == NULL)
		return FERNET_FAILED;
	length = FERNET_SEALED_SIZE(plaintext_length) - HMAC_BYTES;
	padding = length - CIPHERTEXT_OFFSET - plaintext_length;

	data[0] = VERSION;
	for (int i = IV_OFFSET - 1; i >= TIMESTAMP_OFFSET; i--)
	{
		data[i] = timestamp & 0xff;
		timestamp >>= 8;
	}
	memcpy(data + IV_OFFSET, first_block, FERNET_IV_BYTES);
	memcpy(ciphertext, plaintext, plaintext_length);
	memset(ciphertext + plaintext_length, (int) padding, padding);

	if (iv != NULL)
	{
		if (EVP_EncryptInit_ex(key->encryptor, NULL, NULL, NULL, iv) != 1)
			return FERNET_FAILED;
		start = ciphertext;
	}
	if (EVP_EncryptUpdate(key->encryptor, start, &size, start,
						  (int) (data + length - start)) != 1 ||
		start + size != data + length ||
		!compute_hmac(key, data, length, data + length))
	{
		OPENSSL_cleanse(ciphertext, plaintext_length);
		return FERNET_FAILED;
	}
	return FERNET_OK;
}
