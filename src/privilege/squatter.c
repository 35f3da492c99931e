/*-------------------------------------------------------------------------
 *
 * squatter.c
 *	  Roles that could create tables which services would find before
 *	  SyncMaster's, or functions and operators before PostgreSQL's own.
 *
 * resolve.c finds such tables if they exist already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * The roles that may create in a schema, or schemas in this database; 0 is
 * PUBLIC.
 */
#define CREATORS_QUERY \
	"SELECT DISTINCT a.grantee, coalesce(r.rolname, '') " \
	"FROM (SELECT coalesce(nspacl, acldefault('n', nspowner)) AS acl " \
	"      FROM pg_namespace WHERE oid = $1 " \
	"      UNION ALL " \
	"      SELECT coalesce(datacl, acldefault('d', datdba)) FROM pg_database " \
	"      WHERE $1 = 0 AND datname = current_database()) s, " \
	"    aclexplode(s.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee " \
	"WHERE a.privilege_type = 'CREATE' ORDER BY 2"

/*
 * A schema before SyncMaster's, or before pg_catalog, on a search path, and the
 * services that search it.
 */
typedef struct Place
{
	bool		   tables; /* is it before SyncMaster's schema? */
	Oid			   schema; /* invalid: schemas that can be created */
	StringInfoData names;
	StringInfoData fixes;
	List		  *roles;
} Place;

static Place *
find_place(List **places, Oid schema)
{
	Place	 *place;
	ListCell *lc;

	foreach (lc, *places)
	{
		place = lfirst(lc);
		if (place->schema == schema)
			return place;
	}
	place = palloc0(sizeof(Place));
	place->schema = schema;
	initStringInfo(&place->names);
	initStringInfo(&place->fixes);
	*places = lappend(*places, place);

	return place;
}

static void
add_places(List **places, const PrivilegeList *list, Oid role)
{
	List	 *path = syncmaster_searched_schemas(role);
	ListCell *lc;

	/* without SyncMaster's schema, the clients must set another path */
	bool tables = syncmaster_is_searched(path, list->context.namespace);

	/* where pg_catalog is not named, it comes first */
	bool calls = syncmaster_is_searched(path, PG_CATALOG_NAMESPACE);

	foreach (lc, path)
	{
		const SearchedSchema *schema = lfirst(lc);
		Place				 *place;

		if (schema->oid == list->context.namespace)
			tables = false;
		if (schema->oid == PG_CATALOG_NAMESPACE)
			calls = false;
		if (!tables && !calls)
			return;
		if (schema->oid == list->context.namespace ||
			schema->oid == PG_CATALOG_NAMESPACE)
			continue;
		place = find_place(places, schema->oid);
		place->tables |= tables;
		appendStringInfo(&place->names, "%s\"%s\"",
						 place->names.len > 0 ? ", " : "", schema->name);
		if (list_member_oid(place->roles, role))
			continue;
		place->roles = lappend_oid(place->roles, role);
		appendStringInfo(&place->fixes, "%s%s",
						 place->fixes.len > 0 ? "; " : "",
						 syncmaster_set_search_path(&list->context, role));
	}
}

static void
list_creators(PrivilegeList *list, const Place *place)
{
	bool	  database = !OidIsValid(place->schema);
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(CREATORS_QUERY, place->schema))
	{
		Oid creator = atooid(((char **) lfirst(lc))[0]);

		/* the database's owner has a row of its own */
		if (creator == DATABASE_OWNER_ROLE ||
			creator == syncmaster_database_owner() ||
			list_member_oid(place->roles, creator) ||
			(creator != ACL_ID_PUBLIC &&
			 syncmaster_is_entitled(&list->context, list->roles, creator)))
			continue;
		syncmaster_add_privilege(
			list, STATE_EXCESS, creator, database ? "database" : "schema",
			database ? current_database_name()
					 : get_namespace_name(place->schema),
			"CREATE",
			psprintf(database ? "services would find what it makes in a schema "
								"%s, which it can make, before %s"
							  : "services find what it makes in schema %s "
								"before %s",
					 place->names.data,
					 place->tables ? "SyncMaster's tables"
								   : "PostgreSQL's own functions"),
			place->fixes.data);
	}
}

void
syncmaster_list_squatters(PrivilegeList *list)
{
	List	 *places = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_service_logins(&list->context, list->roles))
		add_places(&places, list, ((ServiceRole *) lfirst(lc))->role);
	foreach (lc, places)
		list_creators(list, lfirst(lc));
}
