/*-------------------------------------------------------------------------
 *
 * credential_update.c
 *	  Replacing the tokens in auth_data.
 *
 * An ordinary table is updated as logical replication does it: one scan, and
 * for each row what an UPDATE does (row triggers, constraints, generated
 * columns, indexes), but without an UPDATE's plan, rules, policies and
 * statement triggers.  That makes up for much of the time that cryptography
 * takes.
 *
 * The caller has the table locked against other writers, and is its owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "credential_update.h"

/* What the executor needs for an update that it has not planned. */
typedef struct Updater
{
	EState *estate;
	EPQState epq;
	ResultRelInfo *target;
	TupleTableSlot *old_row;
	TupleTableSlot *new_row;
} Updater;

/*
 * Tell the executor about the table, and that one column is updated:
 * generated columns and indexes depend on that.
 */
static void
set_up_range_table(EState *estate, OwnedTable *table)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	Bitmapset *updated = bms_make_singleton(table->value_column -
											FirstLowInvalidHeapAttributeNumber);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(table->relation);
	entry->relkind = RELKIND_RELATION;
	entry->rellockmode = ShareRowExclusiveLock;
	init_range_table(estate, entry, updated);
}

static void
begin_update(Updater *updater, OwnedTable *table)
{
	EState *estate = CreateExecutorState();

	updater->estate = estate;
	set_up_range_table(estate, table);
	updater->target = makeNode(ResultRelInfo);
	InitResultRelInfo(updater->target, table->relation, 1, NULL, 0);
	set_update_target(estate, updater->target);
	init_eval_plan_qual(&updater->epq, estate);

	estate->es_snapshot = GetActiveSnapshot();
	estate->es_output_cid = GetCurrentCommandId(true);
	updater->old_row = table_slot_create(table->relation,
										 &estate->es_tupleTable);
	updater->new_row = ExecInitExtraTupleSlot(estate,
											  RelationGetDescr(table->relation),
											  &TTSOpsVirtual);
	ExecOpenIndices(updater->target, false);
	AfterTriggerBeginQuery();
}

static void
end_update(Updater *updater)
{
	AfterTriggerEndQuery(updater->estate);
	close_trigger_targets(updater->estate);
	EvalPlanQualEnd(&updater->epq);
	ExecCloseIndices(updater->target);
	ExecResetTupleTable(updater->estate->es_tupleTable, false);
	FreeExecutorState(updater->estate);
}

static void
replace_value(Updater *updater, AttrNumber column, text *value)
{
	TupleTableSlot *old_row = updater->old_row;
	TupleTableSlot *new_row = updater->new_row;
	int columns = old_row->tts_tupleDescriptor->natts;

	slot_getallattrs(old_row);
	ExecClearTuple(new_row);
	memcpy(new_row->tts_values, old_row->tts_values, columns * sizeof(Datum));
	memcpy(new_row->tts_isnull, old_row->tts_isnull, columns * sizeof(bool));
	new_row->tts_values[column - 1] = PointerGetDatum(value);
	new_row->tts_isnull[column - 1] = false;
	ExecStoreVirtualTuple(new_row);
	update_row(updater->target, updater->estate, &updater->epq, old_row,
			   new_row);
}

static void
update_directly(OwnedTable *table, RowRewriter rewriter, void *state)
{
	Updater updater;
	TableScanDesc scan;

	begin_update(&updater, table);
	scan = begin_table_scan(table->relation, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, updater.old_row))
	{
		MemoryContext old_context = MemoryContextSwitchTo(
			GetPerTupleMemoryContext(updater.estate));
		bool id_isnull;
		bool value_isnull;
		Datum id = slot_getattr(updater.old_row, table->id_column, &id_isnull);
		Datum value = slot_getattr(updater.old_row, table->value_column,
								   &value_isnull);
		text *replacement;

		CHECK_FOR_INTERRUPTS();
		replacement = rewriter(state, DatumGetInt64(id),
							   value_isnull ? NULL
											: PG_DETOAST_DATUM_PACKED(value));
		MemoryContextSwitchTo(old_context);
		if (replacement != NULL)
			replace_value(&updater, table->value_column, replacement);
		ResetPerTupleExprContext(updater.estate);
	}
	table_endscan(scan);
	end_update(&updater);
}

/* A RowReader that updates what it reads. */
typedef struct SqlUpdater
{
	RowRewriter rewriter;
	void *state;
	SPIPlanPtr plan;
} SqlUpdater;

static void
update_row_by_sql(void *argument, int64 id, struct varlena *value)
{
	SqlUpdater *updater = (SqlUpdater *) argument;
	text *replacement = updater->rewriter(updater->state, id, value);
	Datum arguments[2];

	if (replacement == NULL)
		return;
	arguments[0] = Int64GetDatum(id);
	arguments[1] = PointerGetDatum(replacement);
	/* What a rule makes of it shows when the result is compared. */
	if (SPI_execute_plan(updater->plan, arguments, NULL, false, 0) < 0)
		elog(ERROR, "could not update a row of auth_data");
}

static void
update_by_sql(OwnedTable *table, RowRewriter rewriter, void *state)
{
	Oid types[] = {INT8OID, TEXTOID};
	SqlUpdater updater = {rewriter, state, NULL};
	char *command = psprintf("UPDATE %s SET %s = $2 WHERE %s "
							 "OPERATOR(pg_catalog.=) $1",
							 table->quoted_name, table->value_name,
							 table->id_name);

	SPI_connect();
	updater.plan = SPI_prepare(command, 2, types);
	if (updater.plan == NULL)
		elog(ERROR, "could not prepare the update of auth_data");
	syncmaster_scan_table(table, update_row_by_sql, &updater);
	SPI_finish();
}

/*
 * Ask "rewriter" about each row, and write what it says.  It is called in a
 * memory context that is reset after the row.
 */
void
syncmaster_update_credentials(OwnedTable *table, RowRewriter rewriter,
							  void *state)
{
	if (table->distributed)
		update_by_sql(table, rewriter, state);
	else
		update_directly(table, rewriter, state);
}
