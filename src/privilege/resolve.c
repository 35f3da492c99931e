/*-------------------------------------------------------------------------
 *
 * resolve.c
 *	  What names without a schema mean to a role, and to a service that logs in
 *	  as that role.
 *
 * SyncMaster's services name their tables without a schema.  A schema that comes
 * before SyncMaster's on the search_path of their role, by default one with the
 * role's own name, can have others: from a table apscheduler_jobs there, the
 * scheduler unpickles what another role put in.
 *
 * What a client sets for its own session is not known here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * A setting that a new session of a role starts with in this database, if it
 * is not the server's: the most specific one.
 */
#define SETTING_QUERY \
	"SELECT substr(c, length($2) + 2) " \
	"FROM pg_db_role_setting s, unnest(s.setconfig) c " \
	"WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database " \
	"    WHERE datname = current_database())) AND s.setrole IN ($1, 0) " \
	"AND split_part(c, '=', 1) = $2 " \
	"ORDER BY s.setrole DESC, s.setdatabase DESC LIMIT 1"

/* the same from the server's files, which only a superuser may read */
#define FILES_QUERY \
	"SELECT setting FROM pg_show_all_file_settings() " \
	"WHERE name = 'search_path' AND error IS NULL ORDER BY seqno DESC LIMIT 1"

#define DEFAULT_QUERY \
	"SELECT boot_val FROM pg_settings WHERE name = 'search_path'"

/*
 * Functions and operators by the names that services call, in some schemas.
 * Wherever they are on the path, PostgreSQL calls those whose arguments fit
 * best.  An operator comes before its function, as it has to be dropped first.  Of schemas ($2) that are searched before pg_catalog, everything counts
 * that has the name of something there, types and relations as well.
 */
#define CALLED_QUERY \
	"SELECT 'function', p.pronamespace, p.proowner, " \
	"    format('%I.%I(%s)', n.nspname, p.proname, " \
	"           oidvectortypes(p.proargtypes)) " \
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace " \
	"WHERE n.oid = ANY ($1) AND (p.proname IN ('count', 'greatest', 'least', " \
	"    'lower', 'nextval', 'now', 'plainto_tsquery', 'to_tsquery', " \
	"    'ts_rank', 'ts_rank_cd', 'similarity_op') " \
	"    OR n.oid = ANY ($2) AND EXISTS (SELECT FROM pg_proc b " \
	"        WHERE b.proname = p.proname " \
	"        AND b.pronamespace = 'pg_catalog'::regnamespace)) " \
	"UNION ALL " \
	"SELECT 'operator', o.oprnamespace, o.oprowner, " \
	"    format('%I.%s (%s, %s)', n.nspname, o.oprname, " \
	"           coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'), " \
	"           coalesce(format_type(nullif(o.oprright, 0), NULL), 'NONE')) " \
	"FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace " \
	"WHERE n.oid = ANY ($1) AND (o.oprname IN ('=', '<>', '<', '<=', '>', " \
	"    '>=', '+', '-', '%', '@@', '||', '~~', '~~*', '!~~', '!~~*', '->', " \
	"    '->>') " \
	"    OR n.oid = ANY ($2) AND EXISTS (SELECT FROM pg_operator b " \
	"        WHERE b.oprname = o.oprname " \
	"        AND b.oprnamespace = 'pg_catalog'::regnamespace)) " \
	"UNION ALL " \
	"SELECT CASE WHEN c.relkind IS NULL OR c.relkind = 'c' THEN 'type' " \
	"    ELSE 'relation' END, t.typnamespace, t.typowner, " \
	"    format('%I.%I', n.nspname, t.typname) " \
	"FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace " \
	"LEFT JOIN pg_class c ON c.oid = t.typrelid " \
	"WHERE n.oid = ANY ($2) AND EXISTS (SELECT FROM pg_type b " \
	"    WHERE b.typname = t.typname " \
	"    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) " \
	"    AND b.typnamespace = 'pg_catalog'::regnamespace) " \
	"ORDER BY 1 DESC, 4"

#define LOGINS_QUERY \
	"SELECT oid FROM pg_roles WHERE rolcanlogin AND NOT rolsuper " \
	"AND oid IN (SELECT member FROM pg_auth_members) ORDER BY rolname"

static List *
read_setting(Oid role, const char *name)
{
	Oid	  types[] = {OIDOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(role), CStringGetTextDatum(name)};

	return syncmaster_query(SETTING_QUERY, 2, types, values);
}

/*
 * The value of search_path with which a session of the role starts.
 */
static char *
read_search_path(Oid role)
{
	List *rows = read_setting(role, "search_path");

	if (rows == NIL)
	{
		ActingScope scope;

		/* other roles may not read it */
		syncmaster_begin_acting(&scope, BOOTSTRAP_SUPERUSERID);
		rows = syncmaster_query(FILES_QUERY, 0, NULL, NULL);
		syncmaster_end_acting(&scope);
	}
	if (rows == NIL)
		rows = syncmaster_query(DEFAULT_QUERY, 0, NULL, NULL);

	return rows == NIL ? NULL : ((char **) linitial(rows))[0];
}

/*
 * The role that a session which logs in as a role begins as: a setting may
 * say SET ROLE, and then "$user" stands for the name of that role.
 */
Oid
syncmaster_acting_role(Oid role)
{
	List *rows = read_setting(role, "role");
	Oid	  other = rows == NIL ? InvalidOid
							  : get_role_oid(((char **) linitial(rows))[0], true);

	return OidIsValid(other) && can_act_as(role, other) ? other : role;
}

/*
 * The schemas that a session of the role searches, as a list of
 * SearchedSchema; also those that do not exist, or that the role may not use,
 * which are skipped until that changes.
 */
List *
syncmaster_searched_schemas(Oid role)
{
	char	 *setting = read_search_path(role);
	Oid		  acting = syncmaster_acting_role(role);
	List	 *names = NIL;
	List	 *path = NIL;
	ListCell *lc;

	if (setting == NULL ||
		!SplitIdentifierString(pstrdup(setting), ',', &names))
		return NIL;
	foreach (lc, names)
	{
		const char	   *name = lfirst(lc);
		SearchedSchema *schema;

		/* pg_temp is the session's own */
		if (strcmp(name, "pg_temp") == 0)
			continue;
		schema = palloc(sizeof(SearchedSchema));
		schema->name = strcmp(name, "$user") == 0
						   ? GetUserNameFromId(acting, false)
						   : name;
		schema->oid = get_namespace_oid(schema->name, true);
		schema->usable = OidIsValid(schema->oid) &&
						 has_schema_usage(schema->oid, acting);
		path = lappend(path, schema);
	}
	return path;
}

bool
syncmaster_is_searched(List *path, Oid namespace)
{
	ListCell *lc;

	foreach (lc, path)
	{
		if (((SearchedSchema *) lfirst(lc))->oid == namespace)
			return true;
	}
	return false;
}

/*
 * The relation that a name means on this search path.
 */
static Oid
resolve(List *path, const char *name)
{
	ListCell *lc;

	foreach (lc, path)
	{
		const SearchedSchema *schema = lfirst(lc);
		Oid relid = schema->usable ? get_relname_relid(name, schema->oid)
								   : InvalidOid;

		if (OidIsValid(relid))
			return relid;
	}
	return InvalidOid;
}

/*
 * Roles with services, and those that services may log in with as members of
 * such a role.
 */
List *
syncmaster_service_logins(const MigrationContext *context, List *service_roles)
{
	List	 *logins = NIL;
	ListCell *lc;

	foreach (lc, service_roles)
	{
		ServiceRole *entry = lfirst(lc);

		if (!superuser_arg(entry->role))
			logins = lappend(logins, entry);
	}
	if (service_roles == NIL)
		return NIL;
	foreach (lc, syncmaster_query(LOGINS_QUERY, 0, NULL, NULL))
	{
		Oid			 role = atooid(((char **) lfirst(lc))[0]);
		int			 services = syncmaster_usable_services(service_roles, role);
		ServiceRole *entry;

		if (services == 0 || syncmaster_services_of(service_roles, role) != 0 ||
			syncmaster_is_entitled(context, service_roles, role))
			continue;
		entry = palloc(sizeof(ServiceRole));
		entry->role = role;
		entry->services = services;
		logins = lappend(logins, entry);
	}
	return logins;
}

/*
 * The command that sets a role's search_path to the application's schema, and
 * that of pg_trgm, whose operator the server needs.
 */
char *
syncmaster_set_search_path(const MigrationContext *context, Oid role)
{
	ExtensionEntry trgm;
	bool		   elsewhere = syncmaster_find_extension("pg_trgm", &trgm) &&
					 trgm.namespace != context->namespace &&
					 trgm.namespace != PG_CATALOG_NAMESPACE;

	return psprintf("ALTER ROLE %s IN DATABASE %s SET search_path = %s%s%s",
					syncmaster_quoted_role(role),
					quote_identifier(current_database_name()),
					quote_identifier(context->schema), elsewhere ? ", " : "",
					elsewhere ? quote_identifier(trgm.namespace_name) : "");
}

typedef struct Resolver
{
	const MigrationContext *context;
	List				   *service_roles;
	const ServiceRole	   *login;
	List				   *path;
	List				   *misled;
} Resolver;

static void
add_misled(Resolver *resolver, const char *type, const char *expected,
		   const char *actual, const char *fix)
{
	MisledService *entry = palloc(sizeof(MisledService));

	entry->role = resolver->login->role;
	entry->type = type;
	entry->expected = expected;
	entry->actual = actual;
	entry->fix = fix;
	resolver->misled = lappend(resolver->misled, entry);
}

static void
resolve_relation(Resolver *resolver, const char *type, const char *name)
{
	const MigrationContext *context = resolver->context;
	Oid						relid = resolve(resolver->path, name);

	if (!OidIsValid(relid) || get_rel_namespace(relid) == context->namespace)
		return;
	add_misled(resolver, type,
			   quote_qualified_identifier(context->schema, name),
			   quote_qualified_identifier(
				   get_namespace_name(get_rel_namespace(relid)), name),
			   syncmaster_set_search_path(context, resolver->login->role));
}

/*
 * Find functions and operators of untrusted roles that services would call.
 */
static void
resolve_calls(Resolver *resolver)
{
	const MigrationContext *context = resolver->context;
	List				   *schemas = NIL;
	List				   *before = NIL;
	bool					found = false;
	Oid						types[] = {OIDARRAYOID, OIDARRAYOID};
	Datum					values[2];
	ListCell			   *lc;

	foreach (lc, resolver->path)
	{
		const SearchedSchema *schema = lfirst(lc);

		if (schema->oid == PG_CATALOG_NAMESPACE)
		{
			if (!found) /* where it is named twice, the first counts */
				before = list_copy(schemas);
			found = true;
		}
		else if (schema->usable)
			schemas = lappend_oid(schemas, schema->oid);
	}
	values[0] = syncmaster_oid_array(schemas);
	values[1] = syncmaster_oid_array(before);
	foreach (lc, syncmaster_query(CALLED_QUERY, 2, types, values))
	{
		char **row = lfirst(lc);
		Oid	   owner = atooid(row[2]);

		if (owner == resolver->login->role ||
			syncmaster_is_entitled(context, resolver->service_roles, owner))
			continue;
		add_misled(
			resolver, row[0], NULL, row[3],
			atooid(row[1]) == context->namespace &&
					(row[0][0] == 'f' || row[0][0] == 'o')
				? psprintf("DROP %s IF EXISTS %s",
						   row[0][0] == 'f' ? "ROUTINE" : "OPERATOR", row[3])
				: syncmaster_set_search_path(context, resolver->login->role));
	}
}

/*
 * The objects that services use because they have the name of SyncMaster's, as
 * a list of MisledService.
 */
List *
syncmaster_misled_services(const MigrationContext *context, List *service_roles)
{
	Resolver  resolver = {context, service_roles, NULL, NIL, NIL};
	ListCell *lc;

	foreach (lc, syncmaster_service_logins(context, service_roles))
	{
		resolver.login = lfirst(lc);
		resolver.path = syncmaster_searched_schemas(resolver.login->role);
		if (resolver.login->services & SERVICE_MONITOR)
			resolve_relation(&resolver, "view", METRICS_VIEW);
		if ((resolver.login->services & ~SERVICE_MONITOR) == 0)
			continue;
		for (int i = 0; i < syncmaster_nrelations; i++)
			resolve_relation(&resolver,
							 syncmaster_relations[i].kind == RELKIND_SEQUENCE
								 ? "sequence"
								 : "table",
							 syncmaster_relations[i].name);
		resolve_calls(&resolver);
	}
	return resolver.misled;
}

/*
 * The description of such an object, to follow the name of the role.
 */
const char *
syncmaster_misled_text(const MisledService *entry)
{
	return entry->expected == NULL
			   ? psprintf("may %s another role's %s",
						  entry->type[0] == 'f' || entry->type[0] == 'o'
							  ? "call"
							  : "use",
						  entry->type)
			   : psprintf("finds another %s than SyncMaster's", entry->type);
}
