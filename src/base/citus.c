/*-------------------------------------------------------------------------
 *
 * citus.c
 *	  Citus: which node is this, and where are the rows of a table?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/*
 * Return whether this server is a worker of a Citus cluster.  Citus repeats
 * CREATE and ALTER EXTENSION on every worker; the tables get there by other
 * ways.  Only a superuser can put a table into pg_catalog, so its name can be
 * trusted.
 */
bool
syncmaster_is_citus_worker(void)
{
	Oid relid = get_relname_relid("pg_dist_local_group", PG_CATALOG_NAMESPACE);
	AttrNumber	attnum;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return false;
	attnum = get_attnum(relid, "groupid");
	if (attnum <= 0 || get_atttype(relid, attnum) != INT4OID)
		return false;

	rel = syncmaster_open_relation(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool  isnull;
		Datum group = heap_getattr(tuple, attnum, RelationGetDescr(rel),
								   &isnull);

		result = !isnull && DatumGetInt32(group) != 0;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	return result;
}

/*
 * Return whether Citus is installed in this database.
 */
bool
syncmaster_has_citus(void)
{
	return OidIsValid(
		get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE));
}

/*
 * Return whether a catalogue of Citus has a row for an object; false if there
 * is no such catalogue, as in versions of Citus without it.
 */
static bool
is_listed(const char *catalog, const char *column, Oid type, Oid object)
{
	Oid			relid = get_relname_relid(catalog, PG_CATALOG_NAMESPACE);
	AttrNumber	attnum;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		result;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return false;
	attnum = get_attnum(relid, column);
	if (attnum <= 0 || get_atttype(relid, attnum) != type)
		return false;

	rel = syncmaster_open_relation(relid, AccessShareLock);
	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	result = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	return result;
}

/*
 * Return whether Citus keeps the table's rows in other tables (shards).  The
 * table itself is then a shell, which may still have old rows that nobody
 * updates.
 */
bool
syncmaster_is_distributed(Oid relid)
{
	return is_listed("pg_dist_partition", "logicalrelid", REGCLASSOID, relid);
}

/*
 * SQL that makes a distributed table an ordinary one.  Of a schema that is
 * distributed as a whole, Citus gives back all tables or none.
 */
char *
syncmaster_undistribute(Oid namespace, const char *table)
{
	const char *schema = get_namespace_name(namespace);

	if (is_listed("pg_dist_schema", "schemaid", OIDOID, namespace))
		return psprintf("SELECT pg_catalog.citus_schema_undistribute(%s)",
						quote_literal_cstr(quote_identifier(schema)));
	return psprintf("SELECT pg_catalog.undistribute_table(%s)",
					quote_literal_cstr(
						quote_qualified_identifier(schema, table)));
}

/*
 * expression_tree_walker: does it name a table whose rows Citus has?
 */
static bool
names_distributed(Node *node, void *context)
{
	const RangeTblEntry *entry = (const RangeTblEntry *) node;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry)) /* in a query, see below */
		return entry->rtekind == RTE_RELATION &&
			   entry->relid >= FirstNormalObjectId &&
			   syncmaster_is_distributed(entry->relid);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, names_distributed, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, names_distributed, context);
}

/*
 * Return whether a statement reads or writes a table whose rows Citus has.
 */
bool
syncmaster_uses_distributed(Query *query)
{
	return syncmaster_has_citus() && names_distributed((Node *) query, NULL);
}

/*
 * Refuse a table that must not be distributed, and say how to undo that.
 */
void
syncmaster_refuse_distributed(Oid relid)
{
	if (!syncmaster_is_distributed(relid))
		return;
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" is distributed by Citus",
						   get_rel_name(relid)),
					errhint("Make it an ordinary table again, on the "
							"coordinator: %s.",
							syncmaster_undistribute(get_rel_namespace(relid),
													get_rel_name(relid)))));
}
