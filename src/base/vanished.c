/*-------------------------------------------------------------------------
 *
 * vanished.c
 *	  Relations that another session may drop or rename at any time.
 *
 * An OID that was looked up by name without a lock may belong to no object
 * when it is used, above all after a wait for a lock.  The server reports that
 * as an internal error.  The functions of this file return it as a result, or
 * raise an error that says what to do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/*
 * Raise an error about a relation that is gone.  Where not even its name is
 * known, the OID stands for it, as in the server's own output.
 */
void
syncmaster_raise_dropped(Oid relation, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table \"%s\" was dropped by another session meanwhile",
					name != NULL ? name : psprintf("%u", relation)),
			 errhint("Nothing was changed. Run the command again.")));
}

/*
 * Open a relation that was looked up before.
 */
Relation
syncmaster_open_relation(Oid relation, LOCKMODE mode)
{
	Relation rel = try_relation_open(relation, mode);

	if (rel == NULL)
		syncmaster_raise_dropped(relation, get_rel_name(relation));
	return rel;
}

/*
 * Open the relation that has a name, once its lock is free; NULL if there is
 * none.  During the wait, the name may come to mean another relation.
 */
Relation
syncmaster_open_named(const char *name, Oid namespace, LOCKMODE mode)
{
	Oid relid;

	while (OidIsValid(relid = get_relname_relid(name, namespace)))
	{
		Relation rel = try_relation_open(relid, mode);

		CHECK_FOR_INTERRUPTS();
		if (rel == NULL)
			continue;
		if (get_relname_relid(name, namespace) == relid)
			return rel;
		relation_close(rel, mode);
	}
	return NULL;
}

/*
 * Call a function of the server's about an object that may be gone; false if
 * the answer is NULL.  DirectFunctionCall1() makes an internal error of that.
 */
bool
syncmaster_ask(PGFunction function, Oid object, Datum *answer)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(object);
	fcinfo->args[0].isnull = false;
	*answer = function(fcinfo);
	return !fcinfo->isnull;
}
