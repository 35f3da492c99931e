/*-------------------------------------------------------------------------
 *
 * owned_table.c
 *	  Reading the application's tables without trusting their owners.
 *
 * The tables may belong to a role that wants the rights of the superuser who
 * calls us.  So whatever touches them runs as their owner, in a
 * security-restricted operation, with a fixed search_path: code that hangs on
 * a table (triggers, rules, expressions of indexes) gets no other rights than
 * its author has anyway.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

/*
 * The number of a column that must exist.
 */
AttrNumber
syncmaster_find_column(Relation relation, const char *name, Oid type,
					   Oid other_type)
{
	AttrNumber number = get_attnum(RelationGetRelid(relation), name);
	Oid		   found;

	found = number <= 0 ? InvalidOid
						: get_atttype(RelationGetRelid(relation), number);
	if (found == type || found == other_type)
		return number;

	/* a later release may have changed the table */
	syncmaster_refuse_newer(RelationGetNamespace(relation));
	if (number <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("table \"%s\" has no column \"%s\"",
							   RelationGetRelationName(relation), name)));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table \"%s\" has an unexpected type",
					name, RelationGetRelationName(relation))));
}

/*
 * Refuse a relation that is not an ordinary table with all its rows in it: a
 * view in its place would run its owner's code, and rows of child tables would
 * be missed, except by SQL.
 */
static void
check_relation_kind(Relation relation, bool distributed)
{
	const char *name = RelationGetRelationName(relation);

	if (relation->rd_rel->relkind != RELKIND_RELATION)
	{
		syncmaster_refuse_newer(RelationGetNamespace(relation));
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not an ordinary table", name)));
	}
	if (!distributed &&
		find_inheritance_children(RelationGetRelid(relation), NoLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" has inheritance children", name),
				 errhint("Move their rows into the table, and detach them "
						 "with ALTER TABLE ... NO INHERIT.")));
}

/*
 * Open a table in the extension's schema and become its owner.  The lock is
 * kept until the end of the transaction.  After an error, the end of the
 * (sub)transaction restores user and settings.
 */
void
syncmaster_open_owned_table(OwnedTable *table, const char *name, LOCKMODE mode)
{
	ExtensionEntry extension;
	Oid			   relid;

	syncmaster_get_extension(&extension);
	relid = get_relname_relid(name, extension.namespace);
	if (OidIsValid(relid))
		syncmaster_lock_relation(relid, mode);

	/*
	 * During the wait, another table may have got the name, or none has it
	 * now.
	 */
	if (!OidIsValid(relid) ||
		get_relname_relid(name, extension.namespace) != relid)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("there is no table \"%s.%s\"",
							   extension.namespace_name, name),
						errhint("syncmaster_full_version() says what is in "
								"this database.")));
	table->relation = relation_open(relid, NoLock);
	table->distributed = syncmaster_is_distributed(relid);
	check_relation_kind(table->relation, table->distributed);
	table->quoted_name = quote_qualified_identifier(extension.namespace_name,
													name);

	syncmaster_begin_acting(&table->acting, table->relation->rd_rel->relowner);
}

void
syncmaster_open_auth_data(OwnedTable *table, LOCKMODE mode)
{
	syncmaster_open_owned_table(table, "auth_data", mode);
	table->id_name = "connection_id";
	table->id_column = syncmaster_find_column(table->relation, "connection_id",
											  INT8OID, INT8OID);
	table->value_name = "value";
	table->value_column = syncmaster_find_column(table->relation, "value",
												 VARCHAROID, TEXTOID);
}

void
syncmaster_open_connection(OwnedTable *table, LOCKMODE mode)
{
	syncmaster_open_owned_table(table, "connection", mode);
	table->id_name = "id";
	table->id_column = syncmaster_find_column(table->relation, "id", INT8OID,
											  INT8OID);
	table->value_name = NULL;
	table->value_column = InvalidAttrNumber;
}

/*
 * Be the caller again.
 */
void
syncmaster_close_owned_table(OwnedTable *table)
{
	syncmaster_end_acting(&table->acting);
	relation_close(table->relation, NoLock);
}

/*
 * Pass one row to the reader.
 */
static void
read_row(RowReader reader, void *state, Datum id, bool id_isnull, Datum value,
		 bool value_isnull)
{
	int64 number = id_isnull ? 0 : DatumGetInt64(id);

	CHECK_FOR_INTERRUPTS();
	reader(state, id_isnull ? NULL : &number,
		   value_isnull ? NULL : PG_DETOAST_DATUM_PACKED(value));
}

typedef struct SqlReader
{
	RowReader reader;
	void	 *state;
} SqlReader;

/* RowReceiver: passes the row to the reader. */
static bool
read_slot(void *state, TupleTableSlot *slot)
{
	const SqlReader *reader = state;

	read_row(reader->reader, reader->state, slot->tts_values[0],
			 slot->tts_isnull[0], slot->tts_values[1], slot->tts_isnull[1]);
	return true;
}

/*
 * Read a table that is distributed over several servers: only SQL finds its
 * rows.
 */
static void
scan_by_sql(const OwnedTable *table, RowReader reader, void *state)
{
	SqlReader sql_reader = {reader, state};

	(void) syncmaster_each_row(
		psprintf("SELECT %s, %s FROM %s", table->id_name,
				 table->value_name == NULL ? "NULL" : table->value_name,
				 table->quoted_name),
		0, NULL, NULL, read_slot, &sql_reader);
}

/*
 * Read an ordinary table, past policies and with no code of its owner; false
 * if its rows are elsewhere.
 */
static bool
scan_directly(const OwnedTable *table, RowReader reader, void *state)
{
	MemoryContext row_context;
	DirectScan	  scan;

	if (!syncmaster_begin_scan_at(&scan, table->relation, GetActiveSnapshot()))
		return false;
	row_context = AllocSetContextCreate(CurrentMemoryContext, "syncmaster row",
										ALLOCSET_DEFAULT_SIZES);
	while (syncmaster_next_row(&scan))
	{
		MemoryContext old_context = MemoryContextSwitchTo(row_context);
		bool		  id_isnull;
		bool		  value_isnull = true;
		Datum id = slot_getattr(scan.slot, table->id_column, &id_isnull);
		Datum value = (Datum) 0;

		if (table->value_name != NULL)
			value = slot_getattr(scan.slot, table->value_column, &value_isnull);
		read_row(reader, state, id, id_isnull, value, value_isnull);
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(row_context);
	}
	syncmaster_end_scan(&scan);
	MemoryContextDelete(row_context);
	return true;
}

/*
 * Call "reader" for each row that the active snapshot sees, in a memory
 * context that is reset after it.
 */
void
syncmaster_scan_table(OwnedTable *table, RowReader reader, void *state)
{
	if (!scan_directly(table, reader, state))
		scan_by_sql(table, reader, state);
}
