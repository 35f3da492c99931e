/*-------------------------------------------------------------------------
 *
 * keyfile.c
 *	  The files that hold SyncMaster's secret keys.
 *
 * A key in an SQL command would be in the server's log, in pg_stat_statements
 * and in pg_stat_activity.  So settings name files, and only the server reads
 * them.  They are read anew for each command: nothing has to be reloaded, and
 * a key stays in memory no longer than it is used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "credential/credential.h"
#include "credential/fernet.h"

/* Room for a few hundred keys. */
#define MAX_KEY_FILE_SIZE 16384

#define BLANKS " \t\r\n"

#define SECRET_KEY_FILE "syncmaster.secret_key_file"
#define PREVIOUS_SECRET_KEY_FILE "syncmaster.previous_secret_key_file"

/* A file, and the setting that names it. */
typedef struct KeyFile
{
	const char *path;
	const char *setting;
} KeyFile;

static char *secret_key_file = NULL;
static char *previous_secret_key_file = NULL;

/*
 * Refuse a key in the place of its file's name, without repeating it in the
 * error message, as the server's message for a bad value would.
 */
static bool
check_key_file(char **newval, void **extra, GucSource source)
{
	const char *value = *newval;
	size_t		length;
	size_t		rest;

	(void) extra;
	(void) source;
	if (value == NULL)
		return true;
	value += strspn(value, BLANKS);
	length = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						   "abcdefghijklmnopqrstuvwxyz0123456789-_+/");
	rest = strspn(value + length, "=" BLANKS);
	if (length != FERNET_KEY_LENGTH - 1 || value[length + rest] != '\0')
		return true;

	/*
	 * A text with slashes may be a path, unless it has the padding of a key.
	 */
	if (value[length] != '=' && strcspn(value, "/") < length)
		return true;

	GUC_check_errmsg("a secret key is no value for a setting that names a "
					 "file");
	GUC_check_errdetail("The key may now be in the server's log.");
	GUC_check_errhint("Generate another key, and write it into a file that "
					  "only the server's user can read.");
	return false;
}

void
syncmaster_define_key_settings(void)
{
	DefineCustomStringVariable(
		SECRET_KEY_FILE,
		"File with the secret keys of SyncMaster, the primary key first.",
		"One key a line, as Fernet keys in base64url. Only the server's user "
		"may have access to the file.",
		&secret_key_file, "", PGC_SUSET, GUC_SUPERUSER_ONLY, check_key_file,
		NULL, NULL);
	DefineCustomStringVariable(
		PREVIOUS_SECRET_KEY_FILE,
		"File with secret keys that SyncMaster used before.",
		"Credentials are read under these keys too, and are never written "
		"under them.",
		&previous_secret_key_file, "", PGC_SUSET, GUC_SUPERUSER_ONLY,
		check_key_file, NULL, NULL);
}

static void
free_keys(void *argument)
{
	KeyRing *ring = (KeyRing *) argument;

	for (int i = 0; i < ring->count; i++)
		fernet_key_free(ring->keys[i]);
	ring->count = 0;
}

/*
 * A key file as an error's message names it: by its path only for those who
 * may read the setting.  A function with its owner's rights does not lend the
 * path to whoever calls it, because its owner cannot keep the message back.
 */
static const char *
shown_name(const KeyFile *file)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS) &&
				   has_privs_of_role(GetOuterUserId(),
									 ROLE_PG_READ_ALL_SETTINGS)
			   ? psprintf("\"%s\"", file->path)
			   : psprintf("of setting \"%s\"", file->setting);
}

/*
 * Open a key file after making sure that nobody but the server's user has
 * access to it.  The checks are made on what was opened, so that the file
 * cannot be changed for another one in between.  They are those of the server
 * for ssl_key_file: a file of root's may be readable by its group, because
 * that is how Kubernetes and the like mount secrets.
 */
static int
open_key_file(const KeyFile *key_file)
{
	struct stat status;
	mode_t		forbidden;
	int			file;

	/* Opening a named pipe must not wait for its writer. */
	file = OpenTransientFile(key_file->path, O_RDONLY | O_NONBLOCK);
	if (file < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read key file %s: %m", shown_name(key_file)),
				 errdetail_log("The key file is \"%s\".", key_file->path)));
	if (fstat(file, &status) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read key file %s: %m", shown_name(key_file)),
				 errdetail_log("The key file is \"%s\".", key_file->path)));
	if (!S_ISREG(status.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file %s is not a regular file",
						shown_name(key_file)),
				 errdetail_log("The key file is \"%s\".", key_file->path)));
	if (status.st_uid != geteuid() && status.st_uid != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file %s does not belong to the server's user or "
						"to root",
						shown_name(key_file)),
				 errdetail_log("The key file is \"%s\".", key_file->path),
				 errhint("Change the owner of the file to the operating "
						 "system user that the server runs as.")));
	forbidden = status.st_uid == geteuid() ? S_IRWXG | S_IRWXO
										   : S_IWGRP | S_IXGRP | S_IRWXO;
	if ((status.st_mode & forbidden) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file %s is accessible to others",
						shown_name(key_file)),
				 errdetail("The file's mode is %04o.",
						   (unsigned int) (status.st_mode & 07777)),
				 errdetail_log("The mode of key file \"%s\" is %04o.",
							   key_file->path,
							   (unsigned int) (status.st_mode & 07777)),
				 errhint("A file of the server's user must have mode 0600 or "
						 "less, one of root's 0640 or less. If others may have "
						 "read the key, generate a new one and rotate.")));
	return file;
}

/*
 * The whole content of a key file.
 */
static Secret *
read_key_file(const KeyFile *key_file)
{
	int		file = open_key_file(key_file);
	Secret *content = syncmaster_make_secret(MAX_KEY_FILE_SIZE + 1);

	while (content->length <= MAX_KEY_FILE_SIZE)
	{
		ssize_t bytes = read(file, content->data + content->length,
							 content->size - content->length);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read key file %s: %m",
							shown_name(key_file)),
					 errdetail_log("The key file is \"%s\".", key_file->path)));
		if (bytes == 0)
			break;
		content->length += bytes;
	}
	CloseTransientFile(file);
	if (content->length > MAX_KEY_FILE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file %s is too large", shown_name(key_file)),
				 errdetail("A key file has at most %d bytes.",
						   MAX_KEY_FILE_SIZE),
				 errdetail_log("Key file \"%s\" has more than %d bytes.",
							   key_file->path, MAX_KEY_FILE_SIZE)));
	return content;
}

/*
 * Why a line is not a key.
 */
static const char *
describe_line(const char *text, size_t length, int line)
{
	if (line == 1 && length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return "The file begins with a byte order mark. Save it without one.";
	if (memchr(text, '\0', length) != NULL)
		return "The line has zero bytes: the file is in UTF-16, or is no text "
			   "file. Save it as ASCII or UTF-8.";
	if (*text == '#')
		return "The line is a comment. A key file has only keys.";
	if (memchr(text, ',', length) != NULL)
		return "The line has a comma. Write each key on a line of its own.";
	return psprintf("A key is 32 bytes in base64url, %d characters.",
					FERNET_KEY_LENGTH);
}

/*
 * Add one key, unless the ring has it: during a rotation, the same key may be
 * in both files.
 */
static void
add_key(KeyRing *ring, const char *text, size_t length, const KeyFile *key_file,
		int line)
{
	FernetKey	*key;
	FernetStatus status;

	/*
	 * Everything that can fail for lack of memory comes before the key is
	 * made.
	 */
	if (ring->count == ring->size)
	{
		ring->size *= 2;
		ring->keys = repalloc(ring->keys, ring->size * sizeof(FernetKey *));
	}

	/*
	 * Like Python's, the decoder skips characters that are not base64, and
	 * ignores what follows the padding, even another key.
	 */
	status = FERNET_MALFORMED;
	if (length == FERNET_KEY_LENGTH)
		status = fernet_key_create(text, length, &key);
	if (status == FERNET_MALFORMED)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("line %d of key file %s is not a key", line,
						shown_name(key_file)),
				 errdetail_internal("%s", describe_line(text, length, line)),
				 errdetail_log("The key file is \"%s\".", key_file->path)));
	if (status != FERNET_OK)
		elog(ERROR, "OpenSSL failed");

	for (int i = 0; i < ring->count; i++)
	{
		if (strcmp(fernet_key_fingerprint(ring->keys[i]),
				   fernet_key_fingerprint(key)) == 0)
		{
			fernet_key_free(key);
			return;
		}
	}
	ring->keys[ring->count++] = key;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/*
 * Add the keys of a file, one a line; blank lines do not count.
 */
static void
add_key_file(KeyRing *ring, const char *path, const char *setting)
{
	KeyFile		key_file = {path, setting};
	Secret	   *content = read_key_file(&key_file);
	const char *next = (const char *) content->data;
	const char *end = next + content->length;
	int			line = 0;
	bool		empty = true;

	while (next < end)
	{
		const char *start = next;
		const char *stop = memchr(start, '\n', end - start);

		line++;
		if (stop == NULL)
			stop = end;
		next = stop + 1;
		while (start < stop && is_blank(*start))
			start++;
		while (start < stop && is_blank(stop[-1]))
			stop--;
		if (start == stop)
			continue;
		add_key(ring, start, stop - start, &key_file, line);
		empty = false;
	}
	syncmaster_wipe_secret(content);

	if (empty)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("key file %s has no key", shown_name(&key_file)),
						errdetail_log("The key file is \"%s\".", path)));
}

static const char *
previous_file_name(void)
{
	return previous_secret_key_file == NULL ? "" : previous_secret_key_file;
}

/*
 * Read all keys.  They are in the current memory context, and are wiped when
 * it is reset or deleted, also by an error.
 */
KeyRing *
syncmaster_read_keys(void)
{
	KeyRing *ring;

	if (secret_key_file == NULL || *secret_key_file == '\0')
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no key file is set"),
						errhint("A superuser has to set "
								"\"syncmaster.secret_key_file\".")));

	ring = palloc0(sizeof(KeyRing));
	ring->size = 4;
	ring->keys = palloc(ring->size * sizeof(FernetKey *));
	ring->callback.func = free_keys;
	ring->callback.arg = ring;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &ring->callback);

	add_key_file(ring, secret_key_file, SECRET_KEY_FILE);
	if (*previous_file_name() != '\0')
		add_key_file(ring, previous_file_name(), PREVIOUS_SECRET_KEY_FILE);
	ring->file = pstrdup(secret_key_file);
	ring->previous_file = pstrdup(previous_file_name());
	ring->command_start = GetCurrentStatementStartTimestamp();
	return ring;
}

/*
 * Return whether keys that were read earlier are still valid.  A PL/pgSQL
 * function keeps its call sites until the end of the transaction, over many
 * commands.
 */
bool
syncmaster_keys_are_current(const KeyRing *ring)
{
	return ring->command_start == GetCurrentStatementStartTimestamp() &&
		   secret_key_file != NULL &&
		   strcmp(ring->file, secret_key_file) == 0 &&
		   strcmp(ring->previous_file, previous_file_name()) == 0;
}

/*
 * Return whether the primary key is the public example key of SyncMaster's
 * own .env.docker and config.docker.yml.  Comparing fingerprints is enough.
 */
bool
syncmaster_primary_key_is_public(const KeyRing *ring)
{
	return strcmp(fernet_key_fingerprint(ring->keys[0]), "0b37153e32cf569b") ==
		   0;
}
