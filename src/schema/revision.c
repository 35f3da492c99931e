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

/* Index is the revision's number less one. */
static const RevisionInfo revisions[REVISION_HEAD] = {
	{"0001", NULL, "table user", false},
	{"0002", NULL, "table group", false},
	{"0003", NULL, "table queue", false},
	{"0004", NULL, "table connection, with text search", false},
	{"0005", NULL, "table user_group", false},
	{"0006", NULL, "table auth_data", false},
	{"0007", NULL, "table transfer, with text search", false},
	{"0008", NULL, "table run", false},
	{"0009", NULL, "tables and sequences of Celery's results", true},
	{"0010", NULL, "extension pg_trgm", true},
	{"0011", "0.2.0 - 0.2.4", "table apscheduler_jobs", true},
	{"0012", "0.2.5 - 0.3.2",
	 "text search with Russian stemming and exact words", false},
	{"0013", "0.3.3 - 0.3.5", "indexes on date_done of Celery's results", true},
};

const RevisionInfo *
syncmaster_revision_info(int number)
{
	Assert(number > REVISION_BASE && number <= REVISION_HEAD);
	return &revisions[number - 1];
}

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
	for (int i = 0; i < REVISION_HEAD; i++)
	{
		if (strcmp(id, revisions[i].id) == 0)
			return i + 1;
	}
	return -1;
}

/*
 * Revision that an extension version installs: version 1.N, and any release
 * 1.N.M on the same schema, stands for revision N.  -1 for what is no such
 * version or a revision that this library does not know.
 */
int
syncmaster_version_revision(const char *version)
{
	const char *p = version;
	int minor = 0;

	if (strncmp(p, "1.", 2) != 0)
		return -1;
	p += 2;
	if (*p < '1' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		minor = minor * 10 + (*p - '0');
		if (minor > REVISION_HEAD)
			return -1;
	}
	if (*p == '.')
	{
		p++;
		if (*p == '\0' || strspn(p, "0123456789") != strlen(p))
			return -1;
	}
	else if (*p != '\0')
		return -1;

	return minor >= REVISION_BASE_SCRIPT ? minor : -1;
}

/*
 * First extension version whose scripts install the revision.
 */
char *
syncmaster_revision_version(int number)
{
	return psprintf("1.%d", Max(number, REVISION_BASE_SCRIPT));
}
