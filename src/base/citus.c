/*-------------------------------------------------------------------------
 *
 * citus.c
 *	  Citus: which node is this, and where are the rows of a table?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/*
 * Is this server a worker of a Citus cluster?  Citus repeats CREATE and ALTER
 * EXTENSION on every worker; the tables get there by other ways.  Only a
 * superuser can put a table into pg_catalog, so its name can be trusted.
 */
bool
syncmaster_is_citus_worker(void)
{
	Oid relid = get_relname_relid("pg_dist_local_group", PG_CATALOG_NAMESPACE);
	AttrNumber attnum;
	Relation rel;
	DirectScan scan;
	bool result = false;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return false;
	attnum = get_attnum(relid, "groupid");
	if (attnum <= 0 || get_atttype(relid, attnum) != INT4OID)
		return false;

	rel = syncmaster_open_relation(relid, AccessShareLock);
	syncmaster_begin_scan(&scan, rel);
	if (syncmaster_next_row(&scan))
	{
		bool isnull;
		Datum group = slot_getattr(scan.slot, attnum, &isnull);

		result = !isnull && DatumGetInt32(group) != 0;
	}
	syncmaster_end_scan(&scan);
	table_close(rel, AccessShareLock);

	return result;
}

/*
 * Has Citus taken the rows elsewhere?  What is left then is an empty shell
 * under the table's name.
 */
bool
syncmaster_is_distributed(Oid relid)
{
	return OidIsValid(
			   get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE)) &&
		   syncmaster_query_oid("SELECT FROM pg_catalog.pg_dist_partition "
								"WHERE logicalrelid::pg_catalog.oid "
								"OPERATOR(pg_catalog.=) $1",
								relid) != NIL;
}
