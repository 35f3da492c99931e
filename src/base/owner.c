/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  Whose is it?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "utils/syscache.h"

#include "base/base.h"

/*
 * The owner of a relation; InvalidOid if another session has dropped it.
 */
Oid
syncmaster_find_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	return owner;
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
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID,
									  ObjectIdGetDatum(namespace));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);

	return owner;
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
