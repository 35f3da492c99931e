/*-------------------------------------------------------------------------
 *
 * credential_update.c
 *	  Replacing the tokens in auth_data.
 *
 * An ordinary table is updated as logical replication does it: one scan, and
 * for each row what an UPDATE does (row triggers, constraints, generated
 * columns, indexes), but without an UPDATE's plan, rules, policies and
 * statement triggers.  A trigger on each row that has a transition table needs a
 * plan: there, each row gets an UPDATE.  Where a table is as SyncMaster made it,
 * nothing is left of that but the row and its entries in the indexes.  That makes
 * up for much of the time that cryptography takes.
 *
 * The caller has the table locked against other writers, and is its owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"
#include "credential/credential.h"
#include "rows/rows.h"

/* What the executor needs for an update that it has not planned. */
typedef struct Updater
{
	EState *estate;
	EPQState epq;
	ResultRelInfo *target;
	bool plain;		 /* no code of others' is involved */
	bool identified; /* rows may change without a replica identity */
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
	entry->rellockmode = ExclusiveLock;
	init_range_table(estate, entry, updated);
}

/*
 * Is a trigger none that this update would have to fire?  The server skips
 * checks of foreign keys whose columns do not change, after it has read the
 * old row once more for each of them.  One that is deferrable may have to be
 * checked all the same.
 */
static bool
is_idle_trigger(const Trigger *trigger)
{
	return trigger->tgenabled == TRIGGER_DISABLED ||
		   !TRIGGER_FOR_ROW(trigger->tgtype) ||
		   !TRIGGER_FOR_UPDATE(trigger->tgtype) ||
		   (RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_FK &&
			!trigger->tgdeferrable);
}

/*
 * Does the table have nothing that runs, or depends on the value, when rows
 * are updated?
 */
static bool
is_plain_table(Relation relation, AttrNumber value_column)
{
	TupleDesc descriptor = RelationGetDescr(relation);
	TriggerDesc *triggers = relation->trigdesc;
	ListCell *cell;

	/* which rows a partition may have can depend on the value */
	if (relation->rd_rel->relispartition)
		return false;
	if (descriptor->constr != NULL && descriptor->constr->num_check > 0)
		return false;
	for (int i = 0; i < descriptor->natts; i++)
	{
		if (TupleDescAttr(descriptor, i)->attgenerated != '\0')
			return false;
	}
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (!is_idle_trigger(&triggers->triggers[i]))
			return false;
	}
	foreach (cell, RelationGetFKeyList(relation))
	{
		ForeignKeyCacheInfo *key = (ForeignKeyCacheInfo *) lfirst(cell);

		for (int i = 0; i < key->nkeys; i++)
		{
			if (key->conkey[i] == value_column)
				return false;
		}
	}
	return true;
}

/*
 * Is there an index whose definition calls functions?
 */
static bool
has_computed_index(ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo *index = target->ri_IndexRelationInfo[i];

		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL)
			return true;
	}
	return false;
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
	updater->plain = is_plain_table(table->relation, table->value_column) &&
					 !has_computed_index(updater->target);
	updater->identified = false;
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

/*
 * A row that this transaction inserted may still have to be checked against
 * its foreign keys, which would pass by a version that is not the last.
 */
static bool
is_own_row(TupleTableSlot *row)
{
	bool isnull;
	Datum xmin = slot_getsysattr(row, MinTransactionIdAttributeNumber, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
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
	if (updater->plain && !is_own_row(old_row))
	{
		/* for the first row that does change */
		if (!updater->identified)
			CheckCmdReplicaIdentity(updater->target->ri_RelationDesc,
									CMD_UPDATE);
		updater->identified = true;
		update_plain_row(updater->target, updater->estate, old_row, new_row);
	}
	else
		update_row(updater->target, updater->estate, &updater->epq, old_row,
				   new_row);
}

static void
update_directly(OwnedTable *table, RowRewriter rewriter, void *state,
				bool *alone)
{
	Updater updater;
	TableScanDesc scan;

	begin_update(&updater, table);
	*alone = updater.plain;
	scan = begin_table_scan(table->relation, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, updater.old_row))
	{
		MemoryContext old_context = MemoryContextSwitchTo(
			GetPerTupleMemoryContext(updater.estate));
		bool id_isnull;
		bool value_isnull;
		Datum id = slot_getattr(updater.old_row, table->id_column, &id_isnull);
		int64 number = id_isnull ? 0 : DatumGetInt64(id);
		Datum value = slot_getattr(updater.old_row, table->value_column,
								   &value_isnull);
		text *replacement;

		CHECK_FOR_INTERRUPTS();
		replacement = rewriter(state, id_isnull ? NULL : &number,
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
	SqlStatement *update;
} SqlUpdater;

static void
update_row_by_sql(void *argument, const int64 *id, struct varlena *value)
{
	SqlUpdater *updater = (SqlUpdater *) argument;
	text *replacement = updater->rewriter(updater->state, id, value);
	Datum arguments[2];

	/* without an id, no statement can name the row */
	if (replacement == NULL || id == NULL)
		return;
	arguments[0] = Int64GetDatum(*id);
	arguments[1] = PointerGetDatum(replacement);
	/* What a rule makes of it shows when the result is compared. */
	(void) syncmaster_run_prepared(updater->update, arguments);
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

	updater.update = syncmaster_prepare(command, 2, types);
	syncmaster_scan_table(table, update_row_by_sql, &updater);
}

/*
 * Does a trigger on each row want to see all rows of the statement?  These are
 * kept by a plan's node, which the direct update does without.
 */
static bool
has_transition_table(Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (!is_idle_trigger(trigger) &&
			(trigger->tgoldtable != NULL || trigger->tgnewtable != NULL))
			return true;
	}
	return false;
}

/*
 * Ask "rewriter" about each row, and write what it says.  It is called in a
 * memory context that is reset after the row.
 *
 * *alone is set before the first row: can nothing else have a hand in what
 * gets into the table?  Then it need not be compared with what was written.
 */
void
syncmaster_update_credentials(OwnedTable *table, RowRewriter rewriter,
							  void *state, bool *alone)
{
	*alone = false;
	syncmaster_require_trust(RelationGetRelid(table->relation), GetUserId(),
							 EVENT_UPDATE);
	if (table->distributed || has_transition_table(table->relation))
		update_by_sql(table, rewriter, state);
	else
		update_directly(table, rewriter, state, alone);
}
