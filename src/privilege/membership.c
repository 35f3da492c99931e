/*-------------------------------------------------------------------------
 *
 * membership.c
 *	  As which roles a role can act, and whose rights that gives it.
 *
 * Being a member of a role has meant less since 16: a grant says whether the
 * member inherits the role's rights, whether it may SET ROLE to it, and whether
 * it may grant the role, to itself as well.  Up to 15, every member may do the
 * first two.
 *
 * The functions of the server answer for one of these at a time, and for what
 * is so now.  Here it counts what a role can come to by itself.  Whatever it
 * grants, it grants best to itself, and may then SET ROLE to it and inherit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * The roles that "role" is granted with that option.  The owner of the
 * database is a member of pg_database_owner without a grant.
 */
static List *
granted_roles(Oid role, bool (*has_option)(Form_pg_auth_members))
{
	CatCList *grants = SearchSysCacheList1(AUTHMEMMEMROLE,
										   ObjectIdGetDatum(role));
	List	 *result = NIL;

	for (int i = 0; i < grants->n_members; i++)
	{
		Form_pg_auth_members grant = (Form_pg_auth_members) GETSTRUCT(
			&grants->members[i]->tuple);

		if (has_option(grant))
			result = list_append_unique_oid(result, grant->roleid);
	}
	ReleaseSysCacheList(grants);

	return result;
}

static List *
add_implicit_role(List *roles, Oid role)
{
	return OidIsValid(DATABASE_OWNER_ROLE) &&
				   role == syncmaster_database_owner()
			   ? list_append_unique_oid(roles, DATABASE_OWNER_ROLE)
			   : roles;
}

/*
 * "role" and all roles whose rights it has without SET ROLE.
 */
static List *
inherited_roles(Oid role)
{
	List *roles = list_make1_oid(role);

	/* the list grows in the loop */
	for (int i = 0; i < list_length(roles); i++)
	{
		Oid current = list_nth_oid(roles, i);

		roles = add_implicit_role(
			list_concat_unique_oid(roles,
								   granted_roles(current, grant_inherits)),
			current);
	}
	return roles;
}

/*
 * "role" and all roles that its session can become by SET ROLE, with those
 * that it can grant itself.  Only a superuser can grant a superuser's role.
 */
List *
syncmaster_settable_roles(Oid role)
{
	List *roles = list_make1_oid(role);

	for (int i = 0; i < list_length(roles); i++)
	{
		Oid		  current = list_nth_oid(roles, i);
		ListCell *lc;

		roles = add_implicit_role(
			list_concat_unique_oid(roles,
								   granted_roles(current, grant_allows_set)),
			current);
		foreach (lc, inherited_roles(current))
		{
			ListCell *granted;

			foreach (granted,
					 granted_roles(lfirst_oid(lc), grant_allows_granting))
			{
				if (!superuser_arg(lfirst_oid(granted)))
					roles = list_append_unique_oid(roles, lfirst_oid(granted));
			}
		}
	}
	return roles;
}

/*
 * "role" and all roles whose rights it has or can get by itself.
 */
List *
syncmaster_usable_roles(Oid role)
{
	List	 *roles = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_settable_roles(role))
		roles = list_concat_unique_oid(roles, inherited_roles(lfirst_oid(lc)));
	return roles;
}

/*
 * The services whose rights a role has or can get, as a sum of bits.
 */
int
syncmaster_usable_services(List *service_roles, Oid role)
{
	int		  services = 0;
	ListCell *lc;

	if (role == ACL_ID_PUBLIC)
		return 0;
	foreach (lc, syncmaster_usable_roles(role))
		services |= syncmaster_services_of(service_roles, lfirst_oid(lc));
	return services;
}

/*
 * The commands that revoke a role from a member that was granted it directly;
 * NULL if there was no such grant, or none with an effect.  Another grantor
 * than the bootstrap superuser has to be named.
 */
char *
syncmaster_revoke_membership(Oid role, Oid member)
{
	CatCList	  *grants = SearchSysCacheList1(AUTHMEMMEMROLE,
												ObjectIdGetDatum(member));
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < grants->n_members; i++)
	{
		Form_pg_auth_members grant = (Form_pg_auth_members) GETSTRUCT(
			&grants->members[i]->tuple);

		if (grant->roleid != role ||
			!(grant_inherits(grant) || grant_allows_set(grant) ||
			  grant_allows_granting(grant)))
			continue;
		appendStringInfo(&sql, "%sREVOKE %s FROM %s", sql.len > 0 ? "; " : "",
						 syncmaster_quoted_role(role),
						 syncmaster_quoted_role(member));
		if (GRANTS_HAVE_GRANTORS && grant->grantor != BOOTSTRAP_SUPERUSERID)
			appendStringInfo(&sql, " GRANTED BY %s",
							 syncmaster_quoted_role(grant->grantor));
		if (GRANTS_HAVE_GRANTORS && grant_allows_granting(grant))
			appendStringInfoString(&sql, " CASCADE");
	}
	ReleaseSysCacheList(grants);

	return sql.len > 0 ? sql.data : NULL;
}
