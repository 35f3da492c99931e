/*-------------------------------------------------------------------------
 *
 * setting.c
 *	  Settings of this extension that last longer than a session.
 *
 * Some are meant for one command.  One that was set for a database, a role or
 * the server goes unnoticed until it does harm: it travels with dumps, and the
 * owner of a database may set it for everybody.  Others have no effect, because
 * nobody checked the value when it was set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "schema/schema.h"

/* A setting whose value may be a secret key by mistake; it is not shown. */
#define KEY_SETTINGS \
	"('syncmaster.secret_key_file', 'syncmaster.previous_secret_key_file')"

/*
 * Name, value, where it is set, the statement that resets it, and whether this
 * version has such a setting.  Not everybody may see the paths of key files.
 */
#define SETTINGS_QUERY \
	"SELECT n, substr(c, strpos(c, '=') + 1), " \
	"       concat_ws(' in ', " \
	"           CASE WHEN r.rolname IS NOT NULL THEN " \
	"               format('role \"%s\"', r.rolname) END, " \
	"           CASE WHEN d.datname IS NOT NULL THEN " \
	"               format('database \"%s\"', d.datname) " \
	"           WHEN r.rolname IS NULL THEN 'all roles' END), " \
	"       CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN " \
	"           format('ALTER DATABASE %I', d.datname) " \
	"       ELSE format('ALTER ROLE %s%s', " \
	"               coalesce(quote_ident(r.rolname), 'ALL'), " \
	"               ' IN DATABASE ' || quote_ident(d.datname)) END " \
	"       || ' RESET ' || n, " \
	"       n IN " KEY_SETTINGS " OR EXISTS ( " \
	"           SELECT FROM pg_settings p WHERE p.name = n) " \
	"FROM pg_db_role_setting s " \
	"LEFT JOIN pg_roles r ON r.oid = s.setrole " \
	"LEFT JOIN pg_database d ON d.oid = s.setdatabase, " \
	"unnest(s.setconfig) c, split_part(c, '=', 1) n " \
	"WHERE (s.setdatabase = 0 OR d.datname = current_database()) " \
	"AND (s.setrole = 0 OR r.rolname IS NOT NULL) " \
	"AND n LIKE 'syncmaster.%' " \
	"UNION ALL " \
	"SELECT name, setting, 'the server', 'ALTER SYSTEM RESET ' || name, true " \
	"FROM pg_settings " \
	"WHERE name IN ('syncmaster.restoring', 'syncmaster.allow_destroy', " \
	"    'syncmaster.guard') " \
	"AND source IN ('environment variable', 'configuration file', " \
	"    'command line') " \
	"ORDER BY 1, 3"

/*
 * The same columns for settings in the server's files, for roles that may see
 * them.
 */
#define SETTING_FILES_QUERY \
	"SELECT f.n, f.setting, format('file \"%s\", line %s', f.sourcefile, " \
	"                                 f.sourceline), " \
	"       CASE WHEN f.sourcefile LIKE '%/postgresql.auto.conf' " \
	"           THEN 'ALTER SYSTEM RESET ' || f.n END, " \
	"       f.n IN " KEY_SETTINGS " OR EXISTS ( " \
	"           SELECT FROM pg_settings p WHERE p.name = f.n) " \
	"FROM (SELECT DISTINCT ON (n) n, s.* " \
	"      FROM pg_file_settings s, lower(s.name) n " \
	"      WHERE n LIKE 'syncmaster.%' ORDER BY n, s.seqno DESC) f " \
	"ORDER BY f.seqno"
#define MAY_SEE_FILES_QUERY \
	"SELECT 1 " \
	"WHERE has_table_privilege('pg_file_settings', 'SELECT') " \
	"AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')"

/* Columns of both queries. */
#define SETTING_NAME 0
#define SETTING_VALUE 1
#define SETTING_PLACE 2
#define SETTING_RESET 3
#define SETTING_KNOWN 4

/*
 * Report a value that has no effect.  A value that was set before the library
 * was loaded was not checked then: when the library is loaded, the server
 * warns of a value that is not allowed and takes the default.
 */
static bool
report_misunderstood(List **findings, char **row)
{
	const char *name = row[SETTING_NAME];
	bool		known = row[SETTING_KNOWN][0] == 't';
	const char *shown;

	if (known && syncmaster_is_setting_value(name, row[SETTING_VALUE]))
		return false;
	shown = strstr(name, "key_file") != NULL
				? "has a value"
				: psprintf("is \"%s\"", row[SETTING_VALUE]);
	syncmaster_add_finding(
		findings, SEVERITY_WARNING, "settings", "setting",
		psprintf("%s %s for %s, %s", name, shown, row[SETTING_PLACE],
				 known ? "which is not allowed: the default is in effect"
					   : "and there is no such setting"),
		psprintf("%s; after SELECT syncmaster_library_version(), the server "
				 "checks what is set.",
				 row[SETTING_RESET] != NULL ? row[SETTING_RESET]
											: "Correct the file"));
	return true;
}

/*
 * Report a setting that is meant for one command: a warning if it lets later
 * commands do harm.
 */
static void
report_lasting(List **findings, char **row)
{
	bool		is_guard = strcmp(row[SETTING_NAME], "syncmaster.guard") == 0;
	const char *meaning;

	if (is_guard)
		meaning = "Whoever migrates may not expect it";
	else if (strcmp(row[SETTING_NAME], "syncmaster.restoring") == 0)
		meaning =
			"It has no effect, as only a session can say that it restores";
	else if (strcmp(row[SETTING_NAME], "syncmaster.allow_destroy") == 0)
		meaning = "A downgrade may drop tables although nobody has asked for "
				  "it";
	else
		return;
	syncmaster_add_finding(findings,
						   is_guard ? SEVERITY_INFO : SEVERITY_WARNING,
						   "settings", "setting",
						   psprintf("%s is \"%s\" for %s", row[SETTING_NAME],
									row[SETTING_VALUE], row[SETTING_PLACE]),
						   psprintf("%s: %s;", meaning, row[SETTING_RESET]));
}

/*
 * List settings that should not last but do, and values that have no effect.
 */
void
syncmaster_report_settings(List **findings)
{
	ListCell *lc;

	foreach (lc, syncmaster_query(SETTINGS_QUERY, 0, NULL, NULL))
	{
		if (!report_misunderstood(findings, lfirst(lc)))
			report_lasting(findings, lfirst(lc));
	}
	if (syncmaster_query(MAY_SEE_FILES_QUERY, 0, NULL, NULL) == NIL)
		return;
	foreach (lc, syncmaster_query(SETTING_FILES_QUERY, 0, NULL, NULL))
		(void) report_misunderstood(findings, lfirst(lc));
}
