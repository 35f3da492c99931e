/*-------------------------------------------------------------------------
 *
 * check_grants.c
 *	  Rights on a table that no service needs.
 *
 * What syncmaster_grant() gives is no difference, nor is it when a role has it
 * that a service logs in with as a member of the service's own role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Roles other than the owner that have privileges on these objects.
 */
static List *
grantees(List *objects)
{
	List	 *roles = NIL;
	ListCell *lc;

	foreach (lc, objects)
	{
		const GrantableObject *object = lfirst(lc);

		for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
		{
			Oid grantee = acl_items(object->acl)[i].ai_grantee;

			if (grantee != object->owner)
				roles = list_append_unique_oid(roles, grantee);
		}
	}
	return roles;
}

/*
 * Return whether the role may have granted one of these privileges to others.
 */
static bool
has_options(const GrantableObject *object, Oid role, AclMode privileges)
{
	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];

		if (item->ai_grantee == role &&
			(ACLITEM_GET_GOPTIONS(*item) & privileges) != 0)
			return true;
	}
	return false;
}

/*
 * Add statements that revoke what roles other than the owner have granted to a
 * role: REVOKE from the role itself would take only what the owner has granted,
 * so the option to grant is taken.
 */
static void
append_revokes_of_options(StringInfo sql, const GrantableObject *object,
						  const char *target, Oid role, AclMode needs)
{
	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];
		AclMode		   excess = ACLITEM_GET_PRIVS(*item) & ~needs;
		StringInfoData privileges;

		if (item->ai_grantee != role || item->ai_grantor == object->owner ||
			excess == 0)
			continue;
		initStringInfo(&privileges);
		syncmaster_append_privileges(&privileges, excess, object->column, "");
		appendStringInfo(sql,
						 "%sREVOKE GRANT OPTION FOR %s ON %s FROM %s CASCADE",
						 sql->len > 0 ? "; " : "", privileges.data, target,
						 syncmaster_quoted_role(item->ai_grantor));
	}
}

/*
 * Compare the privileges of one role on a table and its columns with what its
 * services need.  Revoking a privilege on the table revokes it on the columns
 * too, where it may be needed.
 */
static void
check_grantee(CheckContext *context, const char *name, List *objects, Oid role,
			  int services)
{
	const GrantableObject *table = linitial(objects);
	const char			  *role_name = role == ACL_ID_PUBLIC
										   ? "PUBLIC"
										   : GetUserNameFromId(role, true);
	const char			  *quoted = role == ACL_ID_PUBLIC ? "PUBLIC"
									: role_name != NULL ? quote_identifier(role_name)
														: NULL;
	StringInfoData		   extra;
	StringInfoData		   by_owner;
	StringInfoData		   needed;
	StringInfoData		   fix;
	AclMode				   on_table = 0;
	bool				   options = false;
	Finding				  *finding;
	ListCell			  *lc;

	/* dropped meanwhile */
	if (quoted == NULL)
		return;
	initStringInfo(&extra);
	initStringInfo(&by_owner);
	initStringInfo(&needed);
	initStringInfo(&fix);
	foreach (lc, objects)
	{
		const GrantableObject *object = lfirst(lc);
		AclMode				   needs = syncmaster_needed(object, services);
		AclMode excess = syncmaster_granted(object, role, InvalidOid) & ~needs;

		if (object->column == NULL)
			on_table = excess;
		else
			syncmaster_append_privileges(&needed, needs & on_table,
										 object->column, "");
		syncmaster_append_privileges(&extra, excess, object->column, "");
		syncmaster_append_privileges(&by_owner,
									 syncmaster_held(object, role) & ~needs,
									 object->column, "");
		append_revokes_of_options(&fix, object, table->target, role, needs);
		options |= has_options(object, role, excess);
	}
	if (extra.len == 0)
		return;
	finding = syncmaster_add_difference(context, SEVERITY_INFO, "table", name,
										"is granted to another role");
	finding->actual = psprintf("%s to %s", extra.data, quoted);
	if (by_owner.len > 0)
		appendStringInfo(&fix, "%sREVOKE %s ON %s FROM %s%s",
						 fix.len > 0 ? "; " : "", by_owner.data, table->target,
						 quoted, options ? " CASCADE" : "");
	if (needed.len > 0)
		appendStringInfo(&fix, "; GRANT %s ON %s TO %s", needed.data,
						 table->target, quoted);
	finding->fix = fix.data;
	finding->left = LEFT_FOREIGN;
}

void
syncmaster_check_grants(CheckContext *context, const char *name, Oid relid)
{
	List			*objects = syncmaster_table_objects(relid);
	MigrationContext migration;
	List			*roles;
	ListCell		*lc;

	syncmaster_fill_context(&migration, GetUserId());
	roles = syncmaster_service_roles(&migration);
	foreach (lc, grantees(objects))
	{
		Oid role = lfirst_oid(lc);

		check_grantee(context, name, objects, role,
					  syncmaster_usable_services(roles, role));
	}
}
