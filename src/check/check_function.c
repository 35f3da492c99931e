/*-------------------------------------------------------------------------
 *
 * check_function.c
 *	  What belongs to the extension itself: its functions, and the record of
 *	  migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/* Functions of the extension, present or former. */
#define FUNCTIONS_QUERY \
	"SELECT p.proname, format('%s %s', " \
	"           CASE p.prokind WHEN 'p' THEN 'PROCEDURE' " \
	"           WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, " \
	"           format('%I.%I(%s)', n.nspname, p.proname, " \
	"                  pg_get_function_identity_arguments(p.oid))), " \
	"       EXISTS (SELECT FROM pg_depend d " \
	"           JOIN pg_extension e ON e.oid = d.refobjid " \
	"           WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid " \
	"           AND d.refclassid = 'pg_extension'::regclass " \
	"           AND d.deptype = 'e' AND e.extname = 'syncmaster'), " \
	"       l.lanname = 'c' AND p.probin LIKE '%/syncmaster' " \
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace " \
	"JOIN pg_language l ON l.oid = p.prolang " \
	"WHERE p.pronamespace = $1 AND p.proname LIKE 'syncmaster\\_%' " \
	"ORDER BY 1, 2"

typedef struct ActualFunction
{
	const char *name;
	const char *signature; /* name and argument types, as DROP takes them */
	bool		member;
	bool		ours; /* is it a C function of the library? */
} ActualFunction;

static List *
read_functions(Oid namespace)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(FUNCTIONS_QUERY, namespace))
	{
		char		  **row = lfirst(lc);
		ActualFunction *function = palloc(sizeof(ActualFunction));

		function->name = row[0];
		function->signature = row[1];
		function->member = row[2][0] == 't';
		function->ours = row[3] != NULL && row[3][0] == 't';
		result = lappend(result, function);
	}
	return result;
}

/*
 * Statements that create all functions again.
 */
static char *
recreate(const CheckContext *context)
{
	ExtensionEntry extension;

	syncmaster_get_extension(&extension);
	return psprintf("DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster "
					"SCHEMA %s VERSION %s",
					quote_identifier(context->schema),
					quote_literal_cstr(extension.version));
}

/*
 * Check that a function of the scripts exists.  The data do not depend on the
 * extension, so it may be dropped and created again.
 */
static void
check_expected(CheckContext *context, const char *name, List *actual)
{
	const ActualFunction *stray = NULL;
	Finding				 *finding;
	ListCell			 *lc;

	foreach (lc, actual)
	{
		const ActualFunction *function = lfirst(lc);

		if (strcmp(function->name, name) != 0)
			continue;
		if (function->member && function->ours)
			return;
		if (function->member || function->ours)
			stray = function;
	}
	finding = syncmaster_add_difference(context, SEVERITY_WARNING, "function",
										name,
										stray == NULL	? "is missing"
										: stray->member ? "was replaced"
														: "is not a member of "
														  "the extension");
	finding->fix = stray == NULL || stray->member
					   ? recreate(context)
					   : psprintf("ALTER EXTENSION syncmaster ADD %s",
								  stray->signature);
	finding->left = "the extension is its owner's to change";
}

/*
 * Report other functions of the same name, which may be called by mistake,
 * with the rights of the caller.
 */
static void
report_namesakes(CheckContext *context)
{
	ListCell *lc;

	foreach (lc, syncmaster_namesakes())
	{
		const Namesake *namesake = lfirst(lc);
		Finding		   *finding = syncmaster_add_difference(
				   context, SEVERITY_ERROR, "function", namesake->signature,
				   "has the name of a function of the extension");

		finding->fix = namesake->drop;
		finding->left = LEFT_FOREIGN;
	}
}

/*
 * Report roles that cannot call a function that is meant for them, and other
 * roles that can call a function that reads keys.  Other extra privileges are
 * listed by syncmaster_privileges().
 */
static void
check_member_rights(CheckContext *context)
{
	ListCell *lc;

	foreach (lc, syncmaster_member_rights())
	{
		const MemberRight *right = lfirst(lc);
		const char		  *role = syncmaster_role_name(right->role);
		Finding			  *finding;

		if (!right->missing && right->audience != FOR_SUPERUSERS)
			continue;
		finding = syncmaster_add_difference(
			context,
			right->missing || right->role == ACL_ID_PUBLIC ? SEVERITY_WARNING
														   : SEVERITY_INFO,
			right->kind, right->name,
			right->missing ? "may not be used by a role that it is for"
						   : "may be called by a role that it is not for");
		if (right->missing)
			finding->expected = psprintf("%s for %s", right->privilege, role);
		else
			finding->actual = psprintf("%s for %s", right->privilege, role);
		finding->fix = right->fix;
		finding->of_extension = right->missing;
		if (!right->missing)
			finding->left = "somebody has granted it, and may have meant it";
	}
}

static void
check_history(CheckContext *context)
{
	Oid		 relid = syncmaster_find_history();
	List	*findings = NIL;
	Finding *finding;

	/* a missing table is created by the next migration */
	if (OidIsValid(relid) && !syncmaster_lock_if_there(relid, AccessShareLock))
		relid = InvalidOid;
	if (!OidIsValid(relid) || syncmaster_is_history(relid))
	{
		syncmaster_history_errors(&findings, relid, context->owner, InvalidOid);
		syncmaster_add_distrust(context, findings);
		return;
	}
	finding = syncmaster_add_difference(context, SEVERITY_WARNING, "table",
										HISTORY_NAME,
										"is not the record of migrations, so "
										"that none can be run");
	finding->fix = psprintf("ALTER TABLE %s RENAME TO %s", HISTORY_NAME,
							HISTORY_TABLE "_other");
	finding->left = LEFT_NAME;
}

/*
 * Check the table of services.  If it is missing, the next grant creates it.
 * syncmaster_privileges() gives the way out for one that is not trusted.
 */
static void
check_services(CheckContext *context)
{
	Oid				 relid = syncmaster_find_service_table();
	MigrationContext migration;
	const char		*distrust;

	if (!OidIsValid(relid))
		return;
	syncmaster_fill_context(&migration, GetUserId());
	distrust = syncmaster_service_distrust(&migration, relid);
	if (distrust != NULL)
		syncmaster_add_difference(context, SEVERITY_WARNING, "table",
								  SERVICE_NAME,
								  "is not trusted, and grants nothing")
			->actual = distrust;
}

void
syncmaster_check_extension_members(CheckContext *context)
{
	List *actual = read_functions(context->namespace);

	for (int i = 0; i < syncmaster_nmembers; i++)
	{
		if (syncmaster_members[i].kind == MEMBER_FUNCTION)
			check_expected(context, syncmaster_members[i].name, actual);
	}
	check_member_rights(context);
	report_namesakes(context);
	check_history(context);
	check_services(context);
}
