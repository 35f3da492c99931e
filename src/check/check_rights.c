/*-------------------------------------------------------------------------
 *
 * check_rights.c
 *	  What the owner of a relation must be able to do with it, and what may
 *	  take it away from him.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"

/*
 * Privileges of the owner that foreign keys, which are checked as the owner,
 * and services need.
 */
#define TABLE_RIGHTS (ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE)

#define MEMBERSHIP_QUERY \
	"SELECT e.extname FROM pg_depend d " \
	"JOIN pg_extension e ON e.oid = d.refobjid " \
	"WHERE d.classid = 'pg_class'::regclass AND d.objid = $1 " \
	"AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'"

/*
 * Report privileges that an owner revoked from himself, or default privileges
 * of PUBLIC. The owner can grant them again.
 */
static void
check_owner_rights(CheckContext *context, const char *name, Oid relid)
{
	bool	 sequence = get_rel_relkind(relid) == RELKIND_SEQUENCE;
	AclMode	 needed = sequence ? ACL_USAGE : TABLE_RIGHTS;
	Oid		 owner = syncmaster_relation_owner(relid);
	Finding *finding;

	if (pg_class_aclmask(relid, owner, needed, ACLMASK_ALL) == needed)
		return;
	finding = syncmaster_add_difference(context, SEVERITY_ERROR,
										sequence ? "sequence" : "table", name,
										"may not be used by its owner");
	finding->expected = sequence ? "USAGE" : "SELECT, INSERT, UPDATE, DELETE";
	finding->fix = psprintf("GRANT ALL ON %s %s TO %s",
							sequence ? "SEQUENCE" : "TABLE",
							syncmaster_qualify(context, name),
							syncmaster_quoted_role(owner));
}

/*
 * Report a relation that is a member of an extension: it is dropped with the
 * extension, and dumps do not have its rows.
 */
static void
check_membership(CheckContext *context, const char *name, Oid relid)
{
	bool	  sequence = get_rel_relkind(relid) == RELKIND_SEQUENCE;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(MEMBERSHIP_QUERY, relid))
	{
		char   **row = lfirst(lc);
		Finding *finding = syncmaster_add_difference(
			context, SEVERITY_ERROR, sequence ? "sequence" : "table", name,
			"is a member of an extension, and dropped with it");

		finding->actual = row[0];
		finding->fix = psprintf("ALTER EXTENSION %s DROP %s %s",
								quote_identifier(row[0]),
								sequence ? "SEQUENCE" : "TABLE",
								syncmaster_qualify(context, name));
	}
}

void
syncmaster_check_rights(CheckContext *context, const char *name, Oid relid)
{
	check_owner_rights(context, name, relid);
	check_membership(context, name, relid);
}

/*
 * Report roles with privileges on the tables that lack USAGE on the schema.
 */
void
syncmaster_check_schema_usage(CheckContext *context)
{
	Oid		 types[2] = {OIDOID, OIDOID};
	Datum	 values[2];
	char   **row;
	Finding *finding;

	values[0] = ObjectIdGetDatum(context->owner);
	values[1] = ObjectIdGetDatum(context->namespace);
	row = linitial(syncmaster_query("SELECT has_schema_privilege($1, $2, "
									"'USAGE')",
									2, types, values));
	if (row[0] != NULL && row[0][0] == 't')
		return;
	finding = syncmaster_add_difference(context, SEVERITY_ERROR, "schema",
										context->schema,
										"may not be used by the tables' owner");
	finding->expected = "USAGE";
	finding->fix = psprintf("GRANT USAGE ON SCHEMA %s TO %s",
							quote_identifier(context->schema),
							syncmaster_quoted_role(context->owner));
	finding->left = "who may use the schema is for its owner to say";
}
