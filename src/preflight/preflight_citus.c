/*-------------------------------------------------------------------------
 *
 * preflight_citus.c
 *	  What blocks an upgrade where Citus has tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "engine/engine.h"
#include "preflight/preflight.h"
#include "schema/schema.h"

/*
 * Active workers on which the extension is missing; none if Citus knows of the
 * extension.  Citus runs ALTER EXTENSION on each worker, but an extension that
 * is older than Citus's own catalogues does not exist there.
 */
#define WORKERS_QUERY \
	"SELECT string_agg(format('%s:%s', nodename, nodeport), ', ' " \
	"           ORDER BY nodename, nodeport) " \
	"FROM pg_dist_node WHERE isactive AND groupid <> 0 AND NOT EXISTS " \
	"    (SELECT 1 FROM pg_dist_object " \
	"     WHERE classid = 'pg_extension'::regclass AND objid = $1)"

static void
check_workers(Preflight *preflight)
{
	ExtensionEntry extension;
	char		 **row;

	if (!OidIsValid(get_relname_relid("pg_dist_node", PG_CATALOG_NAMESPACE)) ||
		!OidIsValid(get_relname_relid("pg_dist_object", PG_CATALOG_NAMESPACE)))
		return;
	syncmaster_get_extension(&extension);
	row = linitial(syncmaster_query_oid(WORKERS_QUERY, extension.oid));
	if (row[0] == NULL)
		return;
	syncmaster_report(
		preflight, SEVERITY_ERROR, "server",
		psprintf("workers of Citus do not have the extension: %s", row[0]),
		psprintf("Citus came later, and ALTER EXTENSION fails there. On the "
				 "coordinator, DROP EXTENSION syncmaster; CREATE EXTENSION "
				 "syncmaster SCHEMA %s; makes it on the workers too, loses no "
				 "row and upgrades.",
				 quote_identifier(preflight->context.schema)));
}

/*
 * Report an owner that cannot log in: Citus connects to the nodes as the role
 * that runs a statement.
 */
static void
check_owner(Preflight *preflight, Oid owner, List **known)
{
	if (list_member_oid(*known, owner))
		return;
	*known = lappend_oid(*known, owner);
	if (syncmaster_can_log_in(owner))
		return;
	syncmaster_report(
		preflight, SEVERITY_WARNING, "rights",
		psprintf("role \"%s\" owns tables that are distributed by Citus, and "
				 "cannot log in",
				 GetUserNameFromId(owner, false)),
		psprintf("Citus connects to its nodes as that role for statements "
				 "that run as the owner: upgrades, rotations, purges and "
				 "changes of superusers fail. ALTER ROLE %s LOGIN, and let "
				 "pg_hba.conf admit it from the nodes only.",
				 syncmaster_quoted_role(owner)));
}

/*
 * Return whether the upgrade locks the table.
 */
static bool
is_locked_by(const UpgradePlan *plan, Oid relid)
{
	ListCell *lc;

	foreach (lc, plan->effects)
	{
		ListCell *cell;

		foreach (cell, ((StatementEffect *) lfirst(lc))->locks)
		{
			if (((TableLock *) lfirst(cell))->relid == relid)
				return true;
		}
	}
	return false;
}

static void
check_tables(Preflight *preflight)
{
	List		  *owners = NIL;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		Oid relid = syncmaster_relation_oid(&syncmaster_relations[i],
											preflight->context.namespace);

		if (!OidIsValid(relid) || !syncmaster_is_distributed(relid))
			continue;
		check_owner(preflight, syncmaster_relation_owner(relid), &owners);
		if (preflight->plan != NULL && is_locked_by(preflight->plan, relid))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 syncmaster_relations[i].name);
	}
	if (names.len > 0)
		syncmaster_report(
			preflight, SEVERITY_WARNING, "lock",
			psprintf("tables that the upgrade locks are distributed by Citus: "
					 "%s",
					 names.data),
			"Locks that are held on other nodes are not seen here, and sizes "
			"are not known. Stop the services on all nodes.");
}

/*
 * Findings about the other nodes, if this is a coordinator.
 */
void
syncmaster_check_citus(Preflight *preflight)
{
	if (!syncmaster_has_citus() || syncmaster_is_citus_worker())
		return;
	check_tables(preflight);
	check_workers(preflight);
}
