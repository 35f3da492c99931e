/*-------------------------------------------------------------------------
 *
 * long_vector.c
 *	  Rows with more text than a search vector can hold.
 *
 * One such row makes the statement that adds the vectors fail, and the
 * server's error does not name it.  This file finds such rows, before an
 * upgrade and after one that failed: of each row with enough text, which is
 * read directly, the vector is computed with the expression of the statement.
 * Only ids are shown, and only to roles that may read the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "storage/lmgr.h"
#include "tsearch/ts_type.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "base/base.h"
#include "schema/schema.h"
#include "vectors/vectors.h"

/*
 * Less text than this never gives a vector of more than MAXSTRPOS bytes.  A
 * byte is in two terms of the expression at most (what is in three, the name,
 * is short); the parser gives a word as a whole and in parts; in lower case
 * it may have half as many bytes again; and each lexeme has four bytes or
 * five for its position, next to a letter and a blank.
 */
#define MIN_TEXT (MAXSTRPOS / 32)

/* How many rows are searched for. */
#define MAX_ROWS 10

typedef struct Search
{
	const TableStatement *statement;
	const VectorColumn	 *column;
	Relation			  rel;
	Bitmapset *inputs; /* columns, as pull_varattnos() numbers them */
	IdList	   found;
} Search;

/* The vector of one row. */
typedef struct Trial
{
	ExprState	*expr;
	ExprContext *econtext;
} Trial;

/*
 * The statement's expression on columns of the table.  19's copyObject() asks
 * the compiler for C23.
 */
static Expr *
expression(const Search *search)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	addNSItemToQuery(pstate,
					 addRangeTableEntryForRelation(pstate, search->rel,
												   AccessShareLock, NULL, false,
												   true),
					 true, true, true);
	expr = cookDefault(pstate, copyObjectImpl(search->column->raw_expr),
					   TSVECTOROID, -1, search->column->name,
					   ATTRIBUTE_GENERATED_STORED);
	free_parsestate(pstate);
	return (Expr *) expr;
}

/*
 * Return whether all columns have built-in types, so that computing a vector
 * does not run a user's code.
 */
static bool
inputs_are_known_types(const Search *search)
{
	int member = -1;

	while ((member = bms_next_member(search->inputs, member)) >= 0)
	{
		AttrNumber attnum = member + FirstLowInvalidHeapAttributeNumber;
		Oid		   type = attnum > 0
							  ? get_atttype(RelationGetRelid(search->rel), attnum)
							  : InvalidOid;

		if (type != VARCHAROID && type != TEXTOID && type != JSONOID)
			return false;
	}
	return true;
}

/*
 * Bytes of the texts that a row's vector is computed from, found without
 * reading the texts.
 */
static Size
text_bytes(const Search *search, const TupleTableSlot *row)
{
	Size result = 0;
	int	 member = -1;

	while ((member = bms_next_member(search->inputs, member)) >= 0)
	{
		int i = member + FirstLowInvalidHeapAttributeNumber - 1;

		if (!row->tts_isnull[i])
			result += toast_raw_datum_size(row->tts_values[i]) - VARHDRSZ;
	}
	return result;
}

static void
compute(void *argument)
{
	Trial *trial = argument;
	bool   isnull;

	(void) ExecEvalExprSwitchContext(trial->expr, trial->econtext, &isnull);
}

/*
 * Return whether a row's vector is too long.
 */
static bool
is_too_long(Trial *trial, TupleTableSlot *row)
{
	ErrorData *error;

	trial->econtext->ecxt_scantuple = row;
	error = syncmaster_look(compute, trial);
	ResetExprContext(trial->econtext);
	if (error != NULL && error->sqlerrcode != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		ReThrowError(error);
	return error != NULL;
}

/*
 * Search the rows; false if they are elsewhere.
 */
static bool
search_rows(Search *search)
{
	AttrNumber id = get_attnum(RelationGetRelid(search->rel), "id");
	Expr	  *expr = expression(search);
	EState	  *estate;
	Trial	   trial;
	DirectScan scan;

	pull_varattnos((Node *) expr, 1, &search->inputs);
	if (id <= 0 || get_atttype(RelationGetRelid(search->rel), id) != INT8OID ||
		!inputs_are_known_types(search))
		return true;
	if (!syncmaster_begin_scan(&scan, search->rel))
		return false;
	estate = CreateExecutorState();
	trial.expr = ExecPrepareExpr(expr, estate);
	trial.econtext = GetPerTupleExprContext(estate);
	while (search->found.count < MAX_ROWS && syncmaster_next_row(&scan))
	{
		bool  isnull;
		int64 value;

		slot_getallattrs(scan.slot);
		if (text_bytes(search, scan.slot) < MIN_TEXT ||
			!is_too_long(&trial, scan.slot))
			continue;
		value = DatumGetInt64(slot_getattr(scan.slot, id, &isnull));
		syncmaster_add_id(&search->found, isnull ? NULL : &value);
	}
	syncmaster_end_scan(&scan);
	FreeExecutorState(estate);
	return true;
}

/*
 * Return whether a role may know the rows of a table.
 */
static bool
may_read(Oid relid, Oid role)
{
	return pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK &&
		   check_enable_rls(relid, role, true) != RLS_ENABLED;
}

static char *
list_inputs(const Search *search)
{
	StringInfoData list;
	int			   member = -1;

	initStringInfo(&list);
	while ((member = bms_next_member(search->inputs, member)) >= 0)
		appendStringInfo(
			&list, "%s%s", list.len > 0 ? ", " : "",
			get_attname(RelationGetRelid(search->rel),
						member + FirstLowInvalidHeapAttributeNumber, false));
	return list.data;
}

static void
add_problem(List **findings, const MigrationContext *context, Search *search)
{
	bool may_know = may_read(RelationGetRelid(search->rel), context->caller);
	Finding *finding = syncmaster_add_error(
		findings, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "search_vector",
		finding_message("table \"%s\" has rows with more text than a search "
						"vector can hold",
						search->statement->table),
		psprintf("Shorten what is searched of them (columns %s), or delete "
				 "them, and run the command again.",
				 list_inputs(search)));

	finding->detail =
		may_know ? psprintf("%s id %s.",
							search->found.count < MAX_ROWS
								? "These have"
								: "The first of them have",
							syncmaster_ids_to_text(&search->found, MAX_ROWS))
				 : "Their ids are shown to who may read the table.";
}

/*
 * Find rows whose vectors a statement cannot compute, and add findings.  A
 * locked table is not waited for.
 */
void
syncmaster_long_vector_problems(List				  **findings,
								const MigrationContext *context,
								const TableStatement   *statement)
{
	VectorColumn column;
	Search		 search = {0};
	ActingScope	 scope;
	bool		 searched;

	if (!syncmaster_find_vector_column(statement, &column))
		return;
	search.statement = statement;
	search.column = &column;
	if (!ConditionalLockRelationOid(statement->relid, AccessShareLock))
	{
		syncmaster_add_finding(
			findings, SEVERITY_WARNING, NULL, "search_vector",
			psprintf("rows with more text than a search vector can hold were "
					 "not looked for, because table \"%s\" is locked",
					 statement->table),
			"Ask again later.");
		return;
	}
	search.rel = try_relation_open(statement->relid, NoLock);
	if (search.rel == NULL)
	{
		UnlockRelationOid(statement->relid, AccessShareLock);
		return;
	}
	syncmaster_init_ids(&search.found);
	syncmaster_begin_acting(&scope, search.rel->rd_rel->relowner);
	searched = search_rows(&search);
	syncmaster_end_acting(&scope);
	if (!searched && syncmaster_is_distributed(statement->relid))
		syncmaster_add_finding(
			findings, SEVERITY_WARNING, NULL, "search_vector",
			psprintf("rows with more text than a search vector can hold were "
					 "not looked for, because table \"%s\" is distributed by "
					 "Citus",
					 statement->table),
			"If there are such rows, the upgrade fails and changes nothing.");
	if (search.found.count > 0)
		add_problem(findings, context, &search);
	relation_close(search.rel, AccessShareLock);
}
