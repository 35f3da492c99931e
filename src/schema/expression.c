/*-------------------------------------------------------------------------
 *
 * expression.c
 *	  Expressions that the catalogue holds for columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_namespace.h"
#include "nodes/primnodes.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/base.h"
#include "schema/schema.h"

/*
 * What the catalogue holds as a column's default or generated expression.
 */
Node *
syncmaster_stored_expression(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == attnum)
			return stringToNode(constr->defval[i].adbin);
	}
	return NULL;
}

char *
syncmaster_expression_text(Relation rel, Node *expression)
{
	int	  save_nestlevel = syncmaster_enter_safe_settings();
	char *text =
		deparse_expression(expression,
						   deparse_context_for(RelationGetRelationName(rel),
											   RelationGetRelid(rel)),
						   false, false);

	syncmaster_leave_settings(save_nestlevel);
	return text;
}

/*
 * Return whether an expression calls this function of pg_catalog.
 */
bool
syncmaster_is_call_of(Node *expression, const char *function)
{
	FuncExpr *call = (FuncExpr *) expression;
	char	 *name;

	if (expression == NULL || !IsA(expression, FuncExpr) ||
		get_func_namespace(call->funcid) != PG_CATALOG_NAMESPACE)
		return false;
	name = get_func_name(call->funcid);
	return name != NULL && strcmp(name, function) == 0;
}
