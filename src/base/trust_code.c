/*-------------------------------------------------------------------------
 *
 * trust_code.c
 *	  The rule of trust for code: functions, types and expressions.
 *
 * A function is trusted if it belongs to a role that has the rights of the
 * role that would call it, because that role gains nothing.  A function of a
 * superuser is trusted unless one of its arguments may contain code, or what
 * amounts to it, such as the name of a table: whoever wrote the expression
 * chose the arguments.
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
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * Functions of pg_catalog that are not VOLATILE and still read tables, or call
 * what an argument names: input functions call the CHECKs of a domain.  The
 * validators of languages, which look into a function's body, are told by their
 * names.
 */
static const char *const acting[] = {"table_to_xml",
									 "table_to_xmlschema",
									 "table_to_xml_and_xmlschema",
									 "schema_to_xml",
									 "schema_to_xmlschema",
									 "schema_to_xml_and_xmlschema",
									 "database_to_xml",
									 "database_to_xmlschema",
									 "database_to_xml_and_xmlschema",
									 "pg_input_is_valid",
									 "pg_input_error_info",
									 "domain_in",
									 "record_in",
									 "array_in",
									 "range_in",
									 "multirange_in"};

/* Functions of pg_catalog that are VOLATILE and do nothing. */
static const char *const harmless[] = {"nextval",		"clock_timestamp",
									   "timeofday",		"random",
									   "random_normal", "gen_random_uuid",
									   "uuidv4",		"uuidv7"};

/* Triggers of PostgreSQL's contrib modules whose arguments are names. */
static const char *const naming[] = {"moddatetime", "insert_username",
									 "lo_manage",
									 "triggered_change_notification"};

/* Types whose values cannot contain code, nor the name of an object. */
static const Oid plain_types[] = {BOOLOID,	   INT2OID,		 INT4OID,
								  INT8OID,	   FLOAT4OID,	 FLOAT8OID,
								  NUMERICOID,  DATEOID,		 TIMEOID,
								  TIMETZOID,   TIMESTAMPOID, TIMESTAMPTZOID,
								  INTERVALOID, UUIDOID};

static void ask_aggregate(TrustQuestion *question, Oid oid);

static const char *
message(const TrustQuestion *question)
{
	/* no statement of the library's does */
	if (!OidIsValid(question->relid))
		return "a statement would run another role's code";
	if (strcmp(question->object_type, "table") == 0)
		return finding_message("table \"%s\" is not trusted by role \"%s\"",
							   question->object_name,
							   GetUserNameFromId(question->role, false));
	return finding_message("%s \"%s\" of table \"%s\" may run another role's "
						   "code",
						   question->object_type, question->object_name,
						   question->table);
}

static const char *
hint(const char *fix, const char *way_out)
{
	if (fix != NULL && way_out != NULL)
		return psprintf("Drop it with %s or, if it is to be trusted, run %s, "
						"and run the command again.",
						fix, way_out);
	if (fix != NULL)
		return psprintf("Drop it with %s, and run the command again.", fix);
	if (way_out != NULL)
		return psprintf("If it is to be trusted, run %s, and run the command "
						"again.",
						way_out);
	return "Change it so that it calls nothing of the kind, and run the "
		   "command again.";
}

/*
 * Add a finding about the object that is looked at.
 */
void
syncmaster_distrust(TrustQuestion *question, const char *detail,
					const char *way_out)
{
	Finding *finding = syncmaster_add_error(
		&question->findings, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		OidIsValid(question->relid) ? question->object_type : "statement",
		message(question), hint(question->fix, way_out));

	finding->detail = detail;
	finding->fix = question->fix;
	finding->left = "whether it is to be trusted is for you to say";
	finding->kind = question->object_type;
	if (OidIsValid(question->relid))
		finding->actual = psprintf("%s.%s", question->table,
								   question->object_name);
}

/*
 * Has the owner of something the rights of a role, so that it gains nothing?
 */
bool
syncmaster_has_rights(Oid owner, Oid role)
{
	return has_privs_of_role(owner, role);
}

static bool
is_one_of(const char *name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool
may_contain_code(Oid type)
{
	for (int i = 0; i < (int) lengthof(plain_types); i++)
	{
		if (type == plain_types[i])
			return false;
	}
	return get_typtype(type) != TYPTYPE_ENUM;
}

/*
 * Is this a function in C of an extension, which computes a value?  Operators of
 * pg_trgm are an example.
 */
static bool
is_of_extension(Form_pg_proc function)
{
	return function->prolang == ClanguageId &&
		   function->provolatile != PROVOLATILE_VOLATILE &&
		   OidIsValid(getExtensionOfObject(ProcedureRelationId, function->oid));
}

/*
 * May a superuser's function run a text as code?  One that is IMMUTABLE is not
 * expected to.
 */
static bool
takes_code(Form_pg_proc function)
{
	if (is_of_extension(function) ||
		function->provolatile == PROVOLATILE_IMMUTABLE)
		return false;
	for (int i = 0; i < function->pronargs; i++)
	{
		if (may_contain_code(function->proargtypes.values[i]))
			return true;
	}
	return false;
}

static bool
is_builtin(Form_pg_proc function)
{
	return function->pronamespace == PG_CATALOG_NAMESPACE &&
		   function->oid < FirstNormalObjectId;
}

/*
 * Does a function of PostgreSQL's do nothing but compute?
 */
static bool
only_computes(Form_pg_proc function)
{
	const char *name = NameStr(function->proname);

	return function->provolatile == PROVOLATILE_VOLATILE
			   ? is_one_of(name, harmless, lengthof(harmless))
			   : !is_one_of(name, acting, lengthof(acting)) &&
					 strstr(name, "_validator") == NULL;
}

/* How a function is called decides what its arguments can be. */
typedef enum FunctionUse
{
	USE_CALL,	 /* in an expression, with any arguments */
	USE_SUPPORT, /* by an operator class, with a column's values */
	USE_TRIGGER, /* without arguments */
	USE_TRIGGER_WITH_ARGUMENTS
} FunctionUse;

/*
 * Are the arguments of a trigger's function names of columns and the like?
 */
static bool
takes_names(Form_pg_proc function)
{
	return function->oid == F_TSVECTOR_UPDATE_TRIGGER ||
		   function->oid == F_TSVECTOR_UPDATE_TRIGGER_COLUMN ||
		   (function->prolang == ClanguageId &&
			superuser_arg(function->proowner) &&
			OidIsValid(
				getExtensionOfObject(ProcedureRelationId, function->oid)) &&
			is_one_of(NameStr(function->proname), naming, lengthof(naming)));
}

/*
 * May a function whose owner has the rights be called in this way?
 */
static bool
is_safe(Form_pg_proc function, FunctionUse use, bool anybody)
{
	switch (use)
	{
		case USE_CALL:
			if (is_builtin(function))
				return only_computes(function) &&
					   (!anybody || function->oid != F_NEXTVAL);
			return anybody ? is_of_extension(function) : !takes_code(function);
		case USE_SUPPORT:
		case USE_TRIGGER:
			return true;
		case USE_TRIGGER_WITH_ARGUMENTS:
			return takes_names(function);
	}
	return false;
}

/*
 * Whose arguments matter: a superuser's function, and others wherever somebody
 * else may have created the trigger.
 */
static bool
arguments_matter(const TrustQuestion *question, Form_pg_proc function,
				 FunctionUse use)
{
	return superuser_arg(function->proowner) || question->anybody ||
		   (use == USE_TRIGGER_WITH_ARGUMENTS && question->open);
}

/*
 * Functions that a statement may find for another one's name, because it looks for
 * the name anew and the arguments have other types by then.
 */
static void
ask_namesakes(TrustQuestion *question, Form_pg_proc function)
{
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										 NameGetDatum(&function->proname));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc other = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);
		char *signature;

		if (other->pronamespace != function->pronamespace ||
			syncmaster_has_rights(other->proowner, question->role))
			continue;
		signature = format_procedure_qualified(other->oid);
		syncmaster_distrust(
			question,
			psprintf(
				"It may come to call function %s of role \"%s\", who lacks "
				"the rights of role \"%s\", because the statement looks "
				"for the name anew.",
				signature, GetUserNameFromId(other->proowner, false),
				GetUserNameFromId(question->role, false)),
			psprintf("ALTER FUNCTION %s OWNER TO %s", signature,
					 quote_identifier(
						 GetUserNameFromId(question->role, false))));
	}
	ReleaseSysCacheList(list);
}

static void
ask(TrustQuestion *question, Oid oid, FunctionUse use)
{
	HeapTuple tuple;
	Form_pg_proc function;
	char *owner;
	char *signature;

	/* what the library's own statements call of PostgreSQL is meant */
	if (!OidIsValid(question->relid) && oid < FirstNormalObjectId)
		return;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	function = (Form_pg_proc) GETSTRUCT(tuple);
	owner = GetUserNameFromId(function->proowner, false);
	signature = format_procedure_qualified(oid);
	if (!syncmaster_has_rights(function->proowner, question->role))
		syncmaster_distrust(
			question,
			psprintf("It calls function %s of role \"%s\", who lacks the "
					 "rights of role \"%s\".",
					 signature, owner,
					 GetUserNameFromId(question->role, false)),
			psprintf("ALTER FUNCTION %s OWNER TO %s", signature,
					 quote_identifier(
						 GetUserNameFromId(question->role, false))));
	else if (arguments_matter(question, function, use) &&
			 !is_safe(function, use, question->anybody))
		syncmaster_distrust(
			question,
			is_builtin(function)
				? psprintf("It calls function %s, which does more than to "
						   "compute a value.",
						   signature)
				: psprintf("It calls function %s of role \"%s\", whose "
						   "arguments may contain code.",
						   signature, owner),
			is_builtin(function) || superuser_arg(question->role) ||
					question->anybody || use == USE_TRIGGER_WITH_ARGUMENTS
				? NULL
				: psprintf("ALTER FUNCTION %s OWNER TO %s", signature,
						   quote_identifier(
							   GetUserNameFromId(question->role, false))));
	else if (question->anew)
		ask_namesakes(question, function);
	if (function->prokind == PROKIND_AGGREGATE && !is_builtin(function))
		ask_aggregate(question, oid);
	ReleaseSysCache(tuple);
}

/*
 * The functions that an aggregate calls.  They need not belong to its owner.
 */
static void
ask_aggregate(TrustQuestion *question, Oid oid)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(oid));
	Form_pg_aggregate aggregate;

	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	aggregate = (Form_pg_aggregate) GETSTRUCT(tuple);
	{
		const Oid functions[] = {
			aggregate->aggtransfn,	   aggregate->aggfinalfn,
			aggregate->aggcombinefn,   aggregate->aggserialfn,
			aggregate->aggdeserialfn,  aggregate->aggmtransfn,
			aggregate->aggminvtransfn, aggregate->aggmfinalfn};

		for (int i = 0; i < (int) lengthof(functions); i++)
		{
			if (OidIsValid(functions[i]))
				ask(question, functions[i], USE_CALL);
		}
	}
	ReleaseSysCache(tuple);
}

/*
 * A function of an operator class, which only a superuser can make.
 */
void
syncmaster_ask_support(TrustQuestion *question, Oid function)
{
	ask(question, function, USE_SUPPORT);
}

void
syncmaster_ask_trigger(TrustQuestion *question, Oid function, int nargs)
{
	ask(question, function,
		nargs > 0 ? USE_TRIGGER_WITH_ARGUMENTS : USE_TRIGGER);
}

/*
 * The CHECKs of a domain.
 */
static void
ask_domain(TrustQuestion *question, Oid type)
{
	Relation rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
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
	HeapTuple tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type));
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
 * The casts from and to a type, which some functions of PostgreSQL look for, such
 * as to_json().
 */
static void
ask_casts(TrustQuestion *question, Oid type)
{
	Relation rel = table_open(CastRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_cast cast = (Form_pg_cast) GETSTRUCT(tuple);

		if ((cast->castsource == type || cast->casttarget == type) &&
			OidIsValid(cast->castfunc))
			ask(question, cast->castfunc, USE_SUPPORT);
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
	HeapTuple tuple;
	Form_pg_type form;

	check_stack_depth();
	if (type < FirstNormalObjectId || list_member_oid(question->types, type))
		return;
	question->types = lappend_oid(question->types, type);
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (!syncmaster_has_rights(form->typowner, question->role))
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
		bool isnull;
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
 * An operator, and those that the planner may put in its place.  Operators of
 * PostgreSQL's lead to no others.
 */
static void
ask_operator(TrustQuestion *question, Oid oid)
{
	HeapTuple tuple;
	Form_pg_operator operator;

	if (oid < FirstNormalObjectId || list_member_oid(question->operators, oid))
		return;
	question->operators = lappend_oid(question->operators, oid);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile */
	operator=(Form_pg_operator) GETSTRUCT(tuple);
	if (OidIsValid(operator->oprcode))
		ask(question, operator->oprcode, USE_CALL);
	ask_operator(question, operator->oprcom);
	ask_operator(question, operator->oprnegate);
	if (!syncmaster_has_rights(operator->oprowner, question->role))
		syncmaster_distrust(
			question,
			psprintf("It calls operator %s of role \"%s\", who lacks the "
					 "rights of role \"%s\".",
					 format_operator_qualified(oid),
					 GetUserNameFromId(operator->oprowner, false),
					 GetUserNameFromId(question->role, false)),
			NULL);
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
	ask(context, function, USE_CALL);
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
 * What a command may do to rows; MERGE anything.
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
 * Does an UPDATE of a table, which the parser has locked, change a column that a
 * foreign key may refer to?
 */
static bool
updates_key(Oid relid, List *columns)
{
	Relation rel = relation_open(relid, NoLock);
	Bitmapset *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	bool result = false;
	ListCell *lc;

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
 * The relations of a query within an expression count as those of a statement:
 * whoever wrote it chose them.
 */
static void
ask_range_table(TrustQuestion *question, const Query *query)
{
	int number = 0;
	ListCell *lc;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);
		int events = 0;

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
	ListCell *lc;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ask_range_table(question, (Query *) node);
		return query_tree_walker((Query *) node, walk, context, 0);
	}
	switch (nodeTag(node))
	{
		/* functions of types, which the type answers for */
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
 * The same for an expression, or a list of them, as the catalogues store it.
 */
void
syncmaster_ask_text(TrustQuestion *question, Datum node_tree)
{
	syncmaster_ask_expression(question,
							  stringToNode(TextDatumGetCString(node_tree)));
}
