/*-------------------------------------------------------------------------
 *
 * app_table.c
 *	  A table of the application, opened by a reader that neither waits nor
 *	  fails.
 *
 * If an upgrade has locked the table, if it does not exist yet, or if it is
 * not the expected table, the caller is told so and goes on without it.
 * Opening checks no privileges and runs no code of the owner: the caller
 * decides which rows may be shown.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

/*
 * The type that a column should have, or InvalidOid.
 */
static Oid
expected_type(const char *table, const char *column)
{
	for (const ColumnInfo *info =
			 syncmaster_columns_at(syncmaster_find_relation(table),
								   REVISION_HEAD);
		 info->name != NULL; info++)
	{
		if (strcmp(info->name, column) == 0)
			return info->type;
	}
	return InvalidOid;
}

static bool
find_columns(AppTable *table, const char *name, const char *const *columns)
{
	Oid relid = RelationGetRelid(table->rel);

	memset(table->columns, 0, sizeof(table->columns));
	for (int i = 0; columns[i] != NULL; i++)
	{
		AttrNumber attnum = get_attnum(relid, columns[i]);

		Assert(i < MAX_APP_COLUMNS);
		if (attnum <= 0 ||
			get_atttype(relid, attnum) != expected_type(name, columns[i]))
			return false;
		table->columns[i] = attnum;
	}
	return true;
}

/*
 * Open a table, with the numbers of some of its columns; "columns" ends with
 * NULL. The caller closes it only if the result is that it is open.
 */
AppTableState
syncmaster_open_app_table(AppTable *table, Oid namespace, const char *name,
						  const char *const *columns)
{
	const RelationInfo *relation = syncmaster_find_relation(name);
	Oid					relid = get_relname_relid(name, namespace);
	AppTableState		result = APP_TABLE_UNREADABLE;

	if (!OidIsValid(relid))
		return APP_TABLE_MISSING;
	if (!syncmaster_is_of_kind(relation, relid))
		return APP_TABLE_UNREADABLE;
	if (!syncmaster_try_lock(relid, AccessShareLock))
		return APP_TABLE_LOCKED;

	/* it may just have been dropped or renamed */
	if (get_relname_relid(name, namespace) != relid)
	{
		UnlockRelationOid(relid, AccessShareLock);
		return APP_TABLE_MISSING;
	}
	table->rel = table_open(relid, NoLock);
	if (syncmaster_is_of_kind(relation, relid) &&
		find_columns(table, name, columns))
	{
		if (syncmaster_has_rows_here(table->rel))
			return APP_TABLE_OPEN;
		if (syncmaster_is_distributed(relid))
			result = APP_TABLE_DISTRIBUTED;
	}
	syncmaster_close_app_table(table);
	return result;
}

/*
 * Return whether the caller may know the contents of a column, so that this
 * code may read it without asking for SELECT.  Roles that may migrate the
 * tables may know it.
 */
bool
syncmaster_may_know(Oid relid, AttrNumber attnum)
{
	Oid role = GetUserId();

	if (syncmaster_may_migrate(role, syncmaster_relation_owner(relid)))
		return true;
	return (pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK ||
			pg_attribute_aclcheck(relid, attnum, role, ACL_SELECT) ==
				ACLCHECK_OK) &&
		   check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

void
syncmaster_close_app_table(AppTable *table)
{
	table_close(table->rel, AccessShareLock);
}
