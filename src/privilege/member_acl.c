/*-------------------------------------------------------------------------
 *
 * member_acl.c
 *	  The rights on the extension's own functions and views.
 *
 * ALTER DEFAULT PRIVILEGES decides what a new function may be called by, so no
 * script relies on it, and none grants or revokes: the first call of a script
 * gives the functions and views that it has made exactly the rights that
 * member.c has for them, before code of another role can run.
 *
 * Later on, what is missing is granted, and nothing is taken away: whatever is
 * granted beyond that is the decision of the grantor.  It is listed by
 * syncmaster_privileges() and syncmaster_check().
 *
 * What a script grants on its new functions becomes part of pg_init_privs, and
 * is in no dump.  The owner of the tables gets his rights outside that, as a
 * script that is run by a restore does not know him: a dump has them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/* A member of the extension that privileges can be granted on. */
typedef struct Member
{
	Oid				  oid;
	const MemberInfo *info;
	const char		 *kind;	  /* "function", "procedure" or "view" */
	const char		 *name;	  /* for people */
	const char		 *target; /* as GRANT names it */
	bool			  is_new; /* created by the script that is running */
	Oid				  owner;
	Acl				 *acl;
} Member;

/* A role that is meant to have a privilege. */
typedef struct Grantee
{
	Oid	 role;
	bool grant_option;
} Grantee;

/*
 * The members, with the commands that created their catalogue entries.  GRANT
 * does not touch the entries in pg_depend, and a script begins with a new row
 * in pg_extension.
 */
#define MEMBERS_QUERY \
	"SELECT p.oid, p.proname, 'f', " \
	"       CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, " \
	"       format('%I(%s)', p.proname, oidvectortypes(p.proargtypes)), " \
	"       format('ROUTINE %I.%I(%s)', n.nspname, p.proname, " \
	"              oidvectortypes(p.proargtypes)), " \
	"       d.xmin, d.cmin, e.xmin, e.cmin " \
	"FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid " \
	"JOIN pg_proc p ON p.oid = d.objid " \
	"JOIN pg_namespace n ON n.oid = p.pronamespace " \
	"WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' " \
	"AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $1 " \
	"UNION ALL " \
	"SELECT c.oid, c.relname, 'v', 'view', format('%I', c.relname), " \
	"       format('TABLE %I.%I', n.nspname, c.relname), " \
	"       d.xmin, d.cmin, e.xmin, e.cmin " \
	"FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid " \
	"JOIN pg_class c ON c.oid = d.objid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' " \
	"AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $1 " \
	"AND c.relkind = 'v' " \
	"ORDER BY 5"

static const MemberInfo *
find_info(const char *name, MemberKind kind)
{
	for (int i = 0; i < syncmaster_nmembers; i++)
	{
		const MemberInfo *info = &syncmaster_members[i];

		if (info->kind == kind && strcmp(info->name, name) == 0)
			return info;
	}
	return NULL;
}

/*
 * Return whether this script has created the member: whether its catalogue
 * entry is younger than the extension's own.
 */
static bool
is_new(char **row)
{
	TransactionId member_xmin = (TransactionId) strtoul(row[6], NULL, 10);
	TransactionId extension_xmin = (TransactionId) strtoul(row[8], NULL, 10);

	return TransactionIdIsCurrentTransactionId(member_xmin) &&
		   TransactionIdIsCurrentTransactionId(extension_xmin) &&
		   strtoul(row[7], NULL, 10) > strtoul(row[9], NULL, 10);
}

/*
 * Read owner and rights; false if the object is gone.
 */
static bool
read_acl(Member *member)
{
	bool	  is_view = member->info->kind == MEMBER_VIEW;
	int		  cache = is_view ? RELOID : PROCOID;
	HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(member->oid));
	Datum	  acl;
	bool	  isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (is_view)
		member->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	else
		member->owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	acl = SysCacheGetAttr(cache, tuple,
						  is_view ? Anum_pg_class_relacl : Anum_pg_proc_proacl,
						  &isnull);
	member->acl = isnull ? acldefault(is_view ? OBJECT_TABLE : OBJECT_FUNCTION,
									  member->owner)
						 : DatumGetAclPCopy(acl);
	ReleaseSysCache(tuple);

	return true;
}

/*
 * The members that the library knows, as a list of Member.  Other members were
 * added by a user, or come with a later version.
 */
static List *
read_members(const ExtensionEntry *extension)
{
	List	 *members = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(MEMBERS_QUERY, extension->oid))
	{
		char	 **row = lfirst(lc);
		MemberKind kind = row[2][0] == 'v' ? MEMBER_VIEW : MEMBER_FUNCTION;
		Member	  *member = palloc0(sizeof(Member));

		member->oid = atooid(row[0]);
		member->info = find_info(row[1], kind);
		member->kind = row[3];
		member->name = row[4];
		member->target = row[5];
		member->is_new = is_new(row);
		if (member->info != NULL && read_acl(member))
			members = lappend(members, member);
	}
	return members;
}

static AclMode
wanted_mode(const Member *member)
{
	return member->info->kind == MEMBER_VIEW ? ACL_SELECT : ACL_EXECUTE;
}

static const char *
privilege_name(const Member *member)
{
	return member->info->kind == MEMBER_VIEW ? "SELECT" : "EXECUTE";
}

/*
 * The role that stands for the owner of the database.
 */
static Oid
database_owner_role(void)
{
	return OidIsValid(DATABASE_OWNER_ROLE) ? DATABASE_OWNER_ROLE
										   : syncmaster_database_owner();
}

static List *
add_grantee(List *grantees, const Member *member, Oid role, bool grant_option)
{
	Grantee	 *grantee;
	ListCell *lc;

	if (role == member->owner)
		return grantees;
	foreach (lc, grantees)
	{
		if (((Grantee *) lfirst(lc))->role == role)
			return grantees;
	}
	grantee = palloc(sizeof(Grantee));
	grantee->role = role;
	grantee->grant_option = grant_option;
	return lappend(grantees, grantee);
}

/*
 * The roles, beside its owner, that are meant to have a privilege on a member,
 * whatever the tables are.  A dump may have what others were granted; the role
 * that restores it becomes the extension's owner, and must be able to grant
 * it.
 */
static List *
meant_grantees(const ExtensionEntry *extension, const Member *member)
{
	List *grantees = NIL;

	switch (member->info->audience)
	{
		case FOR_EVERYBODY:
			grantees = add_grantee(grantees, member, ACL_ID_PUBLIC, false);
			break;
		case FOR_ADMINISTRATORS:
			grantees = add_grantee(grantees, member, extension->owner, true);
			grantees = add_grantee(grantees, member, database_owner_role(),
								   false);
			break;
		case FOR_SUPERUSERS:
			break;
	}
	return grantees;
}

static const Grantee *
find_grantee(List *grantees, Oid role)
{
	ListCell *lc;

	foreach (lc, grantees)
	{
		const Grantee *grantee = lfirst(lc);

		if (grantee->role == role)
			return grantee;
	}
	return NULL;
}

static const AclItem *
find_item(const Member *member, Oid role)
{
	for (int i = 0; i < ACL_NUM(member->acl); i++)
	{
		const AclItem *item = &acl_items(member->acl)[i];

		if (item->ai_grantee == role)
			return item;
	}
	return NULL;
}

static char *
grant_sql(const Member *member, Oid role, bool grant_option)
{
	return psprintf("GRANT %s ON %s TO %s%s", privilege_name(member),
					member->target, syncmaster_quoted_role(role),
					grant_option ? " WITH GRANT OPTION" : "");
}

static char *
revoke_sql(const Member *member, Oid role, const char *suffix)
{
	return psprintf("REVOKE %s ON %s FROM %s%s",
					member->info->kind == MEMBER_VIEW ? "ALL" : "EXECUTE",
					member->target, syncmaster_quoted_role(role), suffix);
}

/*
 * Run a statement as part of a script, so that its effect belongs to the
 * script.
 */
static void
run_in_script(const char *sql)
{
	int save_nestlevel = syncmaster_enter_safe_settings();

	(void) syncmaster_run(sql, 0, NULL, NULL);
	syncmaster_leave_settings(save_nestlevel);
}

/*
 * Return whether the role has the right, directly or as a member of another
 * role.
 */
static bool
has_right(const Member *member, Oid role)
{
	if (role == ACL_ID_PUBLIC)
	{
		const AclItem *item = find_item(member, ACL_ID_PUBLIC);

		return item != NULL &&
			   (ACLITEM_GET_PRIVS(*item) & wanted_mode(member)) != 0;
	}
	if (member->info->kind == MEMBER_VIEW)
		return pg_class_aclcheck(member->oid, role, ACL_SELECT) == ACLCHECK_OK;
	return may_execute(member->oid, role);
}

/*
 * Give a new member exactly the privileges that are meant, whatever the
 * default privileges are.
 */
static void
make_exact(const ExtensionEntry *extension, const Member *member)
{
	AclMode		   mode = wanted_mode(member);
	List		  *grantees = meant_grantees(extension, member);
	const AclItem *own = find_item(member, member->owner);
	ListCell	  *lc;

	if (own == NULL || (ACLITEM_GET_PRIVS(*own) & mode) == 0)
		run_in_script(psprintf("GRANT ALL ON %s TO %s", member->target,
							   syncmaster_quoted_role(member->owner)));
	for (int i = 0; i < ACL_NUM(member->acl); i++)
	{
		const AclItem *item = &acl_items(member->acl)[i];
		const Grantee *grantee = find_grantee(grantees, item->ai_grantee);

		if (item->ai_grantee == member->owner ||
			(grantee != NULL && ACLITEM_GET_PRIVS(*item) == mode &&
			 (ACLITEM_GET_GOPTIONS(*item) == 0 || grantee->grant_option)))
			continue;
		run_in_script(revoke_sql(member, item->ai_grantee, " CASCADE"));
	}
	foreach (lc, grantees)
	{
		const Grantee *grantee = lfirst(lc);
		const AclItem *item = find_item(member, grantee->role);

		if (item == NULL || ACLITEM_GET_PRIVS(*item) != mode ||
			(ACLITEM_GET_GOPTIONS(*item) != 0) != grantee->grant_option)
			run_in_script(
				grant_sql(member, grantee->role, grantee->grant_option));
	}
}

/*
 * Give the members that the running script has created the privileges that are
 * meant.
 */
void
syncmaster_settle_members(void)
{
	ExtensionEntry extension;
	ListCell	  *lc;

	syncmaster_get_extension(&extension);
	foreach (lc, read_members(&extension))
	{
		const Member *member = lfirst(lc);

		if (member->is_new)
			make_exact(&extension, member);
	}
}

/*
 * The owner of the tables; invalid while there are none.
 */
static Oid
tables_owner(const ExtensionEntry *extension)
{
	const RelationInfo *first = syncmaster_first_relation(extension->namespace);

	return first == NULL
			   ? InvalidOid
			   : syncmaster_relation_owner(
					 syncmaster_relation_oid(first, extension->namespace));
}

/*
 * Return whether a role has the rights of one of these.
 */
static bool
is_member_of_any(Oid role, List *roles)
{
	ListCell *lc;

	foreach (lc, roles)
	{
		if (lfirst_oid(lc) != ACL_ID_PUBLIC &&
			has_privs_of_role(role, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Roles that are meant to have a privilege on a member and lack it, except
 * those that get it by a privilege on another member.
 */
static List *
lacking_roles(const ExtensionEntry *extension, const Member *member)
{
	List	 *roles = NIL;
	List	 *grantees = meant_grantees(extension, member);
	Oid		  owner = tables_owner(extension);
	ListCell *lc;

	if (OidIsValid(owner) && member->info->audience == FOR_ADMINISTRATORS)
		grantees = add_grantee(grantees, member, owner, false);
	grantees = add_grantee(grantees, member, member->owner, false);
	foreach (lc, grantees)
	{
		const Grantee *grantee = lfirst(lc);

		if (!has_right(member, grantee->role) &&
			!is_member_of_any(grantee->role, roles))
			roles = lappend_oid(roles, grantee->role);
	}
	return roles;
}

/*
 * Grant what is missing to the roles that are meant to have it.  The caller
 * need not have the right to do so: each statement runs as the owner of the
 * object, and never as part of a script.  In a script, what others have
 * granted by then would be taken for the script's, and be left out of dumps.
 *
 * With "only", run just that statement.
 */
static void
complete(const char *only)
{
	ExtensionEntry extension;
	ListCell	  *lc;

	syncmaster_get_extension(&extension);
	foreach (lc, read_members(&extension))
	{
		const Member *member = lfirst(lc);
		ListCell	 *role;

		foreach (role, lacking_roles(&extension, member))
		{
			char *sql = grant_sql(member, lfirst_oid(role), false);

			if (only != NULL && strcmp(only, sql) != 0)
				continue;
			syncmaster_execute_as(sql, member->owner);
			CommandCounterIncrement();
		}
	}
}

void
syncmaster_complete_members(void)
{
	complete(NULL);
}

/*
 * Run a fix of syncmaster_member_rights() for a missing privilege.
 */
void
syncmaster_complete_member(const char *fix)
{
	complete(fix);
}

/*
 * Take the privileges that come with the tables from their former owner, and
 * give them to the present one.  What the former owner was granted for another
 * reason stays.
 */
void
syncmaster_hand_over_members(Oid former)
{
	ExtensionEntry extension;
	Oid			   owner;
	ListCell	  *lc;

	syncmaster_get_extension(&extension);
	owner = tables_owner(&extension);
	foreach (lc, owner == former ? NIL : read_members(&extension))
	{
		const Member  *member = lfirst(lc);
		const AclItem *item = find_item(member, former);

		if (member->info->audience != FOR_ADMINISTRATORS || item == NULL ||
			former == member->owner ||
			find_grantee(meant_grantees(&extension, member), former) != NULL ||
			item->ai_grantor != member->owner ||
			ACLITEM_GET_GOPTIONS(*item) != 0)
			continue;
		syncmaster_execute_as(psprintf("REVOKE %s ON %s FROM %s",
									   privilege_name(member), member->target,
									   syncmaster_quoted_role(former)),
							  member->owner);
		CommandCounterIncrement();
	}
	syncmaster_complete_members();
}

static MemberRight *
add_right(List **rights, const Member *member, Oid role, bool missing,
		  const char *fix)
{
	MemberRight *right = palloc(sizeof(MemberRight));

	right->kind = member->kind;
	right->name = member->name;
	right->audience = member->info->audience;
	right->privilege = privilege_name(member);
	right->role = role;
	right->missing = missing;
	right->fix = fix;
	*rights = lappend(*rights, right);

	return right;
}

/*
 * Return whether a role may call a function for another reason than a grant.
 */
static bool
is_entitled(const ExtensionEntry *extension, const Member *member, Oid role)
{
	Oid owner = tables_owner(extension);

	/* after a downgrade to base, this table alone is left */
	if (!OidIsValid(owner))
	{
		Oid relid = syncmaster_relation_oid(&syncmaster_version_relation,
											extension->namespace);

		if (OidIsValid(relid))
			owner = syncmaster_relation_owner(relid);
	}
	if (role == member->owner ||
		find_grantee(meant_grantees(extension, member), role) != NULL)
		return true;
	if (role == ACL_ID_PUBLIC)
		return false;
	/* a role that was dropped meanwhile is entitled to nothing */
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return true;
	return superuser_arg(role) ||
		   (member->info->audience == FOR_ADMINISTRATORS &&
			(has_privs_of_role(role, extension->owner) ||
			 has_privs_of_role(role, syncmaster_database_owner()) ||
			 (OidIsValid(owner) && has_privs_of_role(role, owner))));
}

/*
 * The roles that lack a privilege on a function or view of the extension, and
 * those that were granted one that is not meant for them, as a list of
 * MemberRight.  The services decide who else may read the view.
 */
List *
syncmaster_member_rights(void)
{
	ExtensionEntry extension;
	List		  *rights = NIL;
	ListCell	  *lc;

	syncmaster_get_extension(&extension);
	foreach (lc, read_members(&extension))
	{
		const Member *member = lfirst(lc);
		ListCell	 *role;

		foreach (role, lacking_roles(&extension, member))
			add_right(&rights, member, lfirst_oid(role), true,
					  grant_sql(member, lfirst_oid(role), false));
		if (member->info->kind == MEMBER_VIEW ||
			member->info->audience == FOR_EVERYBODY)
			continue;
		for (int i = 0; i < ACL_NUM(member->acl); i++)
		{
			const AclItem *item = &acl_items(member->acl)[i];

			if (!is_entitled(&extension, member, item->ai_grantee))
				add_right(&rights, member, item->ai_grantee, false,
						  revoke_sql(member, item->ai_grantee,
									 ACLITEM_GET_GOPTIONS(*item) != 0
										 ? " CASCADE"
										 : ""));
		}
	}
	return rights;
}

/*
 * NULL if a role may call that function, or if there is none; else the
 * statement that allows it.
 */
const char *
syncmaster_lacking_execute(const char *function, Oid role)
{
	ExtensionEntry extension;
	ListCell	  *lc;

	syncmaster_get_extension(&extension);
	foreach (lc, read_members(&extension))
	{
		const Member *member = lfirst(lc);

		if (strcmp(member->info->name, function) == 0 &&
			!has_right(member, role))
			return grant_sql(member, role, false);
	}
	return NULL;
}
