/*-------------------------------------------------------------------------
 *
 * known_vector.c
 *	  Search vectors that are computed before a migration locks their table,
 *	  and the statement that adds them.
 *
 * What takes longest when a table gets a new generated column is to compute
 * that column: in one process, while nobody can read the table.  A query
 * computes the vectors beforehand, in as many processes as the server has for
 * maintenance and while the services are at work.  They are kept in memory
 * under the TID of the row version that each was computed from and the
 * transaction that wrote it, and looked up when the table is written.  What is
 * not found there, because a row was changed in between or memory was full, is
 * computed then.
 *
 * The query keeps no lock.  A TID with its transaction stands for the same row
 * as long as the table is in the same file and has the same columns, which is
 * compared when the table is locked for good.
 *
 * ALTER TABLE writes all files anew, also those of an empty table.  Where vectors
 * are known, or there is no row, the statement is run in parts: add an ordinary
 * column, have it generated in the catalogues, and write the rows with their
 * vectors into a new file, as ALTER TABLE does.  The catalogues say the same
 * afterwards, and rows without a known vector get the one that the catalogues'
 * expression gives.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupdesc.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "storage/predicate.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/evtcache.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "base/compat.h"
#include "schema/schema.h"
#include "settings.h"
#include "vectors/vectors.h"

/* With less memory than this, a query is not worth starting. */
#define MIN_MEMORY ((Size) 1024 * 1024)

/* The hash key: a version of a row.  It has no padding. */
typedef struct RowVersion
{
	TransactionId xmin;
	BlockNumber	  block;
	uint32		  offset;
} RowVersion;

typedef struct KnownVector
{
	RowVersion version; /* hash key */
	Datum	   vector;
} KnownVector;

typedef struct KnownVectors
{
	Oid			relid;
	const char *column;
	MemoryContext
		  memory; /* context of the vectors; NULL when they were freed */
	Size  max_memory;
	HTAB *table;

	/* the table when it was read */
	Oid		  relfilenode;
	TupleDesc desc;
} KnownVectors;

static RowVersion
row_version(ItemPointer tid, TransactionId xmin)
{
	RowVersion version;

	version.xmin = xmin;
	version.block = ItemPointerGetBlockNumber(tid);
	version.offset = ItemPointerGetOffsetNumber(tid);
	return version;
}

/*
 * Roughly how many vectors a table will give and memory will hold: a hash
 * table that has to grow takes longer.
 */
static long
expected_vectors(Relation rel, Size max_memory)
{
	double rows = rel->rd_rel->reltuples;

	return (long) Max(1024.0,
					  Min(rows, (double) max_memory / sizeof(KnownVector) / 4));
}

/*
 * Make room for the vectors of a table, which is locked.
 */
static void
make_room(KnownVectors *known, Relation rel)
{
	HASHCTL		  info = {0};
	MemoryContext save_context = MemoryContextSwitchTo(known->memory);

	known->relfilenode = rel->rd_rel->relfilenode;
	known->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	info.keysize = sizeof(RowVersion);
	info.entrysize = sizeof(KnownVector);
	info.hcxt = known->memory;
	known->table = hash_create("syncmaster known vectors",
							   expected_vectors(rel, known->max_memory), &info,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	MemoryContextSwitchTo(save_context);
}

/*
 * RowReceiver: keep one row of the query.  False ends the query.
 */
static bool
keep_row(void *state, TupleTableSlot *slot)
{
	KnownVectors *known = state;
	RowVersion	  version;

	if (slot->tts_isnull[2])
		return true;
	version = row_version((ItemPointer) DatumGetPointer(slot->tts_values[0]),
						  DatumGetTransactionId(slot->tts_values[1]));
	MemoryContextSwitchTo(known->memory);
	((KnownVector *) hash_search(known->table, &version, HASH_ENTER, NULL))
		->vector = datumCopy(slot->tts_values[2], false, -1);

	return MemoryContextMemAllocated(known->memory, true) < known->max_memory;
}

/*
 * Return whether a statement about a locked table can be run in parts.  It
 * cannot where the parts would be visible: to event triggers, and where the
 * first part would reach child tables or other nodes, and the later parts
 * would not.
 */
static bool
may_run_in_parts(const TableStatement *statement)
{
	Relation rel = relation_open(statement->relid, NoLock);
	bool	 result = rel->rd_rel->relkind == RELKIND_RELATION &&
				  !rel->rd_rel->relhassubclass;

	relation_close(rel, NoLock);
	return result && EventCacheLookup(EVT_DDLCommandStart) == NIL &&
		   EventCacheLookup(EVT_DDLCommandEnd) == NIL &&
		   EventCacheLookup(EVT_SQLDrop) == NIL &&
		   EventCacheLookup(EVT_TableRewrite) == NIL &&
		   !syncmaster_is_distributed(statement->relid);
}

/*
 * Return whether a table, locked for reading, is large enough for a query,
 * and its owner's query would see all rows that ALTER TABLE will write.
 */
static bool
is_worth_a_query(Relation rel, Oid role)
{
	return rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		   !rel->rd_rel->relrowsecurity &&
		   RelationGetNumberOfBlocks(rel) >=
			   (BlockNumber) min_parallel_table_scan_size &&
		   pg_class_aclcheck(RelationGetRelid(rel), role, ACL_SELECT) ==
			   ACLCHECK_OK;
}

typedef struct Computation
{
	const MigrationContext *context;
	const TableStatement   *statement;
	const VectorColumn	   *column;
	KnownVectors		   *known;
} Computation;

static void
compute(void *argument)
{
	Computation			 *computation = argument;
	const TableStatement *statement = computation->statement;
	ActingScope			  scope;
	Relation			  rel;
	bool				  worth;

	/* asked with the lock, under which the answers stay true */
	syncmaster_lock_relation(statement->relid, AccessShareLock);
	if (!may_run_in_parts(statement))
		return;
	rel = relation_open(statement->relid, NoLock);
	worth = is_worth_a_query(rel, statement->role);
	if (worth)
		make_room(computation->known, rel);
	relation_close(rel, NoLock);
	if (!worth)
		return;

	/*
	 * In as many processes as maintenance may have.  JIT compilation would not
	 * pay.
	 */
	syncmaster_begin_acting(&scope, statement->role);
	syncmaster_set_locally_int("max_parallel_workers_per_gather",
							   max_parallel_maintenance_workers);
	syncmaster_set_locally("jit", "off");
	(void) syncmaster_each_row(
		psprintf("SELECT ctid, xmin, %s FROM ONLY %s",
				 computation->column->expr,
				 quote_qualified_identifier(computation->context->schema,
											statement->table)),
		0, NULL, NULL, keep_row, computation->known);
	syncmaster_end_acting(&scope);
}

static void
forget_vectors(KnownVectors *known)
{
	if (known->memory != NULL)
		MemoryContextDelete(known->memory);
	known->memory = NULL;
}

/*
 * Raise the error that ended the computing of vectors, with the rows that are
 * too long, if that was the reason.
 */
static void
raise_error(const MigrationContext *context, const TableStatement *statement,
			ErrorData *error)
{
	List *findings = NIL;

	if (error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		syncmaster_long_vector_problems(&findings, context, statement);
	syncmaster_raise_error(findings);
	ReThrowError(error);
}

/*
 * An upgrade can do without the vectors.
 */
static void
warn_of_memory(const TableStatement *statement)
{
	ereport(WARNING,
			(errmsg("out of memory while search vectors of table \"%s\" were "
					"computed",
					statement->table),
			 errdetail("They are computed while the table is locked."),
			 errhint("\"maintenance_work_mem\" limits the memory of vectors "
					 "that are computed before.")));
}

/*
 * Compute the vectors that one statement will need, if that saves time, in the
 * memory that is left.  NULL if nothing was computed.
 */
static KnownVectors *
compute_vectors(const MigrationContext *context,
				const TableStatement *statement, Size memory_left)
{
	VectorColumn  column;
	KnownVectors *known;
	Computation	  computation = {context, statement, &column, NULL};
	ErrorData	 *error;

	if (memory_left < MIN_MEMORY ||
		!syncmaster_find_vector_column(statement, &column) ||
		!syncmaster_may_migrate(context->caller, statement->role))
		return NULL;

	known = palloc0(sizeof(KnownVectors));
	known->relid = statement->relid;
	known->column = column.name;
	known->max_memory = memory_left;
	known->memory = AllocSetContextCreate(CurrentMemoryContext,
										  "syncmaster known vectors",
										  ALLOCSET_DEFAULT_SIZES);
	computation.known = known;
	error = syncmaster_look(compute, &computation);
	if (error != NULL && error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
	{
		forget_vectors(known);
		warn_of_memory(statement);
		return NULL;
	}
	if (error != NULL)
		raise_error(context, statement, error);
	if (known->table != NULL && hash_get_num_entries(known->table) > 0)
		return known;
	forget_vectors(known);
	return NULL;
}

/*
 * Compute the vectors that a step's statements, a list of TableStatement, will
 * need.  Other sessions may read and write the tables meanwhile and
 * afterwards.
 */
List *
syncmaster_compute_vectors(const MigrationContext *context, List *statements,
						   const char *activity)
{
	Size	  memory_left = (Size) syncmaster_maintenance_memory() * 1024;
	List	 *result = NIL;
	ListCell *lc;

	if (!syncmaster_precompute_vectors)
		return NIL;
	foreach (lc, statements)
	{
		const TableStatement *statement = lfirst(lc);
		TimestampTz			  started = GetCurrentTimestamp();
		KnownVectors		 *known;

		syncmaster_show_activity(activity, statement->sql);
		known = compute_vectors(context, statement, memory_left);
		if (known == NULL)
			continue;
		memory_left -= Min(memory_left,
						   MemoryContextMemAllocated(known->memory, true));
		result = lappend(result, known);
		syncmaster_report_progress(
			started, "%s: %ld search vectors of table %s computed", activity,
			hash_get_num_entries(known->table), statement->table);
	}
	return result;
}

/*
 * Find the vectors that are known for a statement's table, which is locked;
 * NULL if there are none, or if they do not fit the table any more.
 */
static KnownVectors *
find_vectors(List *known_vectors, const TableStatement *statement,
			 const VectorColumn *column)
{
	KnownVectors *result = NULL;
	Relation	  rel;
	ListCell	 *lc;

	foreach (lc, known_vectors)
	{
		KnownVectors *known = lfirst(lc);

		if (known->relid == statement->relid && known->memory != NULL &&
			strcmp(known->column, column->name) == 0)
			result = known;
	}
	if (result == NULL)
		return NULL;

	rel = relation_open(statement->relid, NoLock);
	if (rel->rd_rel->relfilenode != result->relfilenode ||
		!equalTupleDescs(RelationGetDescr(rel), result->desc))
	{
		forget_vectors(result);
		result = NULL;
	}
	relation_close(rel, NoLock);
	return result;
}

/*
 * Look up the vector of a row.
 */
static bool
find_vector(const KnownVectors *known, TupleTableSlot *row, Datum *vector)
{
	bool  isnull;
	Datum xmin = slot_getsysattr(row, MinTransactionIdAttributeNumber, &isnull);
	RowVersion		   version = row_version(&row->tts_tid,
											 DatumGetTransactionId(xmin));
	const KnownVector *entry = hash_search(known->table, &version, HASH_FIND,
										   NULL);

	if (entry == NULL)
		return false;
	*vector = entry->vector;
	return true;
}

typedef struct Addition
{
	const MigrationContext *context;
	const TableStatement   *statement;
	const VectorColumn	   *column;
	List				   *known_vectors;
	KnownVectors		   *known; /* of the table; NULL if it has no row */
} Addition;

/*
 * Return whether a table has no rows, not even dead ones.
 */
static bool
is_empty(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	bool	 result = RelationGetNumberOfBlocks(rel) == 0;

	relation_close(rel, NoLock);
	return result;
}

/*
 * Mark the last column of a table, which was just added, as generated.
 */
static void
mark_generated(Relation rel, const char *column)
{
	Relation  attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopyAttName(RelationGetRelid(rel), column);
	Form_pg_attribute attribute;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for column %s", column);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	if (attribute->attnum != RelationGetNumberOfAttributes(rel))
		elog(ERROR, "column %s was not added", column);
	attribute->attgenerated = ATTRIBUTE_GENERATED_STORED;
	CatalogTupleUpdate(attributes, &tuple->t_self, tuple);
	table_close(attributes, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * Change the catalogues so that a column that was just added is generated.
 */
static void
generate(const Addition *addition)
{
	Relation		  rel = relation_open(addition->statement->relid, NoLock);
	RawColumnDefault *expr = palloc0(sizeof(RawColumnDefault));

	mark_generated(rel, addition->column->name);
	expr->attnum = RelationGetNumberOfAttributes(rel);
	expr->raw_default = copyObjectImpl(addition->column->raw_expr);
	expr->generated = ATTRIBUTE_GENERATED_STORED;
	AddRelationNewConstraints(rel, list_make1(expr), NIL, false, true, false,
							  NULL);
	relation_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * Fill in a row as it will be written.
 */
static void
fill_row(TupleTableSlot *row, TupleTableSlot *old_row)
{
	TupleDesc desc = row->tts_tupleDescriptor;

	slot_getallattrs(old_row);
	ExecClearTuple(row);
	for (int i = 0; i < desc->natts; i++)
	{
		row->tts_values[i] = old_row->tts_values[i];
		row->tts_isnull[i] = old_row->tts_isnull[i] ||
							 TupleDescAttr(desc, i)->attisdropped;
	}
}

/*
 * Write the rows of a table into a new one of the same columns, the last of
 * which is the search vector.
 */
static void
copy_rows(Relation rel, Oid new_relid, const KnownVectors *known)
{
	Relation	 new_rel = table_open(new_relid, NoLock);
	int			 last = RelationGetNumberOfAttributes(rel);
	EState		*estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	ExprState *expr = ExecPrepareExpr((Expr *) build_column_default(rel, last),
									  estate);
	TupleTableSlot *row = MakeSingleTupleTableSlot(
		RelationGetDescr(rel), table_slot_callbacks(new_rel));
	BulkInsertState bulk_insert = GetBulkInsertState();
	CommandId		command = GetCurrentCommandId(true);
	MemoryContext	save_context = CurrentMemoryContext;
	DirectScan		scan;

	TransferPredicateLocksToHeapRelation(rel);
	if (!syncmaster_begin_scan(&scan, rel))
		elog(ERROR, "rows of table \"%s\" are elsewhere",
			 RelationGetRelationName(rel));
	while (syncmaster_next_row(&scan))
	{
		ResetExprContext(econtext);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		fill_row(row, scan.slot);
		row->tts_isnull[last - 1] = false;
		if (!find_vector(known, scan.slot, &row->tts_values[last - 1]))
		{
			econtext->ecxt_scantuple = scan.slot;
			row->tts_values[last - 1] =
				ExecEvalExpr(expr, econtext, &row->tts_isnull[last - 1]);
		}
		ExecStoreVirtualTuple(row);
		table_tuple_insert(new_rel, row, command, TABLE_INSERT_SKIP_FSM,
						   bulk_insert);
		MemoryContextSwitchTo(save_context);
	}
	syncmaster_end_scan(&scan);

	FreeBulkInsertState(bulk_insert);
	table_finish_bulk_insert(new_rel, TABLE_INSERT_SKIP_FSM);
	ExecDropSingleTupleTableSlot(row);
	FreeExecutorState(estate);
	table_close(new_rel, NoLock);
}

/*
 * Write a table and its indexes again, with the vectors.
 */
static void
write_anew(Oid relid, const KnownVectors *known)
{
	Relation rel = table_open(relid, NoLock);
	char	 persistence = rel->rd_rel->relpersistence;
	Oid		 new_relid;

	find_composite_type_dependencies(rel->rd_rel->reltype, rel, NULL);
	new_relid = make_heap(rel);
	copy_rows(rel, new_relid, known);
	table_close(rel, NoLock);
	swap_heap(relid, new_relid, persistence);
}

static void
execute(const Addition *addition, const char *sql)
{
	syncmaster_execute_as(sql, addition->statement->role);
	CommandCounterIncrement();
}

/*
 * Run the statement in parts.
 */
static void
run_in_parts(Addition *addition)
{
	const TableStatement *statement = addition->statement;
	const VectorColumn	 *column = addition->column;
	ActingScope			  scope;

	/* this also asks about the code that the later parts call */
	execute(addition, column->plain_sql);
	syncmaster_begin_acting(&scope, statement->role);
	generate(addition);
	if (addition->known != NULL)
		write_anew(statement->relid, addition->known);
	syncmaster_end_acting(&scope);
	if (column->not_null)
		execute(addition,
				psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
						 quote_qualified_identifier(addition->context->schema,
													statement->table),
						 quote_identifier(column->name)));
}

static void
run(void *argument)
{
	Addition			 *addition = argument;
	const TableStatement *statement = addition->statement;

	if (syncmaster_precompute_vectors && may_run_in_parts(statement))
	{
		addition->known = find_vectors(addition->known_vectors, statement,
									   addition->column);
		if (addition->known != NULL || is_empty(statement->relid))
		{
			run_in_parts(addition);
			return;
		}
	}
	syncmaster_execute_as(statement->sql, statement->role);
}

/*
 * Run an ALTER TABLE whose locks are held, with the vectors that are known for
 * it, which are freed then.
 */
void
syncmaster_alter_table(const MigrationContext *context,
					   const TableStatement *statement, List *known_vectors)
{
	VectorColumn column;
	Addition	 addition = {context, statement, &column, known_vectors, NULL};
	ErrorData	*error;

	if (!syncmaster_find_vector_column(statement, &column))
	{
		syncmaster_execute_as(statement->sql, statement->role);
		return;
	}
	error = syncmaster_try(run, &addition);
	if (error != NULL)
		raise_error(context, statement, error);
	if (addition.known != NULL)
		forget_vectors(addition.known);
}
