/*-------------------------------------------------------------------------
 *
 * privilege_list.c
 *	  syncmaster_privileges(): who has which service, and who has more or less
 *	  than the services need.
 *
 * It reads catalogues only, so everybody may call it, on a standby too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(syncmaster_privileges);

static char *
privileges_text(AclMode privileges, const char *column, const char *suffix)
{
	StringInfoData text;

	initStringInfo(&text);
	syncmaster_append_privileges(&text, privileges, column, suffix);
	return text.data;
}

/*
 * List what services need and were not granted.
 */
static void
list_missing(PrivilegeList *list, const GrantableObject *object)
{
	ListCell *lc;

	foreach (lc, list->roles)
	{
		const ServiceRole *entry = lfirst(lc);
		AclMode missing = syncmaster_needed(object, entry->services) &
						  ~syncmaster_held(object, entry->role);

		if (missing == 0 || entry->role == object->owner ||
			(object->is_schema &&
			 has_schema_usage(list->context.namespace, entry->role)))
			continue;
		syncmaster_add_privilege(
			list, STATE_MISSING, entry->role, object->type, object->name,
			privileges_text(missing, NULL, ""), "the service needs it",
			psprintf("GRANT %s ON %s TO %s",
					 privileges_text(missing, object->column, ""),
					 object->target, syncmaster_quoted_role(entry->role)));
	}
}

/*
 * REVOKE of a privilege that a role should not have on an object.  Revoking it
 * on a table revokes it on the columns too, where it may be needed.
 */
static char *
revoke_command(const PrivilegeList *list, const GrantableObject *object,
			   const AclItem *item, AclMode excess, int services)
{
	StringInfoData needed;
	const char	  *role = syncmaster_quoted_role(item->ai_grantee);
	char		  *sql =
		psprintf("REVOKE %s ON %s FROM %s%s",
				 privileges_text(excess, object->column, ""), object->target,
				 role,
				 (ACLITEM_GET_GOPTIONS(*item) & excess) != 0 ? " CASCADE" : "");
	ListCell *lc;

	initStringInfo(&needed);
	foreach (lc, list->objects)
	{
		const GrantableObject *other = lfirst(lc);

		if (object->column == NULL && other->column != NULL &&
			strcmp(object->target, other->target) == 0)
			syncmaster_append_privileges(&needed,
										 syncmaster_needed(other, services) &
											 excess,
										 other->column, "");
	}
	if (needed.len > 0)
		sql = psprintf("%s; GRANT %s ON %s TO %s", sql, needed.data,
					   object->target, role);
	return sql;
}

/*
 * Why a privilege is dangerous, with the table that it writes if that is
 * another relation.
 */
static const char *
with_passage(const GrantableObject *object, const char *reason)
{
	return object->leads_to == NULL ? reason
									: psprintf("it leads to table \"%s\": %s",
											   object->leads_to, reason);
}

static const char *
danger_reason(const GrantableObject *object, AclMode privileges)
{
	if (object->unpickled_by != 0 &&
		(privileges & syncmaster_putting_in(object)) != 0)
		return with_passage(object, UNPICKLED);
	return with_passage(
		object,
		privileges & ACL_TRIGGER
			? "its triggers run with the rights of whoever writes the table"
			: "triggers of a table that refers to this one run with the "
			  "rights of whoever deletes from it");
}

/*
 * List privileges that a role has on an object and does not need, or could
 * grant on.
 */
static void
list_excess(PrivilegeList *list, const GrantableObject *object,
			const AclItem *item)
{
	int		services = syncmaster_services_of(list->roles, item->ai_grantee);
	bool	by_owner = item->ai_grantor == object->owner;
	AclMode privileges = ACLITEM_GET_PRIVS(*item);
	AclMode excess = by_owner
						 ? privileges & ~syncmaster_needed(object, services)
						 : privileges;
	AclMode options = ACLITEM_GET_GOPTIONS(*item) & ~excess;
	int		open_to;
	bool	dangerous;

	/* roles that use other tables in the schema need USAGE */
	if (object->is_schema)
		excess &= ACL_CREATE;
	if (object->leads_to != NULL)
		excess &= object->leads_by;
	open_to = syncmaster_services_open_to(object, excess) & ~services;
	dangerous = open_to != 0 &&
				(item->ai_grantee == ACL_ID_PUBLIC ||
				 !syncmaster_is_entitled(&list->context, list->roles,
										 item->ai_grantee));

	/*
	 * on an object that is not SyncMaster's, it may be granted for other
	 * purposes
	 */
	if (object->leads_to != NULL && !dangerous)
		return;
	if (excess != 0)
		syncmaster_add_privilege(
			list, dangerous ? STATE_DANGEROUS : STATE_EXCESS, item->ai_grantee,
			object->type, object->name, privileges_text(excess, NULL, ""),
			dangerous			? danger_reason(object, excess)
			: !by_owner			? psprintf("it was granted by role \"%s\"",
										   syncmaster_role_name(item->ai_grantor))
			: object->is_schema ? "what it makes there may be taken for "
								  "what the services mean"
			: services == 0		? "the role has no service"
								: "the service does not need it",
			by_owner ? revoke_command(list, object, item, excess, services)
					 : psprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s "
								"CASCADE",
								privileges_text(excess, object->column, ""),
								object->target,
								syncmaster_quoted_role(item->ai_grantor)));
	if (dangerous && item->ai_grantee != ACL_ID_PUBLIC)
		syncmaster_add_power(list, STATE_DANGEROUS, item->ai_grantee, open_to,
							 false, NULL);
	if (options != 0 && !object->is_schema && object->leads_to == NULL)
		syncmaster_add_privilege(
			list, STATE_EXCESS, item->ai_grantee, object->type, object->name,
			privileges_text(options, NULL, " WITH GRANT OPTION"),
			"it can hand on what it has",
			psprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s CASCADE",
					 privileges_text(options, object->column, ""),
					 object->target, syncmaster_quoted_role(item->ai_grantee)));
}

/*
 * List a role that owns the object while another role owns the tables, as when
 * Celery made its own.  A schema's owner may drop what is in it and create it
 * again; the database's owner, who owns "public" by way of pg_database_owner,
 * is listed with the database.
 */
static void
list_ownership(PrivilegeList *list, const GrantableObject *object)
{
	Oid			owner = object->owner;
	bool		sequence = strcmp(object->type, "sequence") == 0;
	Severity	state = sequence ? STATE_EXCESS : STATE_DANGEROUS;
	const char *reason;
	const char *fix;
	const char *withheld;

	if (object->column != NULL || object->is_serial || object->of_extension ||
		owner == DATABASE_OWNER_ROLE ||
		(object->leads_to != NULL && !object->owner_leads) ||
		syncmaster_is_entitled(&list->context, list->roles, owner))
		return;
	reason = object->is_schema
				 ? "it can drop tables and make others of their names"
			 : sequence ? "a service that counts with it depends on the role"
			 : object->unpickled_by != 0
				 ? with_passage(object, UNPICKLED)
				 : with_passage(object, "its triggers run with the rights of "
										"whoever writes the table");
	fix = syncmaster_hand_over(&list->context,
							   object->is_schema || object->leads_to != NULL
								   ? list_make1(
										 unconstify(GrantableObject *, object))
								   : syncmaster_owned_objects(object->relid),
							   list->context.owner, sequence);
	withheld = syncmaster_withheld(fix);
	syncmaster_add_privilege(
		list, state, owner, object->type, object->name, "OWNER",
		withheld == NULL ? reason : psprintf("%s; %s", reason, withheld),
		withheld == NULL ? fix : NULL);
	if (state == STATE_DANGEROUS)
		syncmaster_add_power(list, state, owner, UNPICKLING_SERVICES, false,
							 NULL);
}

static void
list_object(PrivilegeList *list, const GrantableObject *object)
{
	list_missing(list, object);
	list_ownership(list, object);
	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];

		/* such roles are entitled, or need no grant */
		if (item->ai_grantee != object->owner &&
			item->ai_grantee != list->context.owner &&
			!(object->of_extension &&
			  (item->ai_grantee == list->extension_owner ||
			   item->ai_grantee == DATABASE_OWNER_ROLE ||
			   item->ai_grantee == syncmaster_database_owner())) &&
			(item->ai_grantee == ACL_ID_PUBLIC ||
			 !superuser_arg(item->ai_grantee)))
			list_excess(list, object, item);
	}
}

/*
 * List a table of services that is not trusted.
 */
static void
list_distrust(PrivilegeList *list)
{
	Oid relid = syncmaster_find_service_table();

	if (!OidIsValid(relid) ||
		syncmaster_service_distrust(&list->context, relid) == NULL)
		return;
	syncmaster_add_privilege(
		list, STATE_DANGEROUS, syncmaster_relation_owner(relid), "table",
		SERVICE_NAME, "OWNER",
		"it is not trusted to tell who has which service, so that nobody "
		"has one",
		syncmaster_service_remedy(&list->context));
}

/*
 * List a role that owns the record of migrations, or its schema, and may have
 * created it first.  Migrations are refused then; the DBA has to decide about
 * a table in a trusted schema.
 */
static void
list_record(PrivilegeList *list)
{
	const char *rename = syncmaster_rename_foreign_schema(list->context.owner);
	ListCell   *lc;

	foreach (lc, syncmaster_foreign_history(syncmaster_find_history(),
											list->context.owner, InvalidOid))
	{
		const ForeignPart *part = lfirst(lc);

		syncmaster_add_privilege(list, STATE_EXCESS, part->holder, part->kind,
								 part->name, "OWNER",
								 "it lacks the rights of the tables' owner, so "
								 "that migrations are refused",
								 rename);
	}
}

/*
 * List privileges on functions and views of the extension that are missing, or
 * are not meant for the role that has them.
 */
static void
list_member_rights(PrivilegeList *list)
{
	static const char *const audiences[] = {
		"it is for everybody",
		"it is for the owners of the tables, the database and the extension",
		"it is for superusers"};
	ListCell *lc;

	foreach (lc, syncmaster_member_rights())
	{
		const MemberRight *right = lfirst(lc);

		syncmaster_add_privilege(list,
								 right->missing ? STATE_MISSING : STATE_EXCESS,
								 right->role, right->kind, right->name,
								 right->privilege, audiences[right->audience],
								 right->fix);
	}
}

/*
 * List services that use other objects in place of SyncMaster's.
 */
static void
list_misled(PrivilegeList *list)
{
	ListCell *lc;

	foreach (lc, syncmaster_misled_services(&list->context, list->roles))
	{
		const MisledService *entry = lfirst(lc);

		syncmaster_add_privilege(list, STATE_DANGEROUS, entry->role,
								 entry->type, entry->actual, "SEARCH_PATH",
								 psprintf("the role %s",
										  syncmaster_misled_text(entry)),
								 entry->fix);
	}
}

/*
 * The services whose rights a role has without SET ROLE.
 */
static int
inherited_services(const PrivilegeList *list, Oid role)
{
	int		  services = 0;
	ListCell *lc;

	foreach (lc, list->roles)
	{
		const ServiceRole *entry = lfirst(lc);

		if (has_privs_of_role(role, entry->role))
			services |= entry->services;
	}
	return services;
}

/*
 * List services whose sessions begin as another role, by a setting, while that
 * role was not granted the service: the privileges of the login role have no
 * effect then.
 */
static void
list_other_beginnings(PrivilegeList *list)
{
	ListCell *lc;

	foreach (lc, list->roles)
	{
		const ServiceRole *entry = lfirst(lc);
		Oid				   acting = syncmaster_acting_role(entry->role);

		if (has_privs_of_role(acting, list->context.owner) ||
			(entry->services & ~inherited_services(list, acting)) == 0)
			continue;
		syncmaster_add_privilege(
			list, STATE_MISSING, entry->role, "role",
			syncmaster_role_name(acting), "ROLE",
			"its sessions begin as this role, which was not granted the "
			"service",
			psprintf("ALTER ROLE %s IN DATABASE %s SET role = none",
					 syncmaster_quoted_role(entry->role),
					 quote_identifier(current_database_name())));
	}
}

/*
 * List all deviations, and the services that roles have.  A relation that is
 * not SyncMaster's is left out, and named at "elevel".
 */
void
syncmaster_list_privileges(PrivilegeList *list, int elevel)
{
	ExtensionEntry extension;
	ListCell	  *lc;

	syncmaster_fill_context(&list->context, GetUserId());
	syncmaster_get_extension(&extension);
	list->extension_owner = extension.owner;
	list->roles = syncmaster_service_roles(&list->context);
	list->objects = list_concat(
		syncmaster_grantable_objects(list->context.namespace, elevel),
		syncmaster_passages(list->context.namespace));

	list_distrust(list);
	list_record(list);
	foreach (lc, list->objects)
		list_object(list, lfirst(lc));
	list_misled(list);
	list_other_beginnings(list);
	syncmaster_list_powers(list);
	list_member_rights(list);
	syncmaster_list_squatters(list);
}

/*
 * syncmaster_privileges() returns the deviations, the gravest first, and then
 * the services that roles have.
 */
Datum
syncmaster_privileges(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	PrivilegeList  list = {0};

	syncmaster_fill_context(&list.context, GetUserId());
	syncmaster_warn_of_newer(list.context.namespace);
	syncmaster_list_privileges(&list, WARNING);
	syncmaster_put_privileges(result, &list);

	return (Datum) 0;
}
