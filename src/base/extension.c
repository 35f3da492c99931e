/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  Entries in pg_extension, above all this extension's own.
 *
 * The application's tables live in the schema that the extension was created
 * in, so every function starts here.  The entry is read anew each time: it
 * changes under ALTER EXTENSION and costs one index lookup.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"

/*
 * Fill *entry from pg_extension; false if no such extension is installed in
 * this database.
 */
bool
syncmaster_find_extension(const char *name, ExtensionEntry *entry)
{
	Relation	rel;
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool			  isnull;
		Datum version = heap_getattr(tuple, Anum_pg_extension_extversion,
									 RelationGetDescr(rel), &isnull);

		entry->oid = form->oid;
		entry->owner = form->extowner;
		entry->namespace = form->extnamespace;
		entry->namespace_name = get_namespace_name(form->extnamespace);
		entry->version = isnull ? NULL : TextDatumGetCString(version);

		/* another session may just have dropped it with its schema */
		found = entry->namespace_name != NULL;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	return found;
}

/*
 * Our own entry, for callers that cannot go on without it.
 */
void
syncmaster_get_extension(ExtensionEntry *entry)
{
	if (!syncmaster_find_extension("syncmaster", entry))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"syncmaster\" is not installed in this "
						"database"),
				 errhint("Run CREATE EXTENSION syncmaster.")));
}

/*
 * Version that CREATE EXTENSION would install, NULL if the server does not
 * have that extension's files.
 */
char *
syncmaster_default_version(const char *extension)
{
	List *rows = syncmaster_query_text("SELECT default_version "
									   "FROM pg_available_extensions "
									   "WHERE name = $1",
									   extension);

	return rows == NIL ? NULL : ((char **) linitial(rows))[0];
}
