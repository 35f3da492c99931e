/*-------------------------------------------------------------------------
 *
 * trust_code.c
 *	  The rule of trust for types, operators and expressions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/regproc.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * The CHECKs of a domain.
 */
static void
ask_domain(TrustQuestion *question, Oid type)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool  isnull;
		Datum check = heap_getattr(tuple, Anum_pg_constraint_conbin,
								   RelationGetDescr(rel), &isnull);

		if (!isnull)
			syncmaster_ask_text(question, check);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
ask_composite(TrustQuestion *question, Oid relid)
{
	HeapTuple tuple;

	for (AttrNumber attnum = 1; HeapTupleIsValid(
			 tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
									 Int16GetDatum(attnum)));
		 attnum++)
	{
		Form_pg_attribute column = (Form_pg_attribute) GETSTRUCT(tuple);

		if (!column->attisdropped)
			syncmaster_ask_type(question, column->atttypid);
		ReleaseSysCache(tuple);
	}
}

static void
ask_range(TrustQuestion *question, Oid type)
{
	HeapTuple	  tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type));
	Form_pg_range range;

	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	range = (Form_pg_range) GETSTRUCT(tuple);
	syncmaster_ask_type(question, range->rngsubtype);
	if (OidIsValid(range->rngcanonical))
		syncmaster_ask_support(question, range->rngcanonical);
	if (OidIsValid(range->rngsubdiff))
		syncmaster_ask_support(question, range->rngsubdiff);
	ReleaseSysCache(tuple);
}

/*
 * The casts from and to a type, which some functions of PostgreSQL look for,
 * such as to_json().
 */
static void
ask_casts(TrustQuestion *question, Oid type)
{
	Relation	rel = table_open(CastRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_cast cast = (Form_pg_cast) GETSTRUCT(tuple);

		if ((cast->castsource == type || cast->casttarget == type) &&
			OidIsValid(cast->castfunc))
			syncmaster_ask_support(question, cast->castfunc);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * A type brings code along: the CHECKs of a domain, functions of a range,
 * casts that its owner made.
 */
void
syncmaster_ask_type(TrustQuestion *question, Oid type)
{
	HeapTuple	 tuple;
	Form_pg_type form;

	check_stack_depth();
	if (type < FirstNormalObjectId || list_member_oid(question->types, type))
		return;
	question->types = lappend_oid(question->types, type);
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (!question->any_owner &&
		!syncmaster_has_rights(form->typowner, question->role))
	{
		char *name = format_type_be_qualified(type);

		syncmaster_distrust(
			question,
			psprintf("It uses type %s of role \"%s\", who lacks the rights of "
					 "role \"%s\".",
					 name, GetUserNameFromId(form->typowner, false),
					 GetUserNameFromId(question->role, false)),
			psprintf("ALTER TYPE %s OWNER TO %s", name,
					 quote_identifier(
						 GetUserNameFromId(question->role, false))));
	}
	ask_casts(question, type);
	if (form->typtype == TYPTYPE_DOMAIN)
	{
		bool  isnull;
		Datum value = SysCacheGetAttr(TYPEOID, tuple,
									  Anum_pg_type_typdefaultbin, &isnull);

		if (!isnull)
			syncmaster_ask_text(question, value);
		syncmaster_ask_type(question, form->typbasetype);
		ask_domain(question, type);
	}
	else if (form->typtype == TYPTYPE_COMPOSITE)
		ask_composite(question, form->typrelid);
	else if (form->typtype == TYPTYPE_RANGE)
		ask_range(question, type);
	else if (OidIsValid(range_of_multirange(type)))
		syncmaster_ask_type(question, range_of_multirange(type));
	else if (OidIsValid(form->typelem))
		syncmaster_ask_type(question, form->typelem);
	ReleaseSysCache(tuple);
}

/*
 * Operators that a statement may find for another one's name, as in
 * trust_function.c.
 */
static void
ask_namesakes(TrustQuestion *question, Form_pg_operator form)
{
	CatCList *list = SearchSysCacheList1(OPERNAMENSP,
										 NameGetDatum(&form->oprname));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_operator other = (Form_pg_operator) GETSTRUCT(
			&list->members[i]->tuple);

		if (other->oprnamespace == form->oprnamespace &&
			!syncmaster_has_rights(other->oprowner, question->role))
			syncmaster_distrust(
				question,
				psprintf("It may come to call operator %s of role \"%s\", who "
						 "lacks the rights of role \"%s\", because the "
						 "statement looks for the name anew.",
						 format_operator_qualified(other->oid),
						 GetUserNameFromId(other->oprowner, false),
						 GetUserNameFromId(question->role, false)),
				NULL);
	}
	ReleaseSysCacheList(list);
}

/*
 * An operator, and those that the planner may put in its place.  Operators of
 * PostgreSQL's lead to no others.
 */
static void
ask_operator(TrustQuestion *question, Oid oid)
{
	HeapTuple		 tuple;
	Form_pg_operator form;

	if (oid < FirstNormalObjectId || list_member_oid(question->operators, oid))
		return;
	question->operators = lappend_oid(question->operators, oid);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	form = (Form_pg_operator) GETSTRUCT(tuple);
	if (OidIsValid(form->oprcode))
		syncmaster_ask_call(question, form->oprcode);
	ask_operator(question, form->oprcom);
	ask_operator(question, form->oprnegate);
	if (!syncmaster_has_rights(form->oprowner, question->role))
		syncmaster_distrust(
			question,
			psprintf("It calls operator %s of role \"%s\", who lacks the "
					 "rights of role \"%s\".",
					 format_operator_qualified(oid),
					 GetUserNameFromId(form->oprowner, false),
					 GetUserNameFromId(question->role, false)),
			NULL);
	else if (question->anew)
		ask_namesakes(question, form);
	ReleaseSysCache(tuple);
}

static void
ask_operators(TrustQuestion *question, const Node *node)
{
	ListCell *lc;

	switch (nodeTag(node))
	{
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			ask_operator(question, ((const OpExpr *) node)->opno);
			break;
		case T_ScalarArrayOpExpr:
			ask_operator(question, ((const ScalarArrayOpExpr *) node)->opno);
			break;
		case T_RowCompareExpr:
			foreach (lc, ((const RowCompareExpr *) node)->opnos)
				ask_operator(question, lfirst_oid(lc));
			break;
		default:
			break;
	}
}

static bool
ask_called(Oid function, void *context)
{
	syncmaster_ask_call(context, function);
	return false;
}

/*
 * The types of the columns that a query gives to the rows of functions.
 */
static void
ask_column_definitions(TrustQuestion *question, List *functions)
{
	ListCell *lc;
	ListCell *type;

	foreach (lc, functions)
	{
		foreach (type, lfirst_node(RangeTblFunction, lc)->funccoltypes)
			syncmaster_ask_type(question, lfirst_oid(type));
	}
}

/*
 * The events of rows that a command may cause; MERGE any.
 */
static int
events_of_command(CmdType command)
{
	switch (command)
	{
		case CMD_INSERT:
		case CMD_UPDATE:
		case CMD_DELETE:
			return EVENT_OF_COMMAND(command);
		case CMD_SELECT:
			return 0;
		default:
			return EVENT_ANY;
	}
}

/*
 * Return whether an UPDATE of a table, which the parser has locked, changes a
 * column that a foreign key may refer to.
 */
static bool
updates_key(Oid relid, List *columns)
{
	Relation   rel = relation_open(relid, NoLock);
	Bitmapset *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	bool	   result = false;
	ListCell  *lc;

	relation_close(rel, NoLock);
	foreach (lc, columns)
	{
		const TargetEntry *column = lfirst_node(TargetEntry, lc);

		if (!column->resjunk &&
			bms_is_member(column->resno - FirstLowInvalidHeapAttributeNumber,
						  keys))
			result = true;
	}
	return result;
}

/*
 * The relations of a query within an expression count as those of a
 * statement: whoever wrote it chose them.
 */
static void
ask_range_table(TrustQuestion *question, const Query *query)
{
	int		  number = 0;
	ListCell *lc;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);
		int			   events = 0;

		number++;
		if (entry->rtekind == RTE_FUNCTION)
			ask_column_definitions(question, entry->functions);
		if (entry->rtekind != RTE_RELATION)
			continue;
		if (number == query->resultRelation)
		{
			events = events_of_command(query->commandType);
			if (query->onConflict != NULL &&
				query->onConflict->action == ONCONFLICT_UPDATE)
				events |= EVENT_OF_COMMAND(CMD_UPDATE) | EVENT_KEY;
			if (query->commandType == CMD_UPDATE &&
				(OidIsValid(question->relid) ||
				 updates_key(entry->relid, query->targetList)))
				events |= EVENT_KEY;
		}
		question->ask_relation(question, entry->relid, events, entry->inh);
	}
}

static bool
walk(Node *node, void *context)
{
	TrustQuestion *question = context;
	ListCell	  *lc;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ask_range_table(question, (Query *) node);
		return query_tree_walker((Query *) node, walk, context, 0);
	}
	switch (nodeTag(node))
	{
		/* functions of types: ask_type() answers for them */
		case T_CoerceViaIO:
		case T_CoerceToDomain:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_RowExpr:
		case T_Var:
		case T_Const:
		case T_MinMaxExpr:
			syncmaster_ask_type(question, exprType(node));
			break;
		case T_FuncExpr:
			syncmaster_ask_type(question, exprType(node));
			check_functions_in_node(node, ask_called, context);
			break;
		case T_TableFunc:
			foreach (lc, ((TableFunc *) node)->coltypes)
				syncmaster_ask_type(question, lfirst_oid(lc));
			break;
		default:
			if (is_json_expression(node))
				syncmaster_ask_type(question, exprType(node));
			ask_operators(question, node);
			check_functions_in_node(node, ask_called, context);
			break;
	}
	return expression_tree_walker(node, walk, context);
}

void
syncmaster_ask_expression(TrustQuestion *question, Node *node)
{
	(void) walk(node, question);
}

/*
 * Ask about an expression, or a list of them, as the catalogues store it.
 */
void
syncmaster_ask_text(TrustQuestion *question, Datum node_tree)
{
	syncmaster_ask_expression(question,
							  stringToNode(TextDatumGetCString(node_tree)));
}
