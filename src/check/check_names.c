/*-------------------------------------------------------------------------
 *
 * check_names.c
 *	  Services that find something else by the names of SyncMaster's tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/base.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

void
syncmaster_check_names(CheckContext *context)
{
	MigrationContext migration;
	ListCell		*lc;

	syncmaster_fill_context(&migration, GetUserId());
	foreach (lc,
			 syncmaster_misled_services(&migration,
										syncmaster_service_roles(&migration)))
	{
		const MisledService *entry = lfirst(lc);
		Finding				*finding =
			syncmaster_add_difference(context, SEVERITY_ERROR, "role",
									  syncmaster_role_name(entry->role),
									  syncmaster_misled_text(entry));

		finding->expected = entry->expected;
		finding->actual = entry->actual;
		finding->fix = entry->fix;
		finding->left = "what a role searches is for you to say";
	}
}
