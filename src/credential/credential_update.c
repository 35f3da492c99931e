/*-------------------------------------------------------------------------
 *
 * credential_update.c
 *	  Replacing the tokens in auth_data.
 *
 * An ordinary table is updated as logical replication does it: one scan, and
 * for each row what an UPDATE does (row triggers, constraints, generated
 * columns, indexes), but without an UPDATE's plan, rules, policies and
 * statement triggers.  A trigger on each row that has a transition table needs a
 * plan: there, and where Citus has the rows, UPDATE replaces them in batches.
 * If the table has only what SyncMaster created, nothing but the row and its
 * index entries is written, which saves much of the time that cryptography
 * takes.
 *
 * The caller has the table locked against other writers of this server, and is
 * its owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"
#include "credential/credential.h"
#include "rows/rows.h"

/*
 * How much one statement replaces.  A statement may join with the whole table,
 * so few large statements are cheaper than many small ones.
 */
#define MAX_BATCH 10000
#define MAX_BATCH_BYTES (1024 * 1024)

/* Not a character of base64url, the alphabet of tokens. */
#define TOKEN_SEPARATOR ","

/* What the executor needs for an update that it has not planned. */
typedef struct Updater
{
	EState		   *estate;
	EPQState		epq;
	ResultRelInfo  *target;
	bool			plain;		/* does only code of this library run? */
	bool			identified; /* was the table's replica identity checked? */
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
	Bitmapset	  *updated = bms_make_singleton(table->value_column -
												FirstLowInvalidHeapAttributeNumber);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(table->relation);
	entry->relkind = RELKIND_RELATION;
	entry->rellockmode = ExclusiveLock;
	init_range_table(estate, entry, updated);
}

/*
 * Return whether this update need not fire a trigger.  The server skips
 * checks of foreign keys whose columns do not change, after it has read the
 * old row once more for each of them; for other rows see is_own_row().
 */
static bool
is_idle_trigger(const Trigger *trigger)
{
	return trigger->tgenabled == TRIGGER_DISABLED ||
		   !TRIGGER_FOR_ROW(trigger->tgtype) ||
		   !TRIGGER_FOR_UPDATE(trigger->tgtype) ||
		   RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_FK;
}

/*
 * Return whether an update of the table runs no triggers, rules or policies,
 * and changes no index on the value.
 */
static bool
is_plain_table(Relation relation, AttrNumber value_column)
{
	TupleDesc	 descriptor = RelationGetDescr(relation);
	TriggerDesc *triggers = relation->trigdesc;
	ListCell	*cell;

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
 * Return whether an index expression or predicate of the table calls
 * functions.
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
	updater->old_row = NULL;
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
 * Return whether this transaction inserted the row.  It may still have to be
 * checked against its foreign keys: the deferred check would skip a row
 * version that is not the last one.
 */
static bool
is_own_row(TupleTableSlot *row)
{
	bool  isnull;
	Datum xmin = slot_getsysattr(row, MinTransactionIdAttributeNumber, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

static void
replace_value(Updater *updater, AttrNumber column, text *value)
{
	TupleTableSlot *old_row = updater->old_row;
	TupleTableSlot *new_row = updater->new_row;
	int				columns = old_row->tts_tupleDescriptor->natts;

	slot_getallattrs(old_row);
	ExecClearTuple(new_row);
	memcpy(new_row->tts_values, old_row->tts_values, columns * sizeof(Datum));
	memcpy(new_row->tts_isnull, old_row->tts_isnull, columns * sizeof(bool));
	new_row->tts_values[column - 1] = PointerGetDatum(value);
	new_row->tts_isnull[column - 1] = false;
	ExecStoreVirtualTuple(new_row);
	if (updater->plain && !is_own_row(old_row))
	{
		/* checked for the first row that changes */
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

/*
 * Update the table row by row; false if the rows are elsewhere.
 */
static bool
update_directly(OwnedTable *table, RowRewriter rewriter, void *state,
				bool *alone)
{
	Updater	   updater;
	DirectScan scan;

	if (!syncmaster_begin_scan_at(&scan, table->relation, GetActiveSnapshot()))
		return false;
	begin_update(&updater, table);
	*alone = updater.plain;
	while (syncmaster_next_row(&scan))
	{
		MemoryContext old_context = MemoryContextSwitchTo(
			GetPerTupleMemoryContext(updater.estate));
		bool  id_isnull;
		bool  value_isnull;
		Datum id = slot_getattr(scan.slot, table->id_column, &id_isnull);
		int64 number = id_isnull ? 0 : DatumGetInt64(id);
		Datum value = slot_getattr(scan.slot, table->value_column,
								   &value_isnull);
		text *replacement;

		updater.old_row = scan.slot;
		replacement = rewriter(state, id_isnull ? NULL : &number,
							   value_isnull ? NULL
											: PG_DETOAST_DATUM_PACKED(value));
		MemoryContextSwitchTo(old_context);
		if (replacement != NULL)
			replace_value(&updater, table->value_column, replacement);
		ResetPerTupleExprContext(updater.estate);
	}
	end_update(&updater);
	syncmaster_end_scan(&scan);
	return true;
}

/*
 * Tokens that were read and will be replaced by one statement.
 *
 * Citus sends each parameter as text to every node that has the table.
 * Writing and parsing an array of texts there takes longer than the update of
 * the rows.  So the new tokens, whose characters need no quoting, are sent as
 * one text, and hashes of the old ones.
 */
typedef struct Batch
{
	RowRewriter		  rewriter;
	void			 *state;
	const OwnedTable *table;
	char			 *command;
	MemoryContext	  context; /* of one statement's parameters */
	uint64			  seed;	   /* random seed of the hashes */
	int				  count;
	int64			  ids[MAX_BATCH];
	int64			  old_hashes[MAX_BATCH];
	StringInfoData	  new_values; /* separated by TOKEN_SEPARATOR */
} Batch;

static Datum
make_array(const int64 *numbers, int count)
{
	Datum *elements = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, count, INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * Replace the tokens of a batch.
 *
 * If Citus has the rows, the table's lock does not stop sessions on other
 * nodes.  If one of them has changed a token since it was read, the statement
 * does not find the old token's hash, and the new token is not overwritten.
 */
static void
update_batch(Batch *batch)
{
	Oid			  types[] = {INT8ARRAYOID, INT8ARRAYOID, TEXTOID, INT8OID};
	Datum		  values[4];
	MemoryContext old_context;
	int64		  updated;

	if (batch->count == 0)
		return;
	old_context = MemoryContextSwitchTo(batch->context);
	values[0] = make_array(batch->ids, batch->count);
	values[1] = make_array(batch->old_hashes, batch->count);
	values[2] = PointerGetDatum(
		cstring_to_text_with_len(batch->new_values.data,
								 batch->new_values.len));
	values[3] = Int64GetDatum((int64) batch->seed);
	updated = syncmaster_run(batch->command, lengthof(types), types, values);

	/*
	 * On an ordinary table, the effect of a rule is found when the result is
	 * compared.
	 */
	if (batch->table->distributed && updated != batch->count)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("credentials in table \"%s\" changed while they were "
						"being replaced",
						RelationGetRelationName(batch->table->relation)),
				 errdetail("Of %d tokens, " INT64_FORMAT
						   " were still there. Nothing was changed.",
						   batch->count, updated),
				 errhint("Run the command again. If it fails again, stop the "
						 "services meanwhile.")));
	batch->count = 0;
	resetStringInfo(&batch->new_values);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(batch->context);
}

/*
 * RowReader: collects the tokens to replace.
 */
static void
add_to_batch(void *argument, const int64 *id, struct varlena *value)
{
	Batch *batch = (Batch *) argument;
	text  *replacement = batch->rewriter(batch->state, id, value);

	/* without an id, no statement can name the row */
	if (replacement == NULL || id == NULL)
		return;
	batch->ids[batch->count] = *id;
	batch->old_hashes[batch->count] =
		(int64) hash_bytes_extended((const unsigned char *) VARDATA_ANY(value),
									(int) VARSIZE_ANY_EXHDR(value),
									batch->seed);
	if (batch->count++ > 0)
		appendStringInfoString(&batch->new_values, TOKEN_SEPARATOR);
	appendBinaryStringInfo(&batch->new_values, VARDATA_ANY(replacement),
						   VARSIZE_ANY_EXHDR(replacement));
	if (batch->count == MAX_BATCH || batch->new_values.len >= MAX_BATCH_BYTES)
		update_batch(batch);
}

static void
update_by_sql(OwnedTable *table, RowRewriter rewriter, void *state)
{
	Batch *batch = palloc(sizeof(Batch));

	batch->rewriter = rewriter;
	batch->state = state;
	batch->table = table;
	batch->context = AllocSetContextCreate(CurrentMemoryContext,
										   "syncmaster tokens",
										   ALLOCSET_DEFAULT_SIZES);
	batch->seed = syncmaster_make_checksum_seed();
	batch->count = 0;
	initStringInfo(&batch->new_values);
	batch->command =
		psprintf("UPDATE %s t SET %s = n.new_value "
				 "FROM unnest($1, $2, string_to_array($3, '" TOKEN_SEPARATOR
				 "')) "
				 "    n (id, old_hash, new_value) "
				 "WHERE t.%s OPERATOR(pg_catalog.=) n.id "
				 "AND hashtextextended(t.%s COLLATE \"C\", $4) "
				 "    OPERATOR(pg_catalog.=) n.old_hash",
				 table->quoted_name, table->value_name, table->id_name,
				 table->value_name);
	syncmaster_scan_table(table, add_to_batch, batch);
	update_batch(batch);
	MemoryContextDelete(batch->context);
	pfree(batch->new_values.data);
	pfree(batch->command);
	pfree(batch);
}

/*
 * Return whether a row trigger has a transition table (REFERENCING).  Only
 * the executor's ModifyTable node collects its rows; the direct update does
 * not.
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
 * Call "rewriter" for each row, and write the value that it returns.  It is
 * called in a memory context that is reset after the row.
 *
 * *alone is set before the first row: true if no other code can change what
 * gets into the table, so that the table need not be compared with what was
 * written.
 */
void
syncmaster_update_credentials(OwnedTable *table, RowRewriter rewriter,
							  void *state, bool *alone)
{
	*alone = false;
	syncmaster_require_trust(RelationGetRelid(table->relation), GetUserId(),
							 EVENT_UPDATE);
	if (has_transition_table(table->relation) ||
		!update_directly(table, rewriter, state, alone))
		update_by_sql(table, rewriter, state);
}
