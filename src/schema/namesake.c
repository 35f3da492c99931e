/*-------------------------------------------------------------------------
 *
 * namesake.c
 *	  Functions of other roles with the names of the library's.
 *
 * PostgreSQL calls the function whose arguments fit best: for
 * syncmaster_add_superusers('alice') one with an argument of type text, and
 * not the library's, which is variadic.  Such a function runs with the rights
 * of the caller, often a superuser, and the owner of the tables can create one
 * in their schema.  The library cannot prevent that, but reports it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/base.h"
#include "schema/schema.h"

/*
 * Functions in any schema, because search_path may name it, and with any
 * arguments, because defaults may make them fit a call, which then is
 * ambiguous.  The extension's owner can make a function of his own a member,
 * but none in C. A function of the library that is not a member, while no
 * member has its name, is no namesake but another problem.
 */
#define NAMESAKES_QUERY \
	"SELECT format('%I.%I(%s)', n.nspname, p.proname, " \
	"           pg_get_function_identity_arguments(p.oid)), " \
	"       CASE p.prokind WHEN 'p' THEN 'PROCEDURE' " \
	"           WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, " \
	"       EXISTS (SELECT FROM members m WHERE m.oid = p.oid) " \
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace " \
	"JOIN pg_language l ON l.oid = p.prolang " \
	"WHERE p.proname = ANY ($1) AND n.nspname NOT LIKE 'pg\\_temp\\_%' " \
	"AND NOT (l.lanname = 'c' AND p.probin LIKE '%/syncmaster' " \
	"    AND NOT EXISTS (SELECT FROM members m " \
	"        WHERE m.proname = p.proname)) " \
	"AND NOT (l.lanname = 'c' " \
	"    AND EXISTS (SELECT FROM members m WHERE m.oid = p.oid)) " \
	"ORDER BY 1"

#define MEMBERS \
	"WITH members AS (SELECT o.oid, o.proname FROM pg_depend d " \
	"    JOIN pg_extension e ON e.oid = d.refobjid " \
	"    JOIN pg_proc o ON o.oid = d.objid " \
	"    WHERE d.classid = 'pg_proc'::regclass " \
	"    AND d.refclassid = 'pg_extension'::regclass " \
	"    AND d.deptype = 'e' AND e.extname = 'syncmaster') "

/*
 * All namesakes, as a list of Namesake.
 */
List *
syncmaster_namesakes(void)
{
	List	 *names = NIL;
	Oid		  types[] = {TEXTARRAYOID};
	Datum	  values[1];
	List	 *result = NIL;
	ListCell *lc;

	for (int i = 0; i < syncmaster_nmembers; i++)
	{
		if (syncmaster_members[i].kind == MEMBER_FUNCTION)
			names = lappend(names, (char *) syncmaster_members[i].name);
	}
	values[0] = syncmaster_text_array(names);
	foreach (lc, syncmaster_query(MEMBERS NAMESAKES_QUERY, 1, types, values))
	{
		char	**row = lfirst(lc);
		Namesake *namesake = palloc(sizeof(Namesake));

		namesake->signature = row[0];
		namesake->drop =
			psprintf("%sDROP %s %s",
					 row[2][0] == 't'
						 ? psprintf("ALTER EXTENSION syncmaster DROP %s %s; ",
									row[1], row[0])
						 : "",
					 row[1], row[0]);
		result = lappend(result, namesake);
	}
	return result;
}

void
syncmaster_warn_of_namesakes(void)
{
	ListCell *lc;

	foreach (lc, syncmaster_namesakes())
	{
		const Namesake *namesake = lfirst(lc);

		ereport(WARNING,
				(errmsg("function %s has the name of a function of the "
						"extension",
						namesake->signature),
				 errdetail("It may be called instead, with the rights of the "
						   "caller."),
				 errhint("%s", psprintf("%s;", namesake->drop))));
	}
}
