/*-------------------------------------------------------------------------
 *
 * power.c
 *	  What roles can do beyond a service's rights, and who can act as them.
 *
 * A power is a role with the reason why whoever acts as that role has more than
 * a service needs.  All of them are gathered first, the ones by rights on
 * tables while those are listed.  Then each role is looked at: its own
 * attributes, and the powers of the roles that it can act as.
 *
 * Superusers without a service are left out, as are the owner of the tables and
 * whoever can act as one of these: they are entitled to everything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

#define COPIES_CLUSTER \
	"it can copy the whole cluster, the passwords' hashes included"

#define READS_FILES \
	"it can read all of the server's files, the passwords' hashes included"
#define BECOMES_SUPERUSER "it can become a superuser"

typedef struct Power
{
	Oid		 role;
	Severity state;
	int		 services;	/* as which it can run code; 0 for all, if dangerous */
	bool	 attribute; /* an attribute: members do not inherit it */
	const char *reason;
} Power;

/*
 * PostgreSQL's predefined roles; those that an older major does not have are
 * skipped.
 */
static const struct
{
	const char *role;
	Severity	state;
	const char *reason;
} predefined[] = {
	{"pg_read_all_data", STATE_EXCESS, "it can read all tables"},
	{"pg_write_all_data", STATE_DANGEROUS,
	 "it can write all tables, and " UNPICKLED},
	{"pg_maintain", STATE_EXCESS,
	 "it can lock all tables, which stops the services"},
	{"pg_read_server_files", STATE_DANGEROUS, READS_FILES},
	{"pg_write_server_files", STATE_DANGEROUS, BECOMES_SUPERUSER},
	{"pg_execute_server_program", STATE_DANGEROUS, BECOMES_SUPERUSER},
};

/*
 * Privileges on settings that name programs, libraries, schemas, or who may
 * log in.  They take effect when the configuration is reloaded.  The libraries
 * that a session loads, the directory of extensions and the Perl code that
 * runs at its start can be set for a session alone.
 */
#define SETTING_RIGHTS_QUERY \
	"SELECT a.grantee, p.parname, a.privilege_type, a.grantor, " \
	"    a.is_grantable " \
	"FROM pg_parameter_acl p, aclexplode(p.paracl) a " \
	"WHERE a.privilege_type = 'SET' " \
	"AND p.parname IN ('dynamic_library_path', 'extension_control_path', " \
	"    'plperl.on_plperlu_init', 'session_preload_libraries') " \
	"OR a.privilege_type = 'ALTER SYSTEM' " \
	"AND (p.parname IN ('archive_cleanup_command', 'archive_command', " \
	"        'archive_library', 'dynamic_library_path', " \
	"        'extension_control_path', 'hba_file', 'ident_file', " \
	"        'jit_provider', 'krb_server_keyfile', " \
	"        'oauth_validator_libraries', 'plperl.on_init', " \
	"        'plperl.on_plperlu_init', 'recovery_end_command', " \
	"        'restore_command', 'search_path', 'ssl_ca_file', " \
	"        'ssl_passphrase_command') " \
	"    OR p.parname LIKE '%_preload_libraries') " \
	"ORDER BY p.parname, a.privilege_type"

/*
 * Functions that event triggers call, with their owners.  The function as such
 * is not to be trusted, so that it gets no other owner, and disabling the
 * trigger is the one command that does not fire it.
 */
#define EVENT_TRIGGERS_QUERY \
	"SELECT p.proowner, format('%I.%I()', n.nspname, p.proname), e.evtname, " \
	"    format('ALTER EVENT TRIGGER %I DISABLE', e.evtname) " \
	"FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid " \
	"JOIN pg_namespace n ON n.oid = p.pronamespace " \
	"WHERE e.evtenabled <> 'D' ORDER BY 2, 3"

/* Functions that read or write files of the server, and their ACLs. */
#define FILE_FUNCTIONS_QUERY \
	"SELECT a.grantee, p.oid::regprocedure, " \
	"    CASE p.proname WHEN 'lo_export' THEN $1 ELSE $2 END, a.grantor, " \
	"    a.is_grantable " \
	"FROM pg_proc p, aclexplode(p.proacl) a " \
	"WHERE p.pronamespace = 'pg_catalog'::regnamespace " \
	"AND p.proname IN ('lo_export', 'lo_import', 'pg_read_binary_file', " \
	"    'pg_read_file') " \
	"AND a.grantee <> p.proowner ORDER BY 2"

/* A role with its attributes. */
typedef struct RoleAttributes
{
	Oid	 role;
	bool superuser;
	bool createrole;
	bool replication;
} RoleAttributes;

void
syncmaster_add_power(PrivilegeList *list, Severity state, Oid role,
					 int services, bool attribute, const char *reason)
{
	Power *power = palloc(sizeof(Power));

	power->role = role;
	power->state = state;
	power->services = services;
	power->attribute = attribute;
	power->reason = reason;
	list->powers = lappend(list->powers, power);
}

/*
 * Return whether the role is meant to be able to do everything.  A role with a
 * service is not.
 */
bool
syncmaster_is_entitled(const MigrationContext *context, List *service_roles,
					   Oid role)
{
	ListCell *lc;

	if (superuser_arg(role) || role == context->owner)
		return true;
	if (syncmaster_services_of(service_roles, role) != 0)
		return false;
	foreach (lc, syncmaster_settable_roles(role))
	{
		if (superuser_arg(lfirst_oid(lc)))
			return true;
	}

	/* a role that inherits from the bootstrap superuser owns the catalogues */
	foreach (lc, syncmaster_usable_roles(role))
	{
		if (lfirst_oid(lc) == context->owner ||
			lfirst_oid(lc) == BOOTSTRAP_SUPERUSERID)
			return true;
	}
	return false;
}

/*
 * All roles but the predefined ones.
 */
static List *
read_roles(void)
{
	List	 *roles = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query("SELECT oid, rolsuper, rolcreaterole, "
								  "    rolreplication "
								  "FROM pg_roles "
								  "WHERE rolname NOT LIKE 'pg\\_%' "
								  "ORDER BY rolname",
								  0, NULL, NULL))
	{
		char		  **row = lfirst(lc);
		RoleAttributes *entry = palloc(sizeof(RoleAttributes));

		entry->role = atooid(row[0]);
		entry->superuser = row[1][0] == 't';
		entry->createrole = row[2][0] == 't';
		entry->replication = row[3][0] == 't';
		roles = lappend(roles, entry);
	}
	return roles;
}

/*
 * List the database's owner, who may migrate, which creates and drops tables,
 * can make every session search another schema first, and from 15 on owns the
 * schema public.
 */
static void
list_database_owner(PrivilegeList *list)
{
	Oid			owner = syncmaster_database_owner();
	const char *name = current_database_name();

	if (syncmaster_is_entitled(&list->context, list->roles, owner))
		return;
	syncmaster_add_privilege(
		list, STATE_DANGEROUS, owner, "database", name, "OWNER",
		"it can drop and make tables, and have services use others",
		psprintf("ALTER DATABASE %s OWNER TO %s", quote_identifier(name),
				 syncmaster_quoted_role(list->context.owner)));
	syncmaster_add_power(list, STATE_DANGEROUS, owner, 0, false,
						 "it owns the database, and can drop and make tables");
}

static char *
revoke_calls(const PrivilegeList *list, const ServiceRole *entry)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int service = 1; service < 1 << NUM_SERVICES; service <<= 1)
	{
		if (entry->services & service)
			appendStringInfo(
				&sql, "%sSELECT %s(%s, %s)", sql.len > 0 ? "; " : "",
				quote_qualified_identifier(list->context.schema,
										   "syncmaster_revoke"),
				quote_literal_cstr(syncmaster_role_name(entry->role)),
				quote_literal_cstr(syncmaster_services_text(service)));
	}
	return sql.data;
}

/*
 * List the services of a role, and attributes that no role with a service
 * should have.
 */
static void
list_services(PrivilegeList *list, const ServiceRole *entry)
{
	const char *name = syncmaster_role_name(entry->role);

	for (int service = 1; service < 1 << NUM_SERVICES; service <<= 1)
	{
		if (entry->services & service)
			syncmaster_add_privilege(list, STATE_GRANTED, entry->role,
									 "service",
									 syncmaster_services_text(service), NULL,
									 NULL, NULL);
	}
	/* the first of the superusers, or whoever asks, has to stay one */
	if (superuser_arg(entry->role))
		syncmaster_add_privilege(
			list, STATE_DANGEROUS, entry->role, "role", name, "SUPERUSER",
			"it can do everything",
			entry->role == BOOTSTRAP_SUPERUSERID || entry->role == GetUserId()
				? revoke_calls(list, entry)
				: psprintf("ALTER ROLE %s NOSUPERUSER",
						   syncmaster_quoted_role(entry->role)));
	else if (entry->role == list->context.owner)
		syncmaster_add_privilege(
			list, STATE_DANGEROUS, entry->role, "role", name, "OWNER",
			"it owns the tables and can do everything with them",
			revoke_calls(list, entry));
}

static void
list_attribute(PrivilegeList *list, const RoleAttributes *entry,
			   const char *attribute, Severity state, const char *reason)
{
	syncmaster_add_privilege(list, state, entry->role, "role",
							 syncmaster_role_name(entry->role), attribute,
							 reason,
							 psprintf("ALTER ROLE %s NO%s",
									  syncmaster_quoted_role(entry->role),
									  attribute));
}

/*
 * List attributes that give other roles' rights.  CREATEROLE by itself does so
 * up to 15 only; from 16 on it is more than a service needs.
 */
static void
list_attributes(PrivilegeList *list, const RoleAttributes *entry)
{
	static const char *const grants_all =
		"it can grant itself all roles but superusers";

	if (entry->createrole && CREATEROLE_GRANTS_ALL)
	{
		list_attribute(list, entry, "CREATEROLE", STATE_DANGEROUS, grants_all);
		syncmaster_add_power(list, STATE_DANGEROUS, entry->role, 0, true,
							 grants_all);
	}
	else if (entry->createrole &&
			 syncmaster_services_of(list->roles, entry->role) != 0)
		list_attribute(list, entry, "CREATEROLE", STATE_EXCESS,
					   "it can make roles, and change those that it made");
	if (entry->replication)
	{
		list_attribute(list, entry, "REPLICATION", STATE_DANGEROUS,
					   COPIES_CLUSTER);
		syncmaster_add_power(list, STATE_EXCESS, entry->role, 0, true,
							 "it can read what is written to all tables");
	}
}

/*
 * List a privilege on an object of the whole cluster that no role has by
 * default.
 */
static void
list_server_right(PrivilegeList *list, Oid role, const char *type,
				  const char *name, const char *privilege, const char *reason,
				  const char *fix)
{
	if (role != ACL_ID_PUBLIC)
	{
		if (superuser_arg(role) ||
			strncmp(syncmaster_role_name(role), "pg_", 3) == 0 ||
			syncmaster_is_entitled(&list->context, list->roles, role))
			return;
		syncmaster_add_power(list, STATE_DANGEROUS, role, 0, false, reason);
	}
	syncmaster_add_privilege(list, STATE_DANGEROUS, role, type, name, privilege,
							 reason, fix);
}

/*
 * The command that revokes a privilege on an object of the bootstrap
 * superuser.  REVOKE takes only what the owner has granted; what another role
 * has granted goes with the option to do so.
 */
static char *
revoke_server_right(const char *privilege, const char *object, Oid grantee,
					Oid grantor, bool grantable)
{
	bool by_owner = grantor == BOOTSTRAP_SUPERUSERID;

	return psprintf("REVOKE %s%s ON %s FROM %s%s",
					by_owner ? "" : "GRANT OPTION FOR ", privilege, object,
					syncmaster_quoted_role(by_owner ? grantee : grantor),
					by_owner && !grantable ? "" : " CASCADE");
}

/*
 * List privileges on settings and on functions that are as strong as a
 * predefined role, and the owners of functions of event triggers.
 */
static void
list_server_rights(PrivilegeList *list)
{
	Oid		  types[] = {TEXTOID, TEXTOID};
	Datum	  values[2];
	ListCell *lc;

	foreach (lc, SETTINGS_HAVE_RIGHTS
					 ? syncmaster_query(SETTING_RIGHTS_QUERY, 0, NULL, NULL)
					 : NIL)
	{
		char **row = lfirst(lc);

		list_server_right(list, atooid(row[0]), "parameter", row[1], row[2],
						  BECOMES_SUPERUSER,
						  revoke_server_right(row[2],
											  psprintf("PARAMETER %s", row[1]),
											  atooid(row[0]), atooid(row[3]),
											  row[4][0] == 't'));
	}
	values[0] = CStringGetTextDatum(BECOMES_SUPERUSER);
	values[1] = CStringGetTextDatum(READS_FILES);
	foreach (lc, syncmaster_query(FILE_FUNCTIONS_QUERY, 2, types, values))
	{
		char **row = lfirst(lc);

		list_server_right(
			list, atooid(row[0]), "function", row[1], "EXECUTE", row[2],
			revoke_server_right("EXECUTE",
								psprintf("FUNCTION pg_catalog.%s", row[1]),
								atooid(row[0]), atooid(row[3]),
								row[4][0] == 't'));
	}
	foreach (lc, syncmaster_query(EVENT_TRIGGERS_QUERY, 0, NULL, NULL))
	{
		char **row = lfirst(lc);

		list_server_right(
			list, atooid(row[0]), "function", row[1], "OWNER",
			psprintf("event trigger \"%s\" calls it with the rights of whoever "
					 "runs DDL or, for one on login, logs in",
					 row[2]),
			row[3]);
	}
}

/*
 * Collect the powers that do not depend on privileges on tables.
 */
static void
gather_powers(PrivilegeList *list, List *roles)
{
	ListCell *lc;

	syncmaster_add_power(list, STATE_DANGEROUS, list->context.owner, 0, false,
						 "it can do everything with the tables");
	list_database_owner(list);
	list_server_rights(list);
	for (int i = 0; i < (int) lengthof(predefined); i++)
	{
		Oid role = get_role_oid(predefined[i].role, true);

		if (OidIsValid(role))
			syncmaster_add_power(list, predefined[i].state, role, 0, false,
								 predefined[i].reason);
	}
	foreach (lc, roles)
	{
		const RoleAttributes *entry = lfirst(lc);

		if (entry->superuser)
			syncmaster_add_power(list, STATE_DANGEROUS, entry->role, 0,
								 entry->role != BOOTSTRAP_SUPERUSERID,
								 BECOMES_SUPERUSER);
		else if (!syncmaster_is_entitled(&list->context, list->roles,
										 entry->role))
			list_attributes(list, entry);
	}
}

/*
 * Set the power that a role with a service gives to roles that can act as it.
 */
static bool
service_power(const PrivilegeList *list, Oid member, Oid role, Severity *state,
			  const char **reason)
{
	int services = syncmaster_services_of(list->roles, member);
	int more = syncmaster_services_of(list->roles, role) & ~services;

	if (more == 0)
		return false;
	*state = (more & UNPICKLING_SERVICES) != 0 ? STATE_DANGEROUS : STATE_EXCESS;
	*reason = psprintf("it has the rights of service %s%s",
					   syncmaster_services_text(more),
					   services != 0 ? " as well" : "");
	return true;
}

/*
 * Find the gravest of the powers that "member" has by acting as "role".
 */
static bool
find_power(const PrivilegeList *list, Oid member, Oid role, bool settable,
		   Severity *state, const char **reason)
{
	int		  services = syncmaster_services_of(list->roles, member);
	bool	  found = service_power(list, member, role, state, reason);
	ListCell *lc;

	foreach (lc, list->powers)
	{
		const Power *power = lfirst(lc);

		if (power->role != role || (power->attribute && !settable) ||
			(power->services != 0 && (power->services & ~services) == 0) ||
			(found && *state <= power->state))
			continue;
		found = true;
		*state = power->state;
		*reason = power->reason != NULL
					  ? power->reason
					  : psprintf("it has the rights of role \"%s\", which are "
								 "dangerous",
								 syncmaster_role_name(role));
	}
	return found;
}

static void
list_memberships(PrivilegeList *list, Oid member)
{
	List	 *settable = syncmaster_settable_roles(member);
	ListCell *lc;

	foreach (lc, syncmaster_usable_roles(member))
	{
		Oid			role = lfirst_oid(lc);
		Severity	state;
		const char *reason;

		if (role != member &&
			find_power(list, member, role, list_member_oid(settable, role),
					   &state, &reason))
			syncmaster_add_privilege(
				list, state, member, "role", syncmaster_role_name(role),
				"MEMBER", reason, syncmaster_revoke_membership(role, member));
	}
}

/*
 * List the attributes of roles, and the powers of roles that they can act as.
 */
void
syncmaster_list_powers(PrivilegeList *list)
{
	List	 *roles = read_roles();
	ListCell *lc;

	foreach (lc, list->roles)
		list_services(list, lfirst(lc));
	gather_powers(list, roles);
	foreach (lc, roles)
	{
		const RoleAttributes *entry = lfirst(lc);

		if (!entry->superuser &&
			!syncmaster_is_entitled(&list->context, list->roles, entry->role))
			list_memberships(list, entry->role);
	}
}
