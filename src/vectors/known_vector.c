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
 * for that, and then generated_column.c takes the function out again.
 *
 * The query keeps no lock, so anything may have happened to the table before
 * it is locked for good: what matters is asked again then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "schema/schema.h"
#include "vectors/vectors.h"

#define FUNCTION_NAME "syncmaster_known_vector"
#define DIGEST_BYTES 32 /* of SHA-256 */

/* It is not worth beginning with less memory than that. */
#define MIN_MEMORY ((Size) 1024 * 1024)

typedef struct KnownVector
{
	unsigned char digest[DIGEST_BYTES]; /* hash key */
	Datum vector;
} KnownVector;

struct KnownVectors
{
	Oid relid; /* of the table that they were computed for */
	const char *column;
	List *inputs; /* names of the columns that they were computed from */

	MemoryContext memory; /* of what follows; NULL when forgotten */
	Size max_memory;
	MemoryContextCallback callback;
	EVP_MD_CTX *digest;
	HTAB *table;
};

/*
 * Gets rows of columns that vectors are known by, and of vectors to be joined.
 */
typedef struct VectorReceiver
{
	DestReceiver pub;
	KnownVectors *known;
	int nkeys;
	int nvectors;
	TSVector *vectors;
	MemoryContext row_context;
} VectorReceiver;

/* Those of the table that is being written; NULL at all other times. */
static const KnownVectors *vectors_in_use = NULL;

PG_FUNCTION_INFO_V1(syncmaster_known_vector);

static void
free_digest(void *argument)
{
	EVP_MD_CTX_free(((KnownVectors *) argument)->digest);
}

/*
 * Roughly how many vectors a table will give and memory will hold: a hash table
 * that has to grow takes longer.
 */
static long
expected_vectors(Oid relid, Size max_memory)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return (long) Max(1024.0,
					  Min(rows, (double) max_memory / sizeof(KnownVector) / 4));
}

/*
 * Make room for vectors in the current memory context.
 */
static KnownVectors *
make_known_vectors(Oid relid, const char *column, List *inputs, Size max_memory)
{
	KnownVectors *known = palloc0(sizeof(KnownVectors));
	HASHCTL info = {0};

	known->relid = relid;
	known->column = column;
	known->inputs = inputs;
	known->max_memory = max_memory;
	known->memory = AllocSetContextCreate(CurrentMemoryContext,
										  "syncmaster known vectors",
										  ALLOCSET_DEFAULT_SIZES);
	known->digest = EVP_MD_CTX_new();
	known->callback.func = free_digest;
	known->callback.arg = known;
	MemoryContextRegisterResetCallback(known->memory, &known->callback);
	if (known->digest == NULL ||
		EVP_DigestInit_ex(known->digest, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not prepare a digest");
	info.keysize = DIGEST_BYTES;
	info.entrysize = sizeof(KnownVector);
	info.hcxt = known->memory;
	known->table = hash_create("syncmaster known vectors",
							   expected_vectors(relid, max_memory), &info,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	return known;
}

static void
forget_vectors(KnownVectors *known)
{
	if (known->memory != NULL)
		MemoryContextDelete(known->memory);
	known->memory = NULL;
}

/*
 * Forget those that were computed for nothing.
 */
void
syncmaster_forget_vectors(List *known_vectors)
{
	ListCell *lc;

	foreach (lc, known_vectors)
	{
		forget_vectors(lfirst(lc));
	}
}

static void
digest_bytes(const KnownVectors *known, const void *bytes, size_t length)
{
	if (EVP_DigestUpdate(known->digest, bytes, length) != 1)
		elog(ERROR, "could not compute a digest");
}

/*
 * Add a value of variable length; NULL differs from every length.
 */
static void
digest_value(const KnownVectors *known, Datum value, bool isnull)
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
begin_digest(const KnownVectors *known)
{
	/* the algorithm of make_known_vectors(), which takes time to find */
	if (EVP_DigestInit_ex(known->digest, NULL, NULL) != 1)
		elog(ERROR, "could not compute a digest");
}

static void
end_digest(const KnownVectors *known, unsigned char *digest)
{
	if (EVP_DigestFinal_ex(known->digest, digest, NULL) != 1)
		elog(ERROR, "could not compute a digest");
}

/*
 * Vectors of a row, in the current memory context; false if one is NULL.
 */
static bool
get_vectors(const VectorReceiver *receiver, const TupleTableSlot *slot)
{
	for (int i = 0; i < receiver->nvectors; i++)
	{
		if (slot->tts_isnull[receiver->nkeys + i])
			return false;
		receiver->vectors[i] = DatumGetTSVector(
			slot->tts_values[receiver->nkeys + i]);
	}
	return true;
}

/*
 * Keep one row of the query.  False ends the query.
 */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	VectorReceiver *receiver = (VectorReceiver *) self;
	KnownVectors *known = receiver->known;
	unsigned char digest[DIGEST_BYTES];
	MemoryContext save_context;
	KnownVector *entry;
	bool found;

	slot_getallattrs(slot);
	MemoryContextReset(receiver->row_context);
	save_context = MemoryContextSwitchTo(receiver->row_context);
	if (get_vectors(receiver, slot))
	{
		begin_digest(known);
		for (int i = 0; i < receiver->nkeys; i++)
			digest_value(known, slot->tts_values[i], slot->tts_isnull[i]);
		end_digest(known, digest);
		entry = hash_search(known->table, digest, HASH_ENTER, &found);
		if (!found)
		{
			TSVector vector = syncmaster_join_vectors(receiver->vectors,
													  receiver->nvectors);

			MemoryContextSwitchTo(known->memory);
			entry->vector = datumCopy(TSVectorGetDatum(vector), false, -1);
		}
	}
	MemoryContextSwitchTo(save_context);

	return MemoryContextMemAllocated(known->memory, true) < known->max_memory;
}

/*
 * Is a type one whose values are equal, for what computes a vector, if and
 * only if their bytes are?  And none that somebody made, with code of his own.
 */
static bool
is_known_type(Oid type)
{
	return type == VARCHAROID || type == TEXTOID || type == JSONOID ||
		   type == JSONBOID;
}

static void
start_receiver(DestReceiver *self, int operation, TupleDesc desc)
{
	VectorReceiver *receiver = (VectorReceiver *) self;

	(void) operation;
	for (int i = 0; i < desc->natts; i++)
	{
		Oid type = TupleDescAttr(desc, i)->atttypid;

		if (i < receiver->nkeys ? !is_known_type(type) : type != TSVECTOROID)
			elog(ERROR, "unexpected type of column %d", i + 1);
	}
	receiver->nvectors = desc->natts - receiver->nkeys;
	receiver->vectors = palloc(sizeof(TSVector) * receiver->nvectors);
}

static void
stop_receiver(DestReceiver *self)
{
}

/*
 * Collect in a list the columns that an expression of a parse tree names; true
 * if there are others.
 */
static bool
find_inputs(Node *node, void *context)
{
	List **inputs = context;

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
	return raw_expression_tree_walker(node, find_inputs, context);
}

static bool
inputs_are_known_types(Oid relid, List *inputs)
{
	ListCell *lc;

	if (inputs == NIL)
		return false;
	foreach (lc, inputs)
	{
		AttrNumber attnum = get_attnum(relid, strVal(lfirst(lc)));

		if (attnum <= 0 || !is_known_type(get_atttype(relid, attnum)))
			return false;
	}
	return true;
}

/*
 * Is a table, which is locked for reading, worth it, and does a query of its
 * owner's see what ALTER TABLE will write?
 */
static bool
is_worth_a_query(Oid relid, Oid role)
{
	Relation rel = relation_open(relid, NoLock);
	bool result = !rel->rd_rel->relrowsecurity &&
				  rel->rd_rel->relowner == role &&
				  RelationGetNumberOfBlocks(rel) >=
					  (BlockNumber) min_parallel_table_scan_size;

	relation_close(rel, NoLock);
	return result && pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Our own function, if the owner of a table may call it, a call by name can
 * mean no other, and nobody has used it for something else.
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

	return count == 1 && OidIsValid(result) && may_execute(result, role) &&
				   !syncmaster_has_dependents(result)
			   ? result
			   : InvalidOid;
}

/*
 * What a vector is known by: its table and the columns that it is computed
 * from.
 */
static char *
key_list(const TableStatement *statement, List *inputs)
{
	StringInfoData list;
	ListCell *lc;

	initStringInfo(&list);
	appendStringInfo(&list, "%s::text", quote_literal_cstr(statement->table));
	foreach (lc, inputs)
		appendStringInfo(&list, ", %s", quote_identifier(strVal(lfirst(lc))));
	return list.data;
}

typedef struct Computation
{
	const MigrationContext *context;
	const TableStatement *statement;
	const GeneratedColumn *column;
	KnownVectors *known;
	bool done;
} Computation;

static void
compute(void *argument)
{
	Computation *computation = argument;
	const TableStatement *statement = computation->statement;
	KnownVectors *known = computation->known;
	VectorReceiver receiver = {0};
	StringInfoData query;
	ListCell *lc;

	/* asked with the lock that keeps the answers true */
	syncmaster_lock_relation(statement->relid, AccessShareLock);
	if (!syncmaster_may_rephrase(statement) ||
		!inputs_are_known_types(statement->relid, known->inputs) ||
		!is_worth_a_query(statement->relid, statement->role))
		return;

	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = start_receiver;
	receiver.pub.rShutdown = stop_receiver;
	receiver.pub.rDestroy = stop_receiver;
	receiver.pub.mydest = DestNone;
	receiver.known = known;
	receiver.nkeys = 1 + list_length(known->inputs);
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "syncmaster vector",
												 ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s", key_list(statement, known->inputs));
	foreach (lc, syncmaster_split_chain(statement, computation->column))
		appendStringInfo(&query, ", %s", (char *) lfirst(lc));
	appendStringInfo(&query, " FROM ONLY %s",
					 quote_qualified_identifier(computation->context->schema,
												statement->table));
	syncmaster_execute_into(query.data, statement->role, &receiver.pub);
	MemoryContextDelete(receiver.row_context);
	computation->done = hash_get_num_entries(known->table) > 0;
}

/*
 * Compute the vectors that a statement will need, if it is worth it, in no
 * more memory than what is left.  Others may read and write the table
 * meanwhile, and change it afterwards.  NULL if nothing was computed.
 */
KnownVectors *
syncmaster_compute_vectors(const MigrationContext *context,
						   const TableStatement *statement, Size *memory_left)
{
	GeneratedColumn column;
	Computation computation = {context, statement, &column, NULL, false};
	List *inputs = NIL;

	if (!CAN_EXECUTE_INTO || *memory_left < MIN_MEMORY ||
		!syncmaster_find_generated_column(statement, &column) ||
		strcmp(column.type, "tsvector") != 0 ||
		find_inputs(column.raw_expr, &inputs) ||
		!OidIsValid(find_function(context, statement->role)) ||
		!syncmaster_may_migrate(context->caller, statement->role))
		return NULL;

	computation.known = make_known_vectors(statement->relid, column.name,
										   inputs, *memory_left);
	syncmaster_look(compute, &computation);
	if (!computation.done)
	{
		forget_vectors(computation.known);
		return NULL;
	}
	*memory_left -= Min(*memory_left,
						MemoryContextMemAllocated(computation.known->memory,
												  true));
	return computation.known;
}

/*
 * How many are known?
 */
long
syncmaster_count_vectors(const KnownVectors *known)
{
	return hash_get_num_entries(known->table);
}

/*
 * Run a statement that calls our function.
 */
static void
execute_with(const KnownVectors *known, const char *sql, Oid role)
{
	const KnownVectors *save = vectors_in_use;

	vectors_in_use = known;
	PG_TRY();
	{
		syncmaster_execute_as(sql, role);
	}
	PG_FINALLY();
	{
		vectors_in_use = save;
	}
	PG_END_TRY();
}

static KnownVectors *
find_vectors(List *known_vectors, Oid relid, const char *column)
{
	ListCell *lc;

	foreach (lc, known_vectors)
	{
		KnownVectors *known = lfirst(lc);

		if (known->relid == relid && known->memory != NULL &&
			strcmp(known->column, column) == 0)
			return known;
	}
	return NULL;
}

/*
 * Run a statement with the vectors that are known of its table, which is
 * locked, and forget these.  False if there are none, and it has to be run as
 * it is.
 */
static bool
add_known_vectors(const MigrationContext *context,
				  const TableStatement *statement,
				  const GeneratedColumn *column, List *known_vectors)
{
	KnownVectors *known = find_vectors(known_vectors, statement->relid,
									   column->name);
	Oid function = find_function(context, statement->role);
	char *expr;

	if (known == NULL || !OidIsValid(function) ||
		!inputs_are_known_types(statement->relid, known->inputs))
		return false;

	expr = psprintf("coalesce(%s(%s), %.*s)",
					quote_qualified_identifier(context->schema, FUNCTION_NAME),
					key_list(statement, known->inputs), column->expr_length,
					column->expr);
	execute_with(known,
				 psprintf("%.*s%s%s", (int) (column->expr - statement->sql),
						  statement->sql, expr,
						  column->expr + column->expr_length),
				 statement->role);
	forget_vectors(known);
	CommandCounterIncrement();
	syncmaster_unwrap_expression(statement->relid, column->name, function);

	return true;
}

/*
 * Are all arguments of those types?  Looked up once for a call's place.
 */
static bool
arguments_are_known_types(FunctionCallInfo fcinfo)
{
	bool *answer = fcinfo->flinfo->fn_extra;

	if (answer == NULL)
	{
		answer = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(bool));
		*answer = true;
		for (int i = 0; i < PG_NARGS(); i++)
			*answer = *answer &&
					  is_known_type(get_fn_expr_argtype(fcinfo->flinfo, i));
		fcinfo->flinfo->fn_extra = answer;
	}
	return *answer;
}

/*
 * syncmaster_known_vector(VARIADIC "any") returns the vector that was computed
 * from these columns of the table that a migration is writing; NULL if there
 * is none.
 *
 * It is a copy: whoever calls may be code of the table's owner that runs
 * meanwhile, and keeps it longer.
 */
Datum
syncmaster_known_vector(PG_FUNCTION_ARGS)
{
	const KnownVectors *known = vectors_in_use;
	unsigned char digest[DIGEST_BYTES];
	KnownVector *entry;

	if (known == NULL || !arguments_are_known_types(fcinfo))
		PG_RETURN_NULL();
	begin_digest(known);
	for (int i = 0; i < PG_NARGS(); i++)
		digest_value(known, PG_GETARG_DATUM(i), PG_ARGISNULL(i));
	end_digest(known, digest);
	entry = hash_search(known->table, digest, HASH_FIND, NULL);
	if (entry == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(datumCopy(entry->vector, false, -1));
}

/*
 * Run a statement about a table that is locked in a shorter way than as it
 * stands, if there is one; false if there is none, and nothing has been done.
 */
bool
syncmaster_run_shorter(const MigrationContext *context,
					   const TableStatement *statement, List *known_vectors)
{
	GeneratedColumn column;

	return syncmaster_find_generated_column(statement, &column) &&
		   syncmaster_may_rephrase(statement) &&
		   (syncmaster_add_to_empty_table(statement, &column) ||
			add_known_vectors(context, statement, &column, known_vectors));
}
