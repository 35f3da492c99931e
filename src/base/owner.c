/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  Owners, and the names of roles and relations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * The owner of a relation; InvalidOid if another session has dropped it.
 */
Oid
syncmaster_find_owner(Oid relation)
{
	return GetSysCacheOid1(RELOID, Anum_pg_class_relowner,
						   ObjectIdGetDatum(relation));
}

/*
 * The same for a relation that the caller cannot do without.
 */
Oid
syncmaster_relation_owner(Oid relation)
{
	Oid owner = syncmaster_find_owner(relation);

	if (!OidIsValid(owner))
		syncmaster_raise_dropped(relation, NULL);
	return owner;
}

/*
 * The owner of a schema; InvalidOid if another session has dropped it.
 */
Oid
syncmaster_schema_owner(Oid namespace)
{
	return GetSysCacheOid1(NAMESPACEOID, Anum_pg_namespace_nspowner,
						   ObjectIdGetDatum(namespace));
}

/*
 * A role as messages name it, and as SQL does.
 */
const char *
syncmaster_role_name(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC" : GetUserNameFromId(role, false);
}

const char *
syncmaster_quoted_role(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC"
								 : quote_identifier(syncmaster_role_name(role));
}

/*
 * A relation as SQL names it; the caller has locked it.
 */
const char *
syncmaster_quoted_relation(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relation)),
									  get_rel_name(relation));
}

/*
 * Return whether the role can log in.
 */
bool
syncmaster_can_log_in(Oid role)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool	  result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	return result;
}
