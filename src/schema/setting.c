/*-------------------------------------------------------------------------
 *
 * setting.c
 *	  Settings of this extension that last longer than a session.
 *
 * Some are meant for one command.  One that was set for a database, a role or
 * the server goes unnoticed until it does harm: it travels with dumps, and the
 * owner of a database may set it for everybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "schema/schema.h"

/* with the statement that takes it back; of a file, the server's alone */
#define SETTINGS_QUERY \
	"SELECT split_part(c, '=', 1), substr(c, strpos(c, '=') + 1), " \
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
	"       || ' RESET ' || split_part(c, '=', 1) " \
	"FROM pg_db_role_setting s " \
	"LEFT JOIN pg_roles r ON r.oid = s.setrole " \
	"LEFT JOIN pg_database d ON d.oid = s.setdatabase, " \
	"unnest(s.setconfig) c " \
	"WHERE (s.setdatabase = 0 OR d.datname = current_database()) " \
	"AND (s.setrole = 0 OR r.rolname IS NOT NULL) " \
	"AND split_part(c, '=', 1) IN ('syncmaster.restoring', " \
	"    'syncmaster.allow_destroy', 'syncmaster.guard') " \
	"UNION ALL " \
	"SELECT name, setting, 'the server', 'ALTER SYSTEM RESET ' || name " \
	"FROM pg_settings " \
	"WHERE name IN ('syncmaster.restoring', 'syncmaster.allow_destroy', " \
	"    'syncmaster.guard') " \
	"AND source IN ('environment variable', 'configuration file', " \
	"    'command line') " \
	"ORDER BY 1, 3"

/*
 * List them, as warnings if they matter to what is done with care.
 */
void
syncmaster_report_lasting_settings(List **findings)
{
	ListCell *lc;

	foreach (lc, syncmaster_query(SETTINGS_QUERY, 0, NULL, NULL))
	{
		char **row = lfirst(lc);
		bool is_guard = strcmp(row[0], "syncmaster.guard") == 0;
		const char *meaning =
			is_guard ? "Whoever migrates may not expect it"
			: strcmp(row[0], "syncmaster.restoring") == 0
				? "It has no effect, as only a session can say that it restores"
				: "A downgrade may drop tables although nobody has asked for "
				  "it";

		syncmaster_add_finding(
			findings, is_guard ? SEVERITY_INFO : SEVERITY_WARNING, "settings",
			"setting", psprintf("%s is \"%s\" for %s", row[0], row[1], row[2]),
			psprintf("%s: %s;", meaning, row[3]));
	}
}
