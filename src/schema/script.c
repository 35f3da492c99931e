/*-------------------------------------------------------------------------
 *
 * script.c
 *	  The migration steps in the installed extension scripts.
 *
 * PostgreSQL runs a script only when the extension's version changes.  After
 * Alembic went its own way, or after a restore, a step is needed while the
 * version stays; then it is read from the same script, which remains the only
 * place where it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/fd.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "schema/schema.h"

#define SCRIPT_PREFIX "syncmaster--"
#define SCRIPT_SUFFIX ".sql"
#define STEP_FUNCTION "syncmaster_migrate"
#define STEP_NARGS 3

/*
 * The directory of the scripts: that of the control file.  From 18 on that may
 * be any directory of extension_control_path.
 */
static char *
script_directory(void)
{
	char  sharepath[MAXPGPATH];
	char *system;

	get_share_path(my_exec_path, sharepath);
	system = psprintf("%s/extension", sharepath);

#ifdef HAVE_EXTENSION_CONTROL_PATH
	for (const char *p = Extension_control_path; *p != '\0';)
	{
		size_t length = strcspn(p, ":");
		char  *element = pnstrdup(p, length);
		char  *directory = strcmp(element, "$system") == 0
							   ? system
							   : psprintf("%s/extension", element);

		if (access(psprintf("%s/syncmaster.control", directory), R_OK) == 0)
			return directory;
		p += length;
		if (*p == ':')
			p++;
	}
#endif
	return system;
}

static char *
read_script(const char *path)
{
	FILE		  *file = AllocateFile(path, PG_BINARY_R);
	StringInfoData text;
	char		   buffer[8192];
	size_t		   nread;
	int			   err;

	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open extension script \"%s\": %m", path),
				 errhint("Install the package of syncmaster again.")));

	initStringInfo(&text);
	while ((nread = fread(buffer, 1, sizeof(buffer), file)) > 0)
		appendBinaryStringInfo(&text, buffer, (int) nread);
	err = ferror(file);
	if (FreeFile(file) != 0 || err)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read extension script \"%s\": %m", path)));

	return text.data;
}

/*
 * The text with every occurrence of one string replaced by another.
 */
static char *
replace_all(const char *text, const char *from, const char *to)
{
	StringInfoData result;
	const char	  *found;

	initStringInfo(&result);
	while ((found = strstr(text, from)) != NULL)
	{
		appendBinaryStringInfo(&result, text, (int) (found - text));
		appendStringInfoString(&result, to);
		text = found + strlen(from);
	}
	appendStringInfoString(&result, text);

	return result.data;
}

/*
 * If a statement is SELECT …syncmaster_migrate('…', '…', '…'), return its
 * arguments.
 */
static bool
step_arguments(Node *stmt, const char *arguments[STEP_NARGS])
{
	SelectStmt *select = (SelectStmt *) stmt;
	ResTarget  *target;
	FuncCall   *call;
	ListCell   *lc;
	int			i = 0;

	if (!IsA(stmt, SelectStmt) || list_length(select->targetList) != 1)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	if (!IsA(target->val, FuncCall))
		return false;
	call = (FuncCall *) target->val;
	if (strcmp(strVal(llast(call->funcname)), STEP_FUNCTION) != 0 ||
		list_length(call->args) != STEP_NARGS)
		return false;

	foreach (lc, call->args)
	{
		Node *arg = lfirst(lc);

		arguments[i] = IsA(arg, A_Const) ? const_string((A_Const *) arg) : NULL;
		if (arguments[i++] == NULL)
			return false;
	}
	return true;
}

/*
 * Collect the steps of one script.
 */
static List *
parse_script(List *steps, const char *path, const char *schema)
{
	char	 *text = read_script(path);
	ListCell *lc;

	(void) pg_verify_mbstr(GetDatabaseEncoding(), text, (int) strlen(text),
						   false);

	/* psql's \echo line is not SQL; no other line starts like that */
	if (text[0] == '\\')
	{
		char *eol = strchr(text, '\n');

		text = eol != NULL ? eol : "";
	}
	text = replace_all(text, "@extschema@", quote_identifier(schema));

	foreach (lc, pg_parse_query(text))
	{
		const char	  *arguments[STEP_NARGS];
		MigrationStep *step;

		if (!step_arguments(lfirst_node(RawStmt, lc)->stmt, arguments))
			continue;
		step = palloc(sizeof(MigrationStep));
		step->from = syncmaster_revision_number(arguments[0]);
		step->to = syncmaster_revision_number(arguments[1]);
		step->ddl = pstrdup(arguments[2]);

		/* a newer package's script may hold revisions past this library */
		if (step->from >= REVISION_BASE && step->to >= REVISION_BASE)
			steps = lappend(steps, step);
	}
	return steps;
}

/*
 * Return whether this is the file name of one of the extension's scripts.  A
 * copy under another name, such as a backup, is not.
 */
static bool
is_script(const char *name)
{
	if (strncmp(name, SCRIPT_PREFIX, strlen(SCRIPT_PREFIX)) != 0)
		return false;
	name += strlen(SCRIPT_PREFIX);
	name += strspn(name, "0123456789.-");

	/* strspn() has passed the dot of the suffix, too */
	return strcmp(name - 1, SCRIPT_SUFFIX) == 0;
}

/*
 * All steps of all scripts, with the schema's name filled in.
 */
List *
syncmaster_read_steps(Oid namespace)
{
	char		  *schema = get_namespace_name(namespace);
	char		  *directory = script_directory();
	DIR			  *dir = AllocateDir(directory);
	struct dirent *entry;
	List		  *steps = NIL;
	List		  *problems = NIL;
	int			   save_nestlevel;

	syncmaster_report_name(&problems, schema);
	syncmaster_raise_error(problems);
	save_nestlevel = syncmaster_enter_safe_settings();
	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		if (!is_script(entry->d_name))
			continue;
		steps = parse_script(steps, psprintf("%s/%s", directory, entry->d_name),
							 schema);
	}
	FreeDir(dir);
	syncmaster_leave_settings(save_nestlevel);

	return steps;
}

MigrationStep *
syncmaster_find_step(List *steps, int from, int to)
{
	ListCell *lc;

	foreach (lc, steps)
	{
		MigrationStep *step = lfirst(lc);

		if (step->from == from && step->to == to)
			return step;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FILE),
			 errmsg("no installed script of extension \"syncmaster\" takes "
					"the schema from revision %s to %s",
					syncmaster_revision_id(from), syncmaster_revision_id(to)),
			 errhint("Install the package of syncmaster again.")));
	return NULL; /* not reached */
}
