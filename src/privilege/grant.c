/*-------------------------------------------------------------------------
 *
 * grant.c
 *	  Giving services their rights, and taking them away.
 *
 * Each command runs as the owner of what it is about, who thereby is the
 * grantor: what another role granted would go when that role loses its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/* The arguments of one call, and what they name. */
typedef struct GrantCall
{
	MigrationContext context;
	Oid				 role;
	int				 service;
} GrantCall;

PG_FUNCTION_INFO_V1(syncmaster_grant);
PG_FUNCTION_INFO_V1(syncmaster_revoke);

/*
 * Return whether that role can grant privileges on an object.  The extension's
 * own view shows the contents of the tables, so the owner of the tables can
 * grant on it as well.
 */
static bool
may_grant(const MigrationContext *context, Oid grantor,
		  const GrantableObject *object)
{
	return has_privs_of_role(grantor, object->of_extension ? context->owner
														   : object->owner);
}

/*
 * Return whether PUBLIC has the privilege on the schema and nobody here can
 * grant it: that is enough then.  Citus runs GRANT as the owner on its nodes.
 */
static bool
does_without_grant(const MigrationContext *context, Oid grantor,
				   const GrantableObject *object, Oid role)
{
	return object->is_schema &&
		   (!may_grant(context, grantor, object) ||
			(syncmaster_has_citus() &&
			 !syncmaster_can_log_in(object->owner))) &&
		   has_schema_usage(context->namespace, role);
}

/*
 * What makes a call succeed that lacks rights on an object.  The object's owner
 * alone may lack the rights on the tables, so that it is not enough to run the
 * call as that role.
 */
static const char *
way_to_grant(const GrantCall *call, const GrantableObject *object)
{
	const char *tables_owner = GetUserNameFromId(call->context.owner, false);
	const char *owner = GetUserNameFromId(object->owner, false);

	if (has_privs_of_role(object->owner, call->context.owner))
		return "Run the command as that role or as a superuser.";
	if (object->is_schema)
		return psprintf(
			"Run GRANT USAGE ON SCHEMA %s TO %s as role \"%s\", and "
			"then the command again as role \"%s\"; or run the "
			"command alone as a superuser.",
			quote_identifier(object->name), syncmaster_quoted_role(call->role),
			owner, tables_owner);
	return psprintf("Give all tables to one role with syncmaster_set_owner(), "
					"and run the command again as that role; or run the "
					"command as a superuser or a role with the rights of both "
					"\"%s\" and \"%s\".",
					owner, tables_owner);
}

static void
require_grant_rights(const GrantCall *call, const GrantableObject *object)
{
	if (may_grant(&call->context, call->context.caller, object))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("role \"%s\" may not hand out rights on %s \"%s\"",
						   GetUserNameFromId(call->context.caller, false),
						   object->type, object->name),
					errdetail("It belongs to role \"%s\".",
							  GetUserNameFromId(object->owner, false)),
					errhint("%s", way_to_grant(call, object))));
}

/*
 * GRANT or REVOKE privileges on an object and its columns, which "list"
 * names; returns the command.
 */
static char *
change_privileges(const GrantableObject *object, const char *list, Oid role,
				  bool grant)
{
	char *sql = psprintf("%s %s ON %s %s %s", grant ? "GRANT" : "REVOKE", list,
						 object->target, grant ? "TO" : "FROM",
						 syncmaster_quoted_role(role));

	syncmaster_execute_as(sql, object->owner);

	return sql;
}

/*
 * The privileges that the service needs on an object and the role lacks; none
 * if those of PUBLIC are enough.
 */
static AclMode
privileges_to_grant(const GrantCall *call, const GrantableObject *object)
{
	AclMode missing = syncmaster_needed(object, call->service) &
					  ~syncmaster_held(object, call->role);

	if (missing == 0)
		return 0;

	if (does_without_grant(&call->context, call->context.caller, object,
						   call->role))
		return 0;
	require_grant_rights(call, object);
	return missing;
}

/*
 * Refuse to revoke privileges that the role has granted to others: they would
 * lose them as well, or keep them.
 */
static void
require_not_handed_on(const GrantCall *call, const GrantableObject *object,
					  AclMode privileges)
{
	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];

		if (item->ai_grantor == call->role &&
			(ACLITEM_GET_PRIVS(*item) & privileges) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("role \"%s\" handed on its rights on %s \"%s\"",
							GetUserNameFromId(call->role, false), object->type,
							object->name),
					 errhint("Run what syncmaster_privileges() has in column "
							 "\"fix\", and the command again.")));
	}
}

/*
 * Return whether the role has privileges in the schema that none of its
 * services needs.  To use them, the role may need the schema's USAGE.
 */
static bool
has_other_rights(const GrantCall *call)
{
	Oid	  types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(call->role),
					  ObjectIdGetDatum(call->context.namespace)};

	return syncmaster_query(
			   "SELECT FROM pg_shdepend d "
			   "WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1 "
			   "AND dbid = (SELECT oid FROM pg_database "
			   "    WHERE datname = current_database()) "
			   "AND (classid = 'pg_class'::regclass AND objid IN "
			   "        (SELECT oid FROM pg_class WHERE relnamespace = $2) "
			   "    OR classid = 'pg_proc'::regclass AND objid IN "
			   "        (SELECT oid FROM pg_proc WHERE pronamespace = $2) "
			   "    OR classid = 'pg_type'::regclass AND objid IN "
			   "        (SELECT oid FROM pg_type WHERE typnamespace = $2)) "
			   "LIMIT 1",
			   2, types, values) != NIL;
}

/*
 * The privileges on an object that the role has for that service alone.
 */
static AclMode
privileges_to_revoke(const GrantCall *call, const GrantableObject *object,
					 int other_services)
{
	AclMode extra = syncmaster_needed(object, call->service) &
					~syncmaster_needed(object, other_services) &
					syncmaster_held(object, call->role);

	/* The owner's own privileges are not for a service. */
	if (extra == 0 || call->role == object->owner ||
		call->role == call->context.owner)
		return 0;
	if (object->is_schema &&
		!may_grant(&call->context, call->context.caller, object))
		return 0;
	require_grant_rights(call, object);
	require_not_handed_on(call, object, extra);
	return object->is_schema && has_other_rights(call) ? 0 : extra;
}

/*
 * Grant what is missing, or revoke what is for this service alone; returns the
 * commands that were run.
 */
static List *
change_all(const GrantCall *call, int other_services, bool grant)
{
	List *objects = syncmaster_grantable_objects(call->context.namespace,
												 WARNING);
	List *commands = NIL;
	const GrantableObject *table = NULL;
	StringInfoData		   list;
	ListCell			  *lc;

	/* the schema comes first, or last if what is left decides about it */
	if (!grant)
		objects = lappend(list_copy_tail(objects, 1), linitial(objects));
	initStringInfo(&list);
	foreach (lc, objects)
	{
		const GrantableObject *object = lfirst(lc);
		AclMode				   privileges;

		/* the table's columns follow it */
		if (table != NULL && object->column == NULL && list.len > 0)
		{
			commands = lappend(commands, change_privileges(table, list.data,
														   call->role, grant));
			CommandCounterIncrement();
			resetStringInfo(&list);
		}
		if (object->column == NULL)
			table = object;
		privileges = grant ? privileges_to_grant(call, object)
						   : privileges_to_revoke(call, object, other_services);
		syncmaster_append_privileges(&list, privileges, object->column, "");
	}
	if (table != NULL && list.len > 0)
		commands = lappend(commands, change_privileges(table, list.data,
													   call->role, grant));
	CommandCounterIncrement();

	return commands;
}

/*
 * Read the arguments, and lock out migrations and other calls of these
 * functions.
 *
 * The arguments are text, although they name a role: the owner of the tables
 * may make functions in this schema, and PostgreSQL would rather pass a
 * literal to one of the same name with arguments of type text.
 */
static void
begin_call(GrantCall *call, FunctionCallInfo fcinfo, const char *command)
{
	List *problems = NIL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("role and service must not be null"),
				 errhint("Name a role, and one of the services \"server\", "
						 "\"scheduler\", \"worker\" and \"monitor\".")));
	call->service = syncmaster_parse_service(
		text_to_cstring(PG_GETARG_TEXT_PP(1)));
	call->role = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);

	syncmaster_require_writable(command);
	syncmaster_fill_context_to_change(&call->context, GetUserId());
	if (!has_privs_of_role(call->context.caller, call->context.owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not hand out rights on the tables of "
						"role \"%s\"",
						GetUserNameFromId(call->context.caller, false),
						GetUserNameFromId(call->context.owner, false)),
				 errhint("Run the command as that role or as a superuser.")));
	syncmaster_report_kept_ddl(&problems, &call->context);
	syncmaster_raise_error(problems);
	syncmaster_lock_version_table(&call->context);
	syncmaster_warn_of_newer(call->context.namespace);
}

static void
put_command(ReturnSetInfo *result, const char *command)
{
	if (command != NULL)
		syncmaster_put_texts(result, 1, &command);
}

static void
put_commands(ReturnSetInfo *result, List *commands)
{
	ListCell *lc;

	foreach (lc, commands)
		put_command(result, lfirst(lc));
}

/*
 * syncmaster_grant(role text, service text) returns the commands that it ran
 */
Datum
syncmaster_grant(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	GrantCall	   call;

	begin_call(&call, fcinfo, "syncmaster_grant()");
	if (call.role == call.context.owner)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_GRANT_OPERATION),
				 errmsg("role \"%s\" owns the tables and can do everything",
						GetUserNameFromId(call.role, false)),
				 errhint("Give the service a role of its own.")));
	if (IsReservedName(GetUserNameFromId(call.role, false)))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("role \"%s\" is one of PostgreSQL's own",
						GetUserNameFromId(call.role, false)),
				 errdetail("Whoever is a member for another reason would "
						   "have the rights of the service."),
				 errhint("Give the service a role of its own.")));
	put_commands(result, change_all(&call, 0, true));
	put_command(result, syncmaster_remember_service(&call.context, call.role,
													call.service));
	return (Datum) 0;
}

/*
 * syncmaster_revoke(role text, service text) returns the commands that it ran
 */
Datum
syncmaster_revoke(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	GrantCall	   call;
	int			   services;

	begin_call(&call, fcinfo, "syncmaster_revoke()");
	services = syncmaster_services_of(syncmaster_service_roles(&call.context),
									  call.role);
	if ((services & call.service) == 0)
	{
		ereport(NOTICE, (errmsg("role \"%s\" does not have service \"%s\"",
								GetUserNameFromId(call.role, false),
								syncmaster_services_text(call.service)),
						 errhint("What else it has is listed by "
								 "syncmaster_privileges().")));
		return (Datum) 0;
	}
	put_commands(result, change_all(&call, services & ~call.service, false));
	put_command(result, syncmaster_forget_service(&call.context, call.role,
												  call.service));
	return (Datum) 0;
}

/*
 * Grant on one object what services of these roles need; false if the grantor
 * of the services has no right to do so.
 */
static bool
extend_object(const MigrationContext *context, const GrantableObject *object,
			  List *roles, Oid authority)
{
	ListCell *lc;

	foreach (lc, roles)
	{
		const ServiceRole *entry = lfirst(lc);
		AclMode missing = syncmaster_needed(object, entry->services) &
						  ~syncmaster_held(object, entry->role);
		StringInfoData list;

		if (missing == 0 || entry->role == object->owner ||
			does_without_grant(context, authority, object, entry->role))
			continue;
		if (!may_grant(context, authority, object))
			return object->is_schema;
		initStringInfo(&list);
		syncmaster_append_privileges(&list, missing, object->column, "");
		change_privileges(object, list.data, entry->role, true);
		CommandCounterIncrement();
	}
	return true;
}

static void
warn_of_distrust(const MigrationContext *context, Oid memory)
{
	ereport(
		WARNING,
		(errmsg("table \"%s\" is not trusted, so that no rights are granted "
				"to services",
				SERVICE_NAME),
		 errdetail("%s", syncmaster_service_distrust(context, memory)),
		 errhint("Run %s, and syncmaster_grant() for each service.",
				 syncmaster_service_remedy(context))));
}

/*
 * Grant what services need on tables and columns that are newer than the
 * services' grants.  The caller of a migration need not have the right to
 * grant: what counts is the owner of the table in which the services are
 * remembered.
 */
void
syncmaster_extend_grants(const MigrationContext *context)
{
	Oid		  memory = syncmaster_find_service_table();
	List	 *roles = syncmaster_service_roles(context);
	Oid		  authority;
	ListCell *lc;

	if (OidIsValid(memory) &&
		syncmaster_service_distrust(context, memory) != NULL)
		warn_of_distrust(context, memory);
	if (roles == NIL)
		return;
	authority = syncmaster_relation_owner(memory);
	foreach (lc, syncmaster_grantable_objects(context->namespace, WARNING))
	{
		const GrantableObject *object = lfirst(lc);

		if (extend_object(context, object, roles, authority))
			continue;
		ereport(WARNING,
				(errmsg("the services' rights on %s \"%s\" are left as they "
						"are",
						object->type, object->name),
				 errdetail("It belongs to role \"%s\", but the services were "
						   "granted by role \"%s\".",
						   GetUserNameFromId(object->owner, false),
						   GetUserNameFromId(authority, false)),
				 errhint(
					 "Give all tables to one role with "
					 "syncmaster_set_owner(), and run the command again.")));
		break;
	}
}
