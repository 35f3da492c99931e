/*-------------------------------------------------------------------------
 *
 * known_vector.c
 *	  Search vectors that are computed before a migration locks their table.
 *
 * What takes longest when a table gets a new generated column is to compute
 * that column: in one process, while nobody can read the table.  But a vector
 * depends on nothing but some columns of its row.  So a query computes the
 * vectors beforehand, in as many processes as the server has for maintenance
 * and while the services are at work.  They are kept in memory under a digest
 * of what they were computed from, and looked up when the table is written.
 * What is not found there, because a row was changed in between or memory was
 * full, is computed then.
 *
 * ALTER TABLE is given the expression
 *		coalesce(syncmaster_known_vector(table, columns), expression)
 * for that, and afterwards the catalogue what it would have without us: the
 * expression alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "auth_data.h"
#include "compat.h"
#include "execute.h"
#include "known_vector.h"
#include "lock.h"

#define FUNCTION_NAME "syncmaster_known_vector"
#define DIGEST_BYTES 32 /* of SHA-256 */

typedef struct KnownVector
{
	unsigned char digest[DIGEST_BYTES]; /* hash key */
	Datum vector;
} KnownVector;

/* All vectors that are known, of whatever table. */
typedef struct KnownVectors
{
	MemoryContext memory;
	MemoryContextCallback callback;
	EVP_MD_CTX *digest;
	HTAB *table;
	List *relids; /* of the tables that they were computed for */
} KnownVectors;

/* The generated column that a statement adds. */
typedef struct NewColumn
{
	const char *name;
	List *inputs;	  /* names of the columns that it is computed from */
	const char *expr; /* text that computes it, within the statement's */
	int length;
} NewColumn;

typedef struct VectorReceiver
{
	DestReceiver pub;
	KnownVectors *known;
	TupleDesc desc;
	MemoryContext row_context;
} VectorReceiver;

static KnownVectors *known_vectors = NULL;

PG_FUNCTION_INFO_V1(syncmaster_known_vector);

static void
forget_vectors(void *argument)
{
	KnownVectors *known = argument;

	EVP_MD_CTX_free(known->digest);
	if (known_vectors == known)
		known_vectors = NULL;
}

static KnownVectors *
get_known_vectors(void)
{
	MemoryContext memory;
	KnownVectors *known;
	HASHCTL info = {0};

	if (known_vectors != NULL)
		return known_vectors;

	/* an error resets it with the transaction */
	memory = AllocSetContextCreate(CurTransactionContext,
								   "syncmaster known vectors",
								   ALLOCSET_DEFAULT_SIZES);
	known = MemoryContextAllocZero(memory, sizeof(KnownVectors));
	known->memory = memory;
	known->callback.func = forget_vectors;
	known->callback.arg = known;
	known->digest = EVP_MD_CTX_new();
	MemoryContextRegisterResetCallback(memory, &known->callback);
	if (known->digest == NULL)
		elog(ERROR, "could not prepare a digest");
	info.keysize = DIGEST_BYTES;
	info.entrysize = sizeof(KnownVector);
	info.hcxt = memory;
	known->table = hash_create("syncmaster known vectors", 1024, &info,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	known_vectors = known;

	return known;
}

/*
 * Forget them all, when the statements are done.
 */
void
syncmaster_forget_vectors(void)
{
	if (known_vectors != NULL)
		MemoryContextDelete(known_vectors->memory);
}

static void
digest_bytes(KnownVectors *known, const void *bytes, size_t length)
{
	if (EVP_DigestUpdate(known->digest, bytes, length) != 1)
		elog(ERROR, "could not compute a digest");
}

/*
 * Add a value of variable length; NULL differs from every length.
 */
static void
digest_value(KnownVectors *known, Datum value, bool isnull)
{
	struct varlena *packed;
	int32 length = -1;

	if (isnull)
	{
		digest_bytes(known, &length, sizeof(length));
		return;
	}
	packed = PG_DETOAST_DATUM_PACKED(value);
	length = VARSIZE_ANY_EXHDR(packed);
	digest_bytes(known, &length, sizeof(length));
	digest_bytes(known, VARDATA_ANY(packed), length);
	if (PointerGetDatum(packed) != value)
		pfree(packed);
}

static void
begin_digest(KnownVectors *known)
{
	if (EVP_DigestInit_ex(known->digest, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not compute a digest");
}

static void
end_digest(KnownVectors *known, unsigned char *digest)
{
	if (EVP_DigestFinal_ex(known->digest, digest, NULL) != 1)
		elog(ERROR, "could not compute a digest");
}

/*
 * Keep one row of the query: columns, and the vector computed from them.
 * False ends the query.
 */
static bool
receive_vector(TupleTableSlot *slot, DestReceiver *self)
{
	VectorReceiver *receiver = (VectorReceiver *) self;
	KnownVectors *known = receiver->known;
	unsigned char digest[DIGEST_BYTES];
	int last = receiver->desc->natts - 1;
	MemoryContext save_context;
	KnownVector *entry;
	bool found;

	slot_getallattrs(slot);
	if (slot->tts_isnull[last])
		return true;

	save_context = MemoryContextSwitchTo(receiver->row_context);
	begin_digest(known);
	for (int i = 0; i < last; i++)
		digest_value(known, slot->tts_values[i], slot->tts_isnull[i]);
	end_digest(known, digest);
	MemoryContextSwitchTo(save_context);
	MemoryContextReset(receiver->row_context);

	entry = hash_search(known->table, digest, HASH_ENTER, &found);
	if (!found)
	{
		entry->vector = (Datum) 0;
		save_context = MemoryContextSwitchTo(known->memory);
		entry->vector = PointerGetDatum(
			PG_DETOAST_DATUM_COPY(slot->tts_values[last]));
		MemoryContextSwitchTo(save_context);
	}

	return MemoryContextMemAllocated(known->memory, true) <
		   (Size) syncmaster_maintenance_memory() * 1024;
}

static void
start_receiver(DestReceiver *self, int operation, TupleDesc desc)
{
	(void) operation;
	((VectorReceiver *) self)->desc = desc;
}

static void
stop_receiver(DestReceiver *self)
{
}

/*
 * Collect the columns that an expression of a parse tree names.
 */
static bool
find_inputs(Node *node, List **inputs)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node *field = linitial(((ColumnRef *) node)->fields);

		if (list_length(((ColumnRef *) node)->fields) != 1 ||
			!IsA(field, String))
			return true;
		if (!list_member(*inputs, field))
			*inputs = lappend(*inputs, field);
		return false;
	}
	return raw_expression_tree_walker(node, find_inputs, inputs);
}

/*
 * The text within the parentheses that follow.  It is from our scripts; a
 * quote doubled within a string ends that one and begins another.
 */
static const char *
find_parenthesized(const char *sql, int *length)
{
	const char *begin = strchr(sql, '(') + 1;
	const char *end = begin;
	bool in_string = false;

	for (int depth = 1;; end++)
	{
		if (*end == '\0')
			elog(ERROR, "no end of expression: %s", sql);
		if (*end == '\'')
			in_string = !in_string;
		else if (!in_string && *end == '(')
			depth++;
		else if (!in_string && *end == ')' && --depth == 0)
			break;
	}
	*length = end - begin;
	return begin;
}

/*
 * Is this the definition of a generated column with a search vector?
 */
static bool
describe_column(const StatementEffect *effect, const ColumnDef *column,
				NewColumn *result)
{
	ListCell *lc;

	if (strcmp(strVal(llast(column->typeName->names)), "tsvector") != 0)
		return false;
	foreach (lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype != CONSTR_GENERATED)
			continue;
		result->name = column->colname;
		result->inputs = NIL;
		result->expr = find_parenthesized(effect->sql + constraint->location -
											  effect->location,
										  &result->length);
		return !find_inputs(constraint->raw_expr, &result->inputs) &&
			   result->inputs != NIL;
	}
	return false;
}

/*
 * Does a statement add one such column, and none that it would be
 * mistaken for?
 */
static bool
find_new_column(const StatementEffect *effect, NewColumn *result)
{
	int found = 0;
	ListCell *lc;

	if (!effect->rewrites || !IsA(effect->stmt, AlterTableStmt))
		return false;
	foreach (lc, ((AlterTableStmt *) effect->stmt)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn &&
			describe_column(effect, (ColumnDef *) command->def, result))
			found++;
	}
	return found == 1;
}

/*
 * Are all inputs of types whose bytes tell equal values from others?
 */
static bool
inputs_have_bytes(Oid relid, List *inputs)
{
	ListCell *lc;

	foreach (lc, inputs)
	{
		AttrNumber attnum = get_attnum(relid, strVal(lfirst(lc)));

		if (attnum <= 0 || get_typlen(get_atttype(relid, attnum)) != -1)
			return false;
	}
	return true;
}

/*
 * Is a table worth it, and such that a query of its owner's sees what ALTER
 * TABLE will write?
 */
static bool
may_compute(const StatementEffect *effect)
{
	Relation rel;
	bool result;

	syncmaster_lock_relation(effect->relid, AccessShareLock);
	rel = relation_open(effect->relid, NoLock);
	result = rel->rd_rel->relkind == RELKIND_RELATION &&
			 !rel->rd_rel->relhassubclass && !rel->rd_rel->relrowsecurity &&
			 RelationGetNumberOfBlocks(rel) >=
				 (BlockNumber) min_parallel_table_scan_size &&
			 pg_class_aclcheck(effect->relid, effect->role, ACL_SELECT) ==
				 ACLCHECK_OK &&
			 !syncmaster_is_distributed(effect->relid);
	relation_close(rel, result ? NoLock : AccessShareLock);

	return result;
}

/*
 * Our own function, if the owner of a table may call it and a call by name
 * can mean no other.
 */
static Oid
find_function(const MigrationContext *context, Oid role)
{
	Oid result = InvalidOid;
	int count = 0;
	CatCList *functions = SearchSysCacheList1(PROCNAMEARGSNSP,
											  CStringGetDatum(FUNCTION_NAME));

	for (int i = 0; i < functions->n_members; i++)
	{
		HeapTuple tuple = &functions->members[i]->tuple;
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);

		if (function->pronamespace != context->namespace)
			continue;
		count++;
		if (function->provariadic == ANYOID)
			result = function->oid;
	}
	ReleaseSysCacheList(functions);

	return count == 1 && OidIsValid(result) && may_execute(result, role)
			   ? result
			   : InvalidOid;
}

/*
 * What a vector is known by: its table and the columns that it is computed
 * from.
 */
static char *
key_list(const StatementEffect *effect, const NewColumn *column)
{
	StringInfoData list;
	ListCell *lc;

	initStringInfo(&list);
	appendStringInfo(&list, "%s::text", quote_literal_cstr(effect->table));
	foreach (lc, column->inputs)
		appendStringInfo(&list, ", %s", quote_identifier(strVal(lfirst(lc))));
	return list.data;
}

/*
 * Compute the vectors that a statement will need, if it is worth it.  Others
 * may read and write the table meanwhile.
 */
bool
syncmaster_compute_vectors(const MigrationContext *context,
						   const StatementEffect *effect)
{
	NewColumn column;
	VectorReceiver receiver = {0};
	MemoryContext save_context;

	if (!CAN_EXECUTE_INTO || effect->skipped || !OidIsValid(effect->relid) ||
		!find_new_column(effect, &column) ||
		!inputs_have_bytes(effect->relid, column.inputs) ||
		!OidIsValid(find_function(context, effect->role)) ||
		!may_compute(effect))
		return false;

	receiver.pub.receiveSlot = receive_vector;
	receiver.pub.rStartup = start_receiver;
	receiver.pub.rShutdown = stop_receiver;
	receiver.pub.rDestroy = stop_receiver;
	receiver.pub.mydest = DestNone;
	receiver.known = get_known_vectors();
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "syncmaster vector",
												 ALLOCSET_DEFAULT_SIZES);
	syncmaster_execute_into(
		psprintf("SELECT %s, (%.*s) FROM ONLY %s", key_list(effect, &column),
				 column.length, column.expr,
				 quote_qualified_identifier(context->schema, effect->table)),
		effect->role, &receiver.pub);
	MemoryContextDelete(receiver.row_context);
	save_context = MemoryContextSwitchTo(receiver.known->memory);
	receiver.known->relids = list_append_unique_oid(receiver.known->relids,
													effect->relid);
	MemoryContextSwitchTo(save_context);
	return true;
}

/*
 * Take our function out of the expression that generates a column: what stays
 * is what the catalogue would have without it.
 */
static void
restore_expression(Oid relid, const char *column, Oid function)
{
	Relation rel = relation_open(relid, NoLock);
	Relation defaults = table_open(AttrDefaultRelationId, RowExclusiveLock);
	AttrNumber attnum = get_attnum(relid, column);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid id;
	bool isnull;
	CoalesceExpr *expr;
	FuncExpr *call;
	Datum values[Natts_pg_attrdef] = {0};
	bool nulls[Natts_pg_attrdef] = {0};
	bool replaced[Natts_pg_attrdef] = {0};

	ScanKeyInit(&keys[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(defaults, AttrDefaultIndexId, true, NULL, 2,
							  keys);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no expression generates column %s", column);
	id = ((Form_pg_attrdef) GETSTRUCT(tuple))->oid;
	expr = stringToNode(
		TextDatumGetCString(heap_getattr(tuple, Anum_pg_attrdef_adbin,
										 RelationGetDescr(defaults), &isnull)));
	call = IsA(expr, CoalesceExpr) ? linitial(expr->args) : NULL;
	if (call == NULL || !IsA(call, FuncExpr) || call->funcid != function ||
		list_length(expr->args) != 2)
		elog(ERROR, "unexpected expression generates column %s", column);

	values[Anum_pg_attrdef_adbin - 1] = CStringGetTextDatum(
		nodeToString(lsecond(expr->args)));
	replaced[Anum_pg_attrdef_adbin - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(defaults), values, nulls,
							  replaced);
	CatalogTupleUpdate(defaults, &tuple->t_self, tuple);
	systable_endscan(scan);
	table_close(defaults, RowExclusiveLock);

	/* 15 has the expression depend on the function, before it is the column */
	deleteDependencyRecordsForSpecific(AttrDefaultRelationId, id,
									   DEPENDENCY_NORMAL, ProcedureRelationId,
									   function);
	deleteDependencyRecordsForSpecific(RelationRelationId, relid,
									   DEPENDENCY_AUTO, ProcedureRelationId,
									   function);
	CacheInvalidateRelcache(rel);
	relation_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * Run a statement, with the vectors that are known if there are any.
 */
void
syncmaster_execute_with_vectors(const MigrationContext *context,
								const StatementEffect *effect)
{
	NewColumn column;
	Oid function = InvalidOid;
	const char *after;

	if (known_vectors != NULL &&
		list_member_oid(known_vectors->relids, effect->relid) &&
		find_new_column(effect, &column))
		function = find_function(context, effect->role);
	if (!OidIsValid(function))
	{
		syncmaster_execute_as(effect->sql, effect->role);
		return;
	}
	after = column.expr + column.length;
	syncmaster_execute_as(
		psprintf("%.*scoalesce(%s(%s), %.*s)%s",
				 (int) (column.expr - effect->sql), effect->sql,
				 quote_qualified_identifier(context->schema, FUNCTION_NAME),
				 key_list(effect, &column), column.length, column.expr, after),
		effect->role);
	CommandCounterIncrement();
	restore_expression(effect->relid, column.name, function);
}

/*
 * Are all arguments of types of variable length?  Looked up once for a call's
 * place.
 */
static bool
arguments_have_bytes(FunctionCallInfo fcinfo)
{
	bool *answer = fcinfo->flinfo->fn_extra;

	if (answer == NULL)
	{
		answer = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(bool));
		*answer = true;
		for (int i = 0; i < PG_NARGS(); i++)
		{
			Oid type = get_fn_expr_argtype(fcinfo->flinfo, i);

			*answer = *answer && OidIsValid(type) && get_typlen(type) == -1;
		}
		fcinfo->flinfo->fn_extra = answer;
	}
	return *answer;
}

/*
 * syncmaster_known_vector(VARIADIC "any") returns the vector that a migration
 * under way has computed from these columns; NULL if it has none.
 */
Datum
syncmaster_known_vector(PG_FUNCTION_ARGS)
{
	KnownVectors *known = known_vectors;
	unsigned char digest[DIGEST_BYTES];
	KnownVector *entry;

	if (known == NULL || !arguments_have_bytes(fcinfo))
		PG_RETURN_NULL();
	begin_digest(known);
	for (int i = 0; i < PG_NARGS(); i++)
		digest_value(known, PG_GETARG_DATUM(i), PG_ARGISNULL(i));
	end_digest(known, digest);
	entry = hash_search(known->table, digest, HASH_FIND, NULL);
	if (entry == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(entry->vector);
}
