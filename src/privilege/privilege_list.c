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

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

#define PRIVILEGES_NATTS 8

/* with any of them one can put something into a table, at least by a trigger */
#define WRITE_PRIVILEGES \
	(ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_TRIGGER)

/* services that unpickle what they find */
#define UNPICKLING_SERVICES (SERVICE_SCHEDULER | SERVICE_WORKER)

#define UNPICKLED "a service unpickles what is in the table, which runs code"

/* in the order in which they are listed */
#define STATE_DANGEROUS SEVERITY_ERROR
#define STATE_MISSING SEVERITY_WARNING
#define STATE_EXCESS SEVERITY_INFO
#define STATE_GRANTED SEVERITY_NONE

static const char *const state_names[] = {"dangerous", "missing", "excess",
										  "granted"};

/* About a role and an object; the message is the reason, which may be NULL. */
typedef struct PrivilegeFinding
{
	Finding finding;
	const char *role;
	const char *services;
	const char *privilege;
} PrivilegeFinding;

typedef struct PrivilegeList
{
	MigrationContext context;
	Oid extension_owner;
	List *roles; /* of ServiceRole */
	List *objects;
	List *findings; /* of PrivilegeFinding */
} PrivilegeList;

/* A role whose members have more than a service needs. */
typedef struct Power
{
	const char *role;
	bool writes;
	const char *reason;
} Power;

/* Those that are not there on older majors are passed over. */
static const Power powers[] = {
	{"pg_read_all_data", false, "it can read all tables"},
	{"pg_write_all_data", true, "it can write all tables, and " UNPICKLED},
	{"pg_read_server_files", false, "it can read all of the server's files"},
	{"pg_write_server_files", true, "it can become a superuser"},
	{"pg_execute_server_program", true, "it can become a superuser"},
};

PG_FUNCTION_INFO_V1(syncmaster_privileges);

static const char *
role_name(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC" : GetUserNameFromId(role, false);
}

static const char *
quoted_role(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC" : quote_identifier(role_name(role));
}

static void
add_row(PrivilegeList *list, Severity state, Oid role, const char *object_type,
		const char *object_name, const char *privilege, const char *reason,
		const char *fix)
{
	int services = syncmaster_services_of(list->roles, role);
	PrivilegeFinding *row = palloc0(sizeof(PrivilegeFinding));

	row->finding.severity = state;
	row->finding.kind = object_type;
	row->finding.subject = object_name;
	row->finding.message = reason;
	row->finding.fix = fix;
	row->role = role_name(role);
	row->services = syncmaster_services_text(services);
	row->privilege = privilege;
	list->findings = lappend(list->findings, row);
}

static char *
privileges_text(AclMode privileges, const char *column, const char *suffix)
{
	StringInfoData text;

	initStringInfo(&text);
	syncmaster_append_privileges(&text, privileges, column, suffix);
	return text.data;
}

/*
 * What services need and were not granted.
 */
static void
list_missing(PrivilegeList *list, const Securable *object)
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
		add_row(list, STATE_MISSING, entry->role, object->type, object->name,
				privileges_text(missing, NULL, ""), "the service needs it",
				psprintf("GRANT %s ON %s TO %s",
						 privileges_text(missing, object->column, ""),
						 object->target, quoted_role(entry->role)));
	}
}

/*
 * REVOKE of what a role has too much on an object.  That of a privilege on a
 * table takes it from the columns too, where it may be needed.
 */
static char *
revoke_command(const PrivilegeList *list, const Securable *object,
			   const AclItem *item, AclMode excess, int services)
{
	StringInfoData needed;
	const char *role = quoted_role(item->ai_grantee);
	char *sql =
		psprintf("REVOKE %s ON %s FROM %s%s",
				 privileges_text(excess, object->column, ""), object->target,
				 role,
				 (ACLITEM_GET_GOPTIONS(*item) & excess) != 0 ? " CASCADE" : "");
	ListCell *lc;

	initStringInfo(&needed);
	foreach (lc, list->objects)
	{
		const Securable *other = lfirst(lc);

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
 * What a role has on an object and does not need, or what it could hand on.
 */
static void
list_excess(PrivilegeList *list, const Securable *object, const AclItem *item)
{
	int services = syncmaster_services_of(list->roles, item->ai_grantee);
	bool by_owner = item->ai_grantor == object->owner;
	AclMode privileges = ACLITEM_GET_PRIVS(*item);
	AclMode excess = by_owner
						 ? privileges & ~syncmaster_needed(object, services)
						 : privileges;
	AclMode options = ACLITEM_GET_GOPTIONS(*item) & ~excess;
	bool dangerous;

	/* whoever uses other tables in the schema needs that */
	if (object->is_schema)
		excess &= ACL_CREATE;
	dangerous = object->pickled && (excess & WRITE_PRIVILEGES) != 0;

	if (excess != 0)
		add_row(list, dangerous ? STATE_DANGEROUS : STATE_EXCESS,
				item->ai_grantee, object->type, object->name,
				privileges_text(excess, NULL, ""),
				dangerous			? UNPICKLED
				: !by_owner			? psprintf("it was granted by role \"%s\"",
											   role_name(item->ai_grantor))
				: object->is_schema ? "what it makes there may be taken for "
									  "what the services mean"
				: services == 0		? "the role has no service"
									: "the service does not need it",
				by_owner
					? revoke_command(list, object, item, excess, services)
					: psprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s "
							   "CASCADE",
							   privileges_text(excess, object->column, ""),
							   object->target, quoted_role(item->ai_grantor)));
	if (options != 0 && !object->is_schema)
		add_row(list, STATE_EXCESS, item->ai_grantee, object->type,
				object->name,
				privileges_text(options, NULL, " WITH GRANT OPTION"),
				"it can hand on what it has",
				psprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s CASCADE",
						 privileges_text(options, object->column, ""),
						 object->target, quoted_role(item->ai_grantee)));
}

/*
 * A service that owns it, while another role owns the tables, as when Celery
 * made its own.
 */
static void
list_ownership(PrivilegeList *list, const Securable *object)
{
	const char *owner = quoted_role(list->context.owner);
	bool is_table = strcmp(object->type, "table") == 0;

	if ((!is_table && !object->is_schema) ||
		object->owner == list->context.owner || superuser_arg(object->owner) ||
		syncmaster_services_of(list->roles, object->owner) == 0)
		return;
	add_row(list, object->pickled ? STATE_DANGEROUS : STATE_EXCESS,
			object->owner, object->type, object->name, "OWNER",
			object->pickled ? UNPICKLED
							: "a service needs none of an owner's rights",
			psprintf("ALTER %s OWNER TO %s", object->target, owner));
}

static void
list_object(PrivilegeList *list, const Securable *object)
{
	list_missing(list, object);
	list_ownership(list, object);
	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];

		/* these are entitled, or need no grant */
		if (item->ai_grantee != object->owner &&
			item->ai_grantee != list->context.owner &&
			!(object->of_extension &&
			  item->ai_grantee == list->extension_owner) &&
			(item->ai_grantee == ACL_ID_PUBLIC ||
			 !superuser_arg(item->ai_grantee)))
			list_excess(list, object, item);
	}
}

static bool
is_direct_member(Oid member, Oid role)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(role), ObjectIdGetDatum(member)};

	return syncmaster_query("SELECT roleid FROM pg_auth_members "
							"WHERE roleid = $1 AND member = $2",
							2, types, values) != NIL;
}

static void
list_membership(PrivilegeList *list, Oid member, Oid role, bool dangerous,
				const char *reason)
{
	if (!OidIsValid(role) || role == member ||
		!is_member_of_role_nosuper(member, role))
		return;
	add_row(list, dangerous ? STATE_DANGEROUS : STATE_EXCESS, member, "role",
			role_name(role), "MEMBER", reason,
			is_direct_member(member, role)
				? psprintf("REVOKE %s FROM %s", quoted_role(role),
						   quoted_role(member))
				: NULL);
}

static char *
revoke_calls(const PrivilegeList *list, const ServiceRole *entry)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int service = 1; service < 1 << NUM_SERVICES; service <<= 1)
	{
		if (entry->services & service)
			appendStringInfo(&sql, "%sSELECT %s(%s, %s)",
							 sql.len > 0 ? "; " : "",
							 quote_qualified_identifier(list->context.schema,
														"syncmaster_revoke"),
							 quote_literal_cstr(role_name(entry->role)),
							 quote_literal_cstr(
								 syncmaster_services_text(service)));
	}
	return sql.data;
}

/*
 * Attributes that lead to other roles' rights.
 */
static void
list_attributes(PrivilegeList *list, Oid role)
{
	static const char *const names[] = {"CREATEROLE", "REPLICATION"};
	static const char *const reasons[] = {
		"it can make itself a member of other roles, up to 15 of any but "
		"superusers",
		"it can read the whole cluster"};
	char **row = linitial(
		syncmaster_query_oid("SELECT rolcreaterole, rolreplication "
							 "FROM pg_roles WHERE oid = $1",
							 role));

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (row[i][0] == 't')
			add_row(list, i == 0 ? STATE_DANGEROUS : STATE_EXCESS, role, "role",
					role_name(role), names[i], reasons[i],
					psprintf("ALTER ROLE %s NO%s", quoted_role(role),
							 names[i]));
	}
}

/*
 * The owner of the database may migrate, which makes and drops tables, and from
 * 15 on owns the schema public.
 */
static void
list_database_owner(PrivilegeList *list, Oid role)
{
	Oid owner = syncmaster_database_owner();

	if (owner == list->context.owner)
		return;
	if (role == owner)
		add_row(list, STATE_DANGEROUS, role, "database",
				get_database_name(MyDatabaseId), "OWNER",
				"it can drop and make tables",
				psprintf("ALTER DATABASE %s OWNER TO %s",
						 quote_identifier(get_database_name(MyDatabaseId)),
						 quoted_role(list->context.owner)));
	list_membership(list, role, owner, true,
					"it owns the database, and can drop and make tables");
}

/*
 * What a role with services is beyond them.
 */
static void
list_role(PrivilegeList *list, const ServiceRole *entry)
{
	Oid owner = list->context.owner;
	ListCell *lc;

	for (int service = 1; service < 1 << NUM_SERVICES; service <<= 1)
	{
		if (entry->services & service)
			add_row(list, STATE_GRANTED, entry->role, "service",
					syncmaster_services_text(service), NULL, NULL, NULL);
	}
	if (superuser_arg(entry->role))
	{
		add_row(list, STATE_DANGEROUS, entry->role, "role",
				role_name(entry->role), "SUPERUSER", "it can do everything",
				psprintf("ALTER ROLE %s NOSUPERUSER",
						 quoted_role(entry->role)));
		return;
	}
	if (entry->role == owner)
		add_row(list, STATE_DANGEROUS, owner, "role", role_name(owner), "OWNER",
				"it owns the tables and can do everything with them",
				revoke_calls(list, entry));

	list_membership(list, entry->role, owner, true,
					"it can do everything with the tables");
	list_database_owner(list, entry->role);
	list_attributes(list, entry->role);
	for (int i = 0; i < (int) lengthof(powers); i++)
		list_membership(list, entry->role, get_role_oid(powers[i].role, true),
						powers[i].writes, powers[i].reason);
	foreach (lc, list->roles)
	{
		const ServiceRole *other = lfirst(lc);
		int more = other->services & ~entry->services;

		if (more != 0)
			list_membership(list, entry->role, other->role,
							(more & UNPICKLING_SERVICES) != 0,
							psprintf("it has the rights of service %s as well",
									 syncmaster_services_text(more)));
	}
}

/*
 * Members of a role, at whatever distance, that are none of the services, and
 * not entitled to everything anyway.
 */
static void
list_members(PrivilegeList *list, Oid role, bool dangerous, const char *reason)
{
	ListCell *lc;

	if (!OidIsValid(role))
		return;
	foreach (lc, syncmaster_query_oid("SELECT oid FROM pg_roles "
									  "WHERE NOT rolsuper AND oid <> $1 "
									  "AND rolname NOT LIKE 'pg\\_%' "
									  "AND pg_has_role(oid, $1, 'MEMBER') "
									  "ORDER BY rolname",
									  role))
	{
		char **row = lfirst(lc);
		Oid member = atooid(row[0]);

		if (!has_privs_of_role(member, list->context.owner) &&
			syncmaster_services_of(list->roles, member) == 0)
			list_membership(list, member, role, dangerous, reason);
	}
}

/*
 * Roles without a service that have the rights of one, or on all tables.
 */
static void
list_outsiders(PrivilegeList *list)
{
	ListCell *lc;

	list_members(list, get_role_oid("pg_write_all_data", true), true,
				 "it can write all tables, and " UNPICKLED);
	list_members(list, get_role_oid("pg_read_all_data", true), false,
				 "it can read all tables");
	foreach (lc, list->roles)
	{
		const ServiceRole *entry = lfirst(lc);

		if (!superuser_arg(entry->role))
			list_members(list, entry->role,
						 (entry->services & UNPICKLING_SERVICES) != 0,
						 psprintf("it has the rights of service %s",
								  syncmaster_services_text(entry->services)));
	}
}

/*
 * Who keeps which role has which service, and is not to be believed.
 */
static void
list_distrust(PrivilegeList *list)
{
	Oid relid = syncmaster_find_service_table();

	if (!OidIsValid(relid) ||
		syncmaster_service_distrust(&list->context, relid) == NULL)
		return;
	add_row(list, STATE_DANGEROUS, syncmaster_relation_owner(relid), "table",
			SERVICE_NAME, "OWNER",
			"it is not trusted to tell who has which service, so that nobody "
			"has one",
			psprintf("SELECT %s(%s)",
					 quote_qualified_identifier(list->context.schema,
												"syncmaster_set_owner"),
					 quote_literal_cstr(role_name(list->context.owner))));
}

static void
put_columns(const Finding *finding, const char **texts)
{
	const PrivilegeFinding *row = (const PrivilegeFinding *) finding;

	texts[0] = row->role;
	texts[1] = row->services;
	texts[2] = finding->kind;
	texts[3] = finding->subject;
	texts[4] = row->privilege;
	texts[5] = state_names[finding->severity];
	texts[6] = finding->message;
	texts[7] = finding->fix;
}

/*
 * syncmaster_privileges() returns the deviations, the gravest first, and then
 * the services that roles have.
 */
Datum
syncmaster_privileges(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	PrivilegeList list = {0};
	ExtensionEntry extension;
	ListCell *lc;

	syncmaster_fill_context(&list.context, GetUserId());
	syncmaster_get_extension(&extension);
	list.extension_owner = extension.owner;
	list.roles = syncmaster_service_roles(&list.context);
	list.objects = syncmaster_securables(list.context.namespace);

	list_distrust(&list);
	foreach (lc, list.objects)
		list_object(&list, lfirst(lc));
	foreach (lc, list.roles)
		list_role(&list, lfirst(lc));
	list_outsiders(&list);

	syncmaster_put_findings(result, list.findings, PRIVILEGES_NATTS,
							put_columns);

	return (Datum) 0;
}
