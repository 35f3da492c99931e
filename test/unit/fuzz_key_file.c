/*-------------------------------------------------------------------------
 *
 * fuzz_key_file.c
 *	  libFuzzer target for key files, src/credential/keyfile.c, compared with
 *	  a reading line by line.
 *
 *-------------------------------------------------------------------------
 */
/* memfd_create() */
#define _GNU_SOURCE
#include "fuzz_server.h"

#include <sys/mman.h>

#include "credential/keyfile.c"

static int file = -1;

int
OpenTransientFile(const char *name, int flags)
{
	(void) name;
	(void) flags;
	return file;
}

int
CloseTransientFile(int fd)
{
	(void) fd;
	return 0;
}

Oid
GetUserId(void)
{
	return InvalidOid;
}

Oid
GetOuterUserId(void)
{
	return GetUserId();
}

bool
has_privs_of_role(Oid member, Oid role)
{
	(void) member;
	(void) role;
	return true;
}

Secret *
syncmaster_make_secret(Size size)
{
	Secret *secret = palloc0(sizeof(Secret));

	secret->data = palloc(size);
	secret->size = size;
	return secret;
}

void
syncmaster_wipe_secret(Secret *secret)
{
	fuzz_require(secret->length <= secret->size, "a secret has room");
	secret->length = 0;
}

/*
 * Is the content good, and how many different keys does it have?
 */
static bool
read_slowly(const char *text, size_t size, int *count)
{
	char prints[512][65];
	bool good = size <= MAX_KEY_FILE_SIZE;

	*count = 0;
	for (size_t start = 0; start < size && good;)
	{
		size_t	   end = start;
		size_t	   next;
		FernetKey *key;

		while (end < size && text[end] != '\n')
			end++;
		next = end + 1;
		while (start < end && text[start] != '\0' &&
			   strchr(" \t\r", text[start]))
			start++;
		while (start < end && text[end - 1] != '\0' &&
			   strchr(" \t\r", text[end - 1]))
			end--;
		if (start < end)
		{
			good = end - start == FERNET_KEY_LENGTH &&
				   fernet_key_create(text + start, end - start, &key) ==
					   FERNET_OK;
			if (good)
			{
				int i = 0;

				while (i < *count &&
					   strcmp(prints[i], fernet_key_fingerprint(key)) != 0)
					i++;
				if (i == *count)
					strcpy(prints[(*count)++], fernet_key_fingerprint(key));
				fernet_key_free(key);
			}
		}
		start = next;
	}
	return good && *count > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	KeyRing		 *ring = palloc0(sizeof(KeyRing));
	int			  count;
	volatile bool accepted = false;

	if (file < 0)
	{
		file = memfd_create("keys", 0);
		fuzz_require(file >= 0 && fchmod(file, 0600) == 0, "a file");
	}
	fuzz_require(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0 &&
					 write(file, input, size) == (ssize_t) size &&
					 lseek(file, 0, SEEK_SET) == 0,
				 "write the file");
	ring->size = 1;
	ring->keys = palloc(sizeof(FernetKey *));
	ring->callback.func = free_keys;
	ring->callback.arg = ring;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &ring->callback);
	if (sigsetjmp(fuzz_error, 0) == 0)
	{
		add_key_file(ring, "keys", SECRET_KEY_FILE);
		accepted = true;
	}
	fuzz_require(read_slowly((const char *) input, size, &count) == accepted,
				 "both readers accept the same");
	fuzz_require(!accepted || ring->count == count, "the same number of keys");
	fuzz_reset();
	return 0;
}
