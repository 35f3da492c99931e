/*-------------------------------------------------------------------------
 *
 * command.c
 *	  The command of the client that runs a script of the extension.
 *
 * A script is not told at which version the command ends, nor whether it names
 * a schema.  The server keeps the statement that the client gave: it is that of
 * the active portal.  The text of the query would not do.  It may have several
 * commands, and could be parsed again only under the settings that were in
 * force when it came.
 *
 * A command that a function, a procedure or another extension gives has no
 * portal.  Then nothing is known of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "tcop/pquery.h"

#include "schema/schema.h"

/*
 * The statement of the client, if it is a utility command; else NULL.
 */
static Node *
client_statement(void)
{
	/* a procedure that has committed leaves a portal without statements */
	if (ActivePortal == NULL || list_length(ActivePortal->stmts) != 1)
		return NULL;
	return linitial_node(PlannedStmt, ActivePortal->stmts)->utilityStmt;
}

/*
 * Return whether a statement of the client creates or updates this extension;
 * *options are its options then.
 */
static bool
find_command(List **options)
{
	const char *name = "";
	Node	   *stmt = client_statement();

	if (stmt == NULL)
		return false;
	if (IsA(stmt, CreateExtensionStmt))
	{
		name = ((CreateExtensionStmt *) stmt)->extname;
		*options = ((CreateExtensionStmt *) stmt)->options;
	}
	else if (IsA(stmt, AlterExtensionStmt))
	{
		name = ((AlterExtensionStmt *) stmt)->extname;
		*options = ((AlterExtensionStmt *) stmt)->options;
	}
	return strcmp(name, "syncmaster") == 0;
}

/*
 * The value of an option; NULL if there is no such option.
 */
static const char *
option_value(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

/*
 * Return whether the client's command certainly is ALTER EXTENSION.
 */
bool
syncmaster_command_is_update(void)
{
	List *options;

	return find_command(&options) &&
		   IsA(client_statement(), AlterExtensionStmt);
}

/*
 * Return whether the client's command names the schema of the extension.
 */
bool
syncmaster_command_names_schema(void)
{
	List *options;

	return find_command(&options) && option_value(options, "schema") != NULL;
}

/*
 * The version at which the client's command ends; NULL if nothing is known of
 * the command.
 */
static const char *
last_version(void)
{
	List	   *options;
	const char *version;

	if (!find_command(&options))
		return NULL;
	version = option_value(options, "new_version");
	return version != NULL ? version : SYNCMASTER_VERSION;
}

/*
 * Return whether the command certainly ends at this version.  Whatever it is,
 * it goes no further than the newest one.
 */
bool
syncmaster_is_last_version(const char *version)
{
	const char *last = last_version();

	return strcmp(version, last != NULL ? last : SYNCMASTER_VERSION) == 0;
}

/*
 * Return whether the command may end at this version.
 */
bool
syncmaster_may_be_last_version(const char *version)
{
	const char *last = last_version();

	return last == NULL || strcmp(version, last) == 0;
}

/*
 * The revision at which the command ends, or the newest one if that is not
 * known.  REVISION_BASE if it names a version that the library does not know.
 */
int
syncmaster_last_revision(void)
{
	const char *last = last_version();

	return last == NULL ? REVISION_HEAD
						: Max(REVISION_BASE, syncmaster_version_revision(last));
}
