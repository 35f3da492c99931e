/*-------------------------------------------------------------------------
 *
 * service.c
 *	  SyncMaster's services, and which roles they log in with.
 *
 * A later revision may need privileges on more tables, so the library has to
 * know which role was granted which service.  It is remembered in an ACL, which
 * follows a role that is renamed, dropped, dumped or restored, and needs no
 * OIDs.  The ACLs of the application's own tables would not do: they are dropped
 * with their tables in a downgrade, and a privilege that a DBA has revoked could
 * not be told from one that was never granted.
 *
 * So there is a table with no rows and a column for each service, beside the
 * record of migrations, and a role has a service if it may select that column.
 * PUBLIC may read the whole table, so that every role's dump succeeds, and the
 * privilege gives access to nothing.
 *
 * A role that may create schemas can have created such a table first.  It is
 * trusted only if its owner could grant everything on the tables himself.  The
 * owner of the schema can drop the table, but cannot create one that belongs to
 * another role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/* in the order of their bits */
static const char *const service_names[NUM_SERVICES] = {"server", "scheduler",
														"worker", "monitor"};

/*
 * The service of that name.
 */
int
syncmaster_parse_service(const char *name)
{
	for (int i = 0; i < NUM_SERVICES; i++)
	{
		if (strcmp(service_names[i], name) == 0)
			return 1 << i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("there is no service \"%s\"", name),
					errhint("Services are \"server\", \"scheduler\", "
							"\"worker\" and \"monitor\".")));
}

/*
 * The names of services; NULL if there are none.
 */
const char *
syncmaster_services_text(int services)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < NUM_SERVICES; i++)
	{
		if (services & (1 << i))
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
							 service_names[i]);
	}
	return text.len > 0 ? text.data : NULL;
}

Oid
syncmaster_find_service_table(void)
{
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);

	return OidIsValid(namespace) ? get_relname_relid(SERVICE_TABLE, namespace)
								 : InvalidOid;
}

static bool
is_service_table(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_RELATION)
		return false;
	for (int i = 0; i < NUM_SERVICES; i++)
	{
		AttrNumber attnum = get_attnum(relid, service_names[i]);

		if (attnum != InvalidAttrNumber &&
			get_atttype(relid, attnum) != BOOLOID)
			return false;
	}
	return true;
}

/*
 * Why the table is not trusted; NULL if it is.
 */
const char *
syncmaster_service_distrust(const MigrationContext *context, Oid relid)
{
	Oid	  owner = syncmaster_relation_owner(relid);
	List *findings;

	if (!has_privs_of_role(owner, context->owner))
		return psprintf("It belongs to role \"%s\", who lacks the rights of "
						"role \"%s\".",
						GetUserNameFromId(owner, false),
						GetUserNameFromId(context->owner, false));
	if (!is_service_table(relid))
		return "It is not a table with columns of type boolean.";
	findings = syncmaster_distrusted(relid, owner, 0);
	return findings == NIL ? NULL : ((Finding *) linitial(findings))->detail;
}

/*
 * The command that puts an untrusted table out of the way.
 * syncmaster_set_owner() drops it, unless another role owns the schema.
 */
const char *
syncmaster_service_remedy(const MigrationContext *context)
{
	const char *rename = syncmaster_rename_foreign_schema(context->owner);

	return rename != NULL
			   ? rename
			   : psprintf("SELECT %s(%s)",
						  quote_qualified_identifier(context->schema,
													 "syncmaster_set_owner"),
						  quote_literal_cstr(
							  GetUserNameFromId(context->owner, false)));
}

static void
add_service(List **roles, Oid role, int service)
{
	ServiceRole *entry;
	ListCell	*lc;

	foreach (lc, *roles)
	{
		entry = lfirst(lc);
		if (entry->role == role)
		{
			entry->services |= service;
			return;
		}
	}
	entry = palloc(sizeof(ServiceRole));
	entry->role = role;
	entry->services = service;
	*roles = lappend(*roles, entry);
}

/*
 * The roles that were granted services, as a list of ServiceRole; empty if the
 * table is not trusted.
 */
List *
syncmaster_service_roles(const MigrationContext *context)
{
	Oid	  relid = syncmaster_find_service_table();
	List *roles = NIL;
	Oid	  owner;

	if (!OidIsValid(relid) ||
		syncmaster_service_distrust(context, relid) != NULL)
		return NIL;
	owner = syncmaster_relation_owner(relid);

	for (int i = 0; i < NUM_SERVICES; i++)
	{
		HeapTuple tuple = SearchSysCacheAttName(relid, service_names[i]);
		Datum	  datum;
		bool	  isnull;
		Acl		 *acl;

		if (!HeapTupleIsValid(tuple))
			continue;
		datum = SysCacheGetAttr(ATTNAME, tuple, Anum_pg_attribute_attacl,
								&isnull);
		if (!isnull)
		{
			acl = DatumGetAclP(datum);
			for (int j = 0; j < ACL_NUM(acl); j++)
			{
				const AclItem *item = &acl_items(acl)[j];

				if (item->ai_grantor == owner &&
					item->ai_grantee != ACL_ID_PUBLIC &&
					(ACLITEM_GET_PRIVS(*item) & ACL_SELECT) != 0)
					add_service(&roles, item->ai_grantee, 1 << i);
			}
		}
		ReleaseSysCache(tuple);
	}
	return roles;
}

int
syncmaster_services_of(List *service_roles, Oid role)
{
	ListCell *lc;

	foreach (lc, service_roles)
	{
		const ServiceRole *entry = lfirst(lc);

		if (entry->role == role)
			return entry->services;
	}
	return 0;
}

static void
require_rights_of(Oid owner)
{
	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not write down who has which service",
					GetUserNameFromId(GetUserId(), false)),
			 errdetail("That is kept in schema \"%s\" by role \"%s\".",
					   HISTORY_SCHEMA, GetUserNameFromId(owner, false)),
			 errhint("Run the command as that role or as a superuser, or give "
					 "all tables to one role with syncmaster_set_owner().")));
}

static void
require_trust(const MigrationContext *context, Oid relid)
{
	const char *distrust = syncmaster_service_distrust(context, relid);

	if (distrust == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not trusted to tell who has which service",
					SERVICE_NAME),
			 errdetail("%s", distrust),
			 errhint("Run %s, and then the command again.",
					 syncmaster_service_remedy(context))));
}

/*
 * Create the table in its schema.
 */
static void
create_service_table(const MigrationContext *context)
{
	Oid owner = syncmaster_require_history_schema(context);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not create schema \"%s\"",
						GetUserNameFromId(GetUserId(), false), HISTORY_SCHEMA),
				 errdetail("Which role has which service is kept there."),
				 errhint("Run the command as a role that may create schemas in "
						 "this database.")));
	require_rights_of(owner);
	syncmaster_execute_as("CREATE TABLE " SERVICE_NAME " ()", owner);
	CommandCounterIncrement();
	syncmaster_execute_as("COMMENT ON TABLE " SERVICE_NAME
						  " IS 'has no rows; whoever may select one of its "
						  "columns was granted that service'",
						  owner);
	syncmaster_execute_as("GRANT SELECT ON " SERVICE_NAME " TO PUBLIC", owner);
}

/*
 * Create the table, or a column that it lacks.  Nothing is created in another
 * role's schema.
 */
static Oid
require_service_table(const MigrationContext *context, const char *column)
{
	Oid	  relid = syncmaster_find_service_table();
	Oid	  owner;
	List *findings = NIL;

	syncmaster_history_errors(&findings, InvalidOid, context->owner,
							  InvalidOid);
	syncmaster_raise_error(findings);
	if (!OidIsValid(relid))
	{
		create_service_table(context);
		relid = syncmaster_find_service_table();
	}
	require_trust(context, relid);
	owner = syncmaster_relation_owner(relid);
	require_rights_of(owner);
	if (get_attnum(relid, column) == InvalidAttrNumber)
	{
		syncmaster_execute_as(psprintf("ALTER TABLE " SERVICE_NAME
									   " ADD COLUMN %s boolean",
									   column),
							  owner);
		CommandCounterIncrement();
	}
	return relid;
}

/*
 * Grant or revoke the column; returns the command.
 */
static char *
change_memory(const MigrationContext *context, Oid role, int service,
			  bool grant)
{
	const char *column = syncmaster_services_text(service);
	Oid			relid = require_service_table(context, column);
	char *sql = psprintf("%s SELECT (%s) ON TABLE " SERVICE_NAME " %s %s%s",
						 grant ? "GRANT" : "REVOKE", column,
						 grant ? "TO" : "FROM", syncmaster_quoted_role(role),
						 grant ? "" : " CASCADE");

	syncmaster_execute_as(sql, syncmaster_relation_owner(relid));
	CommandCounterIncrement();

	return sql;
}

/*
 * Remember that a role has a service, or forget it.  NULL if there is nothing
 * to do, else the command.
 */
char *
syncmaster_remember_service(const MigrationContext *context, Oid role,
							int service)
{
	int known = syncmaster_services_of(syncmaster_service_roles(context), role);

	return known & service ? NULL : change_memory(context, role, service, true);
}

char *
syncmaster_forget_service(const MigrationContext *context, Oid role,
						  int service)
{
	int known = syncmaster_services_of(syncmaster_service_roles(context), role);

	return known & service ? change_memory(context, role, service, false)
						   : NULL;
}
