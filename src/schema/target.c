/*-------------------------------------------------------------------------
 *
 * target.c
 *	  The targets of an upgrade or downgrade that people name.
 *
 * The words are Alembic's: head, heads, base, a revision, each with an offset
 * if wanted, and +N or -N from where the schema is.  A version of the
 * extension stands for the revision that it installs.  Alembic's partial
 * revision identifiers need four characters, which is the length of SyncMaster's
 * whole ones: there are none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/base.h"
#include "schema/schema.h"

#define MAX_OFFSET_DIGITS 4

/*
 * The argument of a function whose only argument is a target.
 */
char *
syncmaster_target_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be null"),
				 errhint("Name head, base, a revision, a number of steps such "
						 "as +1 or -1, or a version of the extension.")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

static void
target_error(const char *target, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid target \"%s\"", target),
			 errdetail_internal("%s", detail),
			 errhint("Name head, base, a revision from 0001 to %s, a number "
					 "of steps such as +1 or -1, or a version of the "
					 "extension such as %s.",
					 syncmaster_revision_id(REVISION_HEAD),
					 syncmaster_revision_version(REVISION_HEAD))));
}

/*
 * Read "+N" or "-N"; false if the text is anything else.
 */
static bool
parse_offset(const char *text, int *offset)
{
	size_t ndigits;

	if (text[0] != '+' && text[0] != '-')
		return false;
	ndigits = strspn(text + 1, "0123456789");
	if (ndigits == 0 || ndigits > MAX_OFFSET_DIGITS ||
		text[1 + ndigits] != '\0')
		return false;
	*offset = (int) strtol(text, NULL, 10);
	return true;
}

/*
 * Return whether the installed package has a script of this version.
 */
static bool
version_is_available(const char *version)
{
	return syncmaster_query_text("SELECT FROM pg_available_extension_versions "
								 "WHERE name = 'syncmaster' AND version = $1",
								 version) != NIL;
}

/*
 * Number of "head", "base" or a revision; -1 for anything else.
 */
static int
symbol_number(const char *symbol)
{
	if (strcmp(symbol, "head") == 0 || strcmp(symbol, "heads") == 0)
		return REVISION_HEAD;
	return syncmaster_revision_number(symbol);
}

/*
 * Turn a target into a revision's number.  An upgrade to a revision that the
 * schema has passed already is allowed, as Alembic allows it: it does nothing.
 * A downgrade to a revision above the schema's is refused.
 */
void
syncmaster_parse_target(const char *target, bool upgrade, int current,
						RevisionTarget *result)
{
	int offset = 0;

	result->version = NULL;
	if (parse_offset(target, &offset))
	{
		if (offset == 0 || (offset > 0) != upgrade)
			target_error(target,
						 upgrade ? "An upgrade goes up by at least one."
								 : "A downgrade goes down by at least one.");
		result->number = current + offset;
	}
	else if ((result->number = syncmaster_version_revision(target)) >= 0)
	{
		if (!version_is_available(target))
			target_error(target,
						 "No installed script makes that version of the "
						 "extension.");
		result->version = pstrdup(target);
	}
	else
	{
		size_t length = strcspn(target, "+-");

		result->number = symbol_number(pnstrdup(target, length));
		if (result->number < 0 ||
			(target[length] != '\0' && !parse_offset(target + length, &offset)))
			target_error(target, "There is no such revision.");
		result->number += offset;
	}

	if (result->number < REVISION_BASE || result->number > REVISION_HEAD)
		target_error(target, psprintf("It leads out of the revisions, which go "
									  "from base to %s; the schema is at %s.",
									  syncmaster_revision_id(REVISION_HEAD),
									  syncmaster_revision_id(current)));
	if (!upgrade && result->number > current)
		target_error(target, psprintf("The schema is at %s, which is below.",
									  syncmaster_revision_id(current)));
}

/*
 * Version that the extension has to be updated to for an upgrade's target;
 * NULL if the version stays.
 */
char *
syncmaster_version_to_install(const ExtensionEntry *extension,
							  const RevisionTarget *target)
{
	char *version = target->version;

	if (version == NULL)
		version = target->number == REVISION_HEAD
					  ? syncmaster_default_version("syncmaster")
					  : syncmaster_revision_version(target->number);
	if (version == NULL || strcmp(version, extension->version) == 0 ||
		target->number < syncmaster_version_revision(extension->version))
		return NULL;
	return version;
}
