/*-------------------------------------------------------------------------
 *
 * revision.c
 *	  SyncMaster's schema revisions, and the versions of the extension that
 *	  install them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

/*
 * Text of a revision as in alembic_version; "base" below the first one.
 */
char *
syncmaster_revision_id(int number)
{
	if (number == REVISION_BASE)
		return pstrdup("base");
	return psprintf("%04d", number);
}

/*
 * Number of a revision that this library knows, REVISION_BASE for "base", -1
 * for any other text.
 */
int
syncmaster_revision_number(const char *id)
{
	if (strcmp(id, "base") == 0)
		return REVISION_BASE;
	for (int i = REVISION_BASE + 1; i <= REVISION_HEAD; i++)
	{
		if (strcmp(id, syncmaster_revision_info(i)->id) == 0)
			return i;
	}
	return -1;
}

/*
 * Revision that an extension version installs: the revision's own version,
 * such as 1.13, or any later release on the same schema, such as 1.13.2.  -1
 * for what is no such version or a revision that this library does not know.
 */
int
syncmaster_version_revision(const char *version)
{
	for (int i = REVISION_BASE_SCRIPT; i <= REVISION_HEAD; i++)
	{
		const char *own = syncmaster_revision_info(i)->version;
		const char *rest = version + strlen(own);

		if (strncmp(version, own, strlen(own)) != 0)
			continue;
		if (*rest == '\0' || (*rest == '.' && rest[1] != '\0' &&
							  rest[1 + strspn(rest + 1, "0123456789")] == '\0'))
			return i;
	}
	return -1;
}

/*
 * First extension version whose scripts install the revision.
 */
char *
syncmaster_revision_version(int number)
{
	return pstrdup(
		syncmaster_revision_info(Max(number, REVISION_BASE_SCRIPT))->version);
}
