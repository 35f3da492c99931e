/*-------------------------------------------------------------------------
 *
 * trust_function.c
 *	  The rule of trust for functions.
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

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * Functions of pg_catalog that are not VOLATILE and still read tables, or
 * call what an argument names: input functions call the CHECKs of a domain.
 * The validators of languages, which look into a function's body, are told by
 * their names.
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

/*
 * Triggers of PostgreSQL's contrib modules whose arguments are names.  That of
 * lo_manage() is one, too, but of a column whose numbers say what to delete.
 */
static const char *const naming[] = {"moddatetime", "insert_username",
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
	/* the statement itself: no statement of the library does this */
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
 * Return whether an object's owner has all rights of the role already, so
 * that running the owner's code as the role gives the owner nothing new.
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
 * Return whether this is a C function of an extension that computes a value,
 * such as an operator's function of pg_trgm.  One that returns a set may be
 * given the query for it, as crosstab() of tablefunc is.
 */
static bool
is_of_extension(Form_pg_proc function)
{
	return function->prolang == ClanguageId && !function->proretset &&
		   function->provolatile != PROVOLATILE_VOLATILE &&
		   OidIsValid(getExtensionOfObject(ProcedureRelationId, function->oid));
}

/*
 * Return whether a superuser's function may execute one of its arguments as
 * code.  A function marked IMMUTABLE is assumed not to.
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
 * Return whether a built-in function only computes a value.
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
 * Return whether the trigger function takes only names, such as those of
 * columns, as arguments.
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
 * Return whether a function of a trusted owner is safe to call in this way.
 */
static bool
is_safe(Form_pg_proc function, FunctionUse use, bool anybody)
{
	switch (use)
	{
		case USE_CALL:
			if (is_builtin(function))
				return only_computes(function) &&
					   (!anybody ||
						strcmp(NameStr(function->proname), "nextval") != 0);
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
 * Return whether the arguments of a function matter: for a superuser's
 * function, and for others wherever another role may have created the trigger.
 */
static bool
arguments_matter(const TrustQuestion *question, Form_pg_proc function,
				 FunctionUse use)
{
	return superuser_arg(function->proowner) || question->anybody ||
		   (use == USE_TRIGGER_WITH_ARGUMENTS && question->open);
}

/*
 * The SQL that gives the role a function; NULL if everybody who may call the
 * function would have a superuser's rights.
 */
static const char *
way_to_take(const TrustQuestion *question, Form_pg_proc function,
			const char *signature)
{
	if (function->prosecdef && superuser_arg(question->role))
		return NULL;
	return psprintf("ALTER FUNCTION %s OWNER TO %s", signature,
					quote_identifier(GetUserNameFromId(question->role, false)));
}

/*
 * Functions that a statement may find for another one's name, because it
 * looks for the name anew and the arguments have other types by then.
 */
static void
ask_namesakes(TrustQuestion *question, Form_pg_proc function)
{
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										 NameGetDatum(&function->proname));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc other = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);
		char		*signature;

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
			way_to_take(question, other, signature));
	}
	ReleaseSysCacheList(list);
}

static void
ask(TrustQuestion *question, Oid oid, FunctionUse use)
{
	HeapTuple	 tuple;
	Form_pg_proc function;
	char		*owner;
	char		*signature;

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
			way_to_take(question, function, signature));
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
				: way_to_take(question, function, signature));
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
	HeapTuple		  tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(oid));
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
 * A function that an expression calls.
 */
void
syncmaster_ask_call(TrustQuestion *question, Oid function)
{
	ask(question, function, USE_CALL);
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
