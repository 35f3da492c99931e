/*-------------------------------------------------------------------------
 *
 * test_fernet.c
 *	  src/credential/fernet.c against the specification's vectors, and against what
 *	  Python's base64 decoder does with odd text.
 *
 *	test_fernet directory-with-vectors
 *
 * Prints TAP.
 *
 *-------------------------------------------------------------------------
 */
#include "credential/fernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAX_VALUE 512

/* One object of a file of vectors. */
typedef struct Vector
{
	char		  desc[MAX_VALUE];
	char		  token[MAX_VALUE];
	char		  secret[MAX_VALUE];
	char		  src[MAX_VALUE];
	uint64_t	  now;
	uint64_t	  ttl;
	unsigned char iv[FERNET_IV_BYTES];
} Vector;

static int tests;
static int failures;

static void
ok(int condition, const char *name, const char *detail)
{
	tests++;
	if (!condition)
		failures++;
	printf("%sok %d - %s%s%s\n", condition ? "" : "not ", tests, name,
		   *detail ? ": " : "", detail);
}

static char *
read_file(const char *directory, const char *name)
{
	char  path[4096];
	char *content = calloc(1, 65536);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	if (file == NULL || fread(content, 1, 65535, file) == 0)
	{
		perror(path);
		exit(2);
	}
	fclose(file);
	return content;
}

/*
 * The member's value up to the end of the object, or NULL.
 */
static const char *
find_member(const char *object, const char *end, const char *name)
{
	char		quoted[64];
	const char *found;

	snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
	found = strstr(object, quoted);
	return found != NULL && found < end ? found + strlen(quoted) : NULL;
}

static void
copy_string(const char *value, char *result)
{
	if (value == NULL || sscanf(value, "\"%511[^\"]\"", result) != 1)
		*result = '\0';
}

/*
 * Seconds since 1970 of a time like 1985-10-26T01:20:00-07:00.
 */
static uint64_t
parse_time(const char *value)
{
	struct tm tm = {0};
	int		  hours = 0;

	if (sscanf(value, "\"%d-%d-%dT%d:%d:%d%d", &tm.tm_year, &tm.tm_mon,
			   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &hours) != 7)
		abort();
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm) - hours * 3600;
}

/*
 * Read the next object; returns what is behind it, or NULL at the end.
 */
static const char *
next_vector(const char *content, Vector *vector)
{
	const char *start = strchr(content, '{');
	const char *end = start == NULL ? NULL : strchr(start, '}');
	const char *value;

	if (end == NULL)
		return NULL;
	memset(vector, 0, sizeof(*vector));
	copy_string(find_member(start, end, "desc"), vector->desc);
	copy_string(find_member(start, end, "token"), vector->token);
	copy_string(find_member(start, end, "secret"), vector->secret);
	copy_string(find_member(start, end, "src"), vector->src);
	vector->now = parse_time(find_member(start, end, "now"));
	value = find_member(start, end, "ttl_sec");
	vector->ttl = value == NULL ? 0 : strtoull(value, NULL, 10);
	value = find_member(start, end, "iv");
	for (int i = 0; value != NULL && i < FERNET_IV_BYTES; i++)
		vector->iv[i] = strtoul(value + 1, (char **) &value, 10);
	return end + 1;
}

/*
 * Read a token as its receiver would; with_ttl says whether the clock counts.
 */
static FernetStatus
open_vector(const Vector *vector, int with_ttl, char *plaintext)
{
	unsigned char data[MAX_VALUE];
	size_t		  length;
	size_t		  plaintext_length;
	FernetKey	 *key;
	FernetStatus  status;

	if (fernet_key_create(vector->secret, strlen(vector->secret), &key) !=
		FERNET_OK)
		abort();
	status = fernet_decode(vector->token, strlen(vector->token), data, &length);
	if (status == FERNET_OK && with_ttl)
		status = fernet_check_time(data, vector->ttl, vector->now);
	if (status == FERNET_OK)
		status = fernet_decrypt(key, data, length, (unsigned char *) plaintext,
								&plaintext_length);
	if (status == FERNET_OK)
		plaintext[plaintext_length] = '\0';
	fernet_key_free(key);
	return status;
}

static void
test_generate(const char *directory)
{
	char	   *content = read_file(directory, "generate.json");
	const char *rest = content;
	Vector		vector;

	while ((rest = next_vector(rest, &vector)) != NULL)
	{
		unsigned char data[MAX_VALUE];
		char		  text[MAX_VALUE];
		FernetKey	 *key;
		size_t		  size = strlen(vector.src);

		if (fernet_key_create(vector.secret, strlen(vector.secret), &key) !=
			FERNET_OK)
			abort();
		ok(fernet_encrypt(key, (unsigned char *) vector.src, size, vector.now,
						  vector.iv, data) == FERNET_OK,
		   "generate", "encrypts");
		text[fernet_encode(data, FERNET_SEALED_SIZE(size), text)] = '\0';
		ok(strcmp(text, vector.token) == 0, "generate", "the same token");
		fernet_key_free(key);
	}
	free(content);
}

static void
test_verify(const char *directory)
{
	char	   *content = read_file(directory, "verify.json");
	const char *rest = content;
	Vector		vector;
	char		plaintext[MAX_VALUE];

	while ((rest = next_vector(rest, &vector)) != NULL)
	{
		ok(open_vector(&vector, 1, plaintext) == FERNET_OK &&
			   strcmp(plaintext, vector.src) == 0,
		   "verify", "with time to live");
		ok(open_vector(&vector, 0, plaintext) == FERNET_OK &&
			   strcmp(plaintext, vector.src) == 0,
		   "verify", "without");
	}
	free(content);
}

static void
test_invalid(const char *directory)
{
	char	   *content = read_file(directory, "invalid.json");
	const char *rest = content;
	Vector		vector;
	char		plaintext[MAX_VALUE];
	int			accepted = 0;

	while ((rest = next_vector(rest, &vector)) != NULL)
	{
		int timely = strncmp(vector.desc, "far-future", 10) != 0 &&
					 strncmp(vector.desc, "expired", 7) != 0;
		FernetStatus status;

		ok(open_vector(&vector, 1, plaintext) != FERNET_OK,
		   "refused with time to live", vector.desc);
		status = open_vector(&vector, 0, plaintext);
		ok((status == FERNET_OK) == !timely,
		   timely ? "refused without" : "accepted without", vector.desc);
		accepted += status == FERNET_OK;
	}
	ok(accepted == 2, "two of the invalid vectors only have a wrong time", "");
	free(content);
}

/*
 * A time to live at the ends of what 64 bits hold.
 */
static void
test_time(void)
{
	unsigned char data[9] = {0x80, 0, 0, 0, 0, 0, 0, 0, 100};
	unsigned char last[9] = {0x80, 255, 255, 255, 255, 255, 255, 255, 255};

	ok(fernet_timestamp(data) == 100, "timestamp", "");
	ok(fernet_timestamp(last) == UINT64_MAX, "timestamp", "the last");
	ok(fernet_check_time(data, 60, 160) == FERNET_OK, "time", "just alive");
	ok(fernet_check_time(data, 60, 161) == FERNET_EXPIRED, "time", "expired");
	ok(fernet_check_time(data, 0, 40) == FERNET_OK, "time", "clock skew");
	ok(fernet_check_time(data, 0, 39) == FERNET_FROM_THE_FUTURE, "time",
	   "from the future");
	ok(fernet_check_time(last, UINT64_MAX, 0) == FERNET_FROM_THE_FUTURE, "time",
	   "no overflow");
	ok(fernet_check_time(data, UINT64_MAX, UINT64_MAX) == FERNET_OK, "time",
	   "no overflow of the time to live");
}

/*
 * Keys as text; the answers are those of Python's Fernet(key).
 */
static void
test_key_text(void)
{
	static const struct
	{
		const char *text;
		int			accepted;
	} cases[] = {
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", 1},
		{"cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=", 1},
		{" cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= \r", 1},
		{"cw_0x689RpI-jtRR7oE8h_eQ sKImvJapLeSbXpwF4e4=", 1},
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=trailing", 1},
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", 0},
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4e4=", 0},
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4Q==", 0},
		{"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=\xc3\xa9", 0},
		{"=", 0},
		{"", 0},
	};
	FernetKey *key;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		FernetStatus status = fernet_key_create(cases[i].text,
												strlen(cases[i].text), &key);

		ok(status == (cases[i].accepted ? FERNET_OK : FERNET_MALFORMED),
		   cases[i].accepted ? "key" : "not a key", cases[i].text);
		fernet_key_free(key);
	}
	ok(fernet_key_create(cases[0].text, 44, &key) == FERNET_OK &&
		   strcmp(fernet_key_fingerprint(key), "cbeb362f1fa69a66") == 0,
	   "fingerprint", "");
	fernet_key_free(key);
}

/*
 * Encrypt and decrypt every length around the block size, and one large one.
 */
static void
test_lengths(void)
{
	static const size_t large = 1 << 20;
	unsigned char	   *plaintext = malloc(large);
	unsigned char	   *data = malloc(FERNET_SEALED_SIZE(large));
	unsigned char	   *result = malloc(FERNET_SEALED_SIZE(large));
	char				text[FERNET_KEY_LENGTH + 1];
	FernetKey		   *key;
	int					good = 1;

	memset(plaintext, 'x', large);
	if (fernet_generate_key(text) != FERNET_OK ||
		fernet_key_create(text, strlen(text), &key) != FERNET_OK)
		abort();
	for (size_t size = 0; size <= large; size = size == 300 ? large : size + 1)
	{
		size_t length;

		good &= fernet_encrypt(key, plaintext, size, 1, NULL, data) ==
					FERNET_OK &&
				fernet_decrypt(key, data, FERNET_SEALED_SIZE(size), result,
							   &length) == FERNET_OK &&
				length == size && memcmp(plaintext, result, size) == 0;
		if (size == large)
			break;
	}
	ok(good, "round trips of all lengths", "");

	/* Cut short anywhere, a token is refused. */
	good = 1;
	fernet_encrypt(key, plaintext, 40, 1, NULL, data);
	for (size_t size = 0; size < FERNET_SEALED_SIZE(40); size++)
	{
		size_t length;

		good &= fernet_decrypt(key, data, size, result, &length) != FERNET_OK;
	}
	ok(good, "truncated tokens are refused", "");
	ok(fernet_encrypt(key, plaintext, FERNET_MAX_PLAINTEXT + 1, 1, NULL,
					  data) == FERNET_FAILED,
	   "a plaintext beyond the limit is refused", "");
	fernet_key_free(key);
	free(result);
	free(data);
	free(plaintext);
}

/*
 * A token that is well signed, but has nothing to decrypt, is malformed: the
 * length of its plaintext would be less than none.
 */
static void
test_no_ciphertext(void)
{
	unsigned char key_bytes[FERNET_KEY_BYTES] =
		"the signing key.the crypto key.";
	char		  text[FERNET_ENCODED_SIZE(FERNET_KEY_BYTES) + 1] = "";
	unsigned char data[FERNET_OVERHEAD] = {0x80};
	unsigned char result[FERNET_OVERHEAD];
	size_t		  length;
	FernetKey	 *key;

	fernet_encode(key_bytes, FERNET_KEY_BYTES, text);
	if (fernet_key_create(text, strlen(text), &key) != FERNET_OK ||
		HMAC(EVP_sha256(), key_bytes, 16, data, FERNET_OVERHEAD - 32,
			 data + FERNET_OVERHEAD - 32, NULL) == NULL)
		abort();
	ok(fernet_verify(key, data, FERNET_OVERHEAD) == FERNET_MALFORMED,
	   "a signature over no ciphertext is not looked at", "");
	ok(fernet_decrypt(key, data, FERNET_OVERHEAD, result, &length) ==
			   FERNET_MALFORMED &&
		   length == 0,
	   "nothing is decrypted of no ciphertext", "");
	fernet_key_free(key);
}

/*
 * Of a token that is well signed and badly padded, no plaintext is left.
 */
static void
test_bad_padding(void)
{
	unsigned char key_bytes[FERNET_KEY_BYTES] =
		"the signing key.the crypto key.";
	char		  text[FERNET_ENCODED_SIZE(FERNET_KEY_BYTES) + 1] = "";
	unsigned char data[FERNET_SEALED_SIZE(16)] = {0x80};
	unsigned char result[FERNET_SEALED_SIZE(16)];
	size_t		  signed_bytes = sizeof(data) - 32;
	size_t		  length;
	size_t		  left = 0;
	FernetStatus  status;
	FernetKey	 *key;

	fernet_encode(key_bytes, FERNET_KEY_BYTES, text);
	if (fernet_key_create(text, strlen(text), &key) != FERNET_OK)
		abort();

	/* one ciphertext in 256 has a padding by chance */
	do
	{
		data[signed_bytes - 1]++;
		memset(result, 0, sizeof(result));
		if (HMAC(EVP_sha256(), key_bytes, 16, data, signed_bytes,
				 data + signed_bytes, NULL) == NULL)
			abort();
		status = fernet_decrypt(key, data, sizeof(data), result, &length);
	} while (status == FERNET_OK);
	for (size_t i = 0; i < sizeof(result); i++)
		left += result[i] != 0;
	ok(status == FERNET_MALFORMED && length == 0 && left == 0,
	   "no plaintext is left of a token with bad padding", "");
	fernet_key_free(key);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	test_generate(argv[1]);
	test_verify(argv[1]);
	test_invalid(argv[1]);
	test_time();
	test_key_text();
	test_lengths();
	test_no_ciphertext();
	test_bad_padding();
	printf("1..%d\n", tests);
	return failures != 0;
}
