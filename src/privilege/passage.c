/*-------------------------------------------------------------------------
 *
 * passage.c
 *	  Other relations through which SyncMaster's tables are written.
 *
 * A role may write a table without a privilege on it: rows of a table that
 * inherits from it count as its own, an UPDATE of a table that it inherits
 * from changes its rows, an UPDATE of a table that it refers to may be copied
 * to it, and views and rules write with the rights of their owner.  Triggers
 * of child tables run like those of the table.
 *
 * Only catalogues are read.  What a trigger or a function writes is not known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

#define CHILDREN_QUERY "SELECT inhrelid FROM pg_inherits WHERE inhparent = $1"

#define PARENTS_QUERY \
	"SELECT inhparent, c.relkind = 'p' " \
	"FROM pg_inherits JOIN pg_class c ON c.oid = inhparent " \
	"WHERE inhrelid = $1"

/* Columns that an UPDATE copies from, by a foreign key, to a column. */
#define COPIED_QUERY \
	"SELECT c.confrelid, theirs.attname FROM pg_constraint c " \
	"CROSS JOIN LATERAL unnest(c.conkey, c.confkey) k (own, their) " \
	"JOIN pg_attribute own ON own.attrelid = c.conrelid " \
	"    AND own.attnum = k.own " \
	"JOIN pg_attribute theirs ON theirs.attrelid = c.confrelid " \
	"    AND theirs.attnum = k.their " \
	"WHERE c.conrelid = $1 AND own.attname = $2 " \
	"AND c.contype = 'f' AND c.confupdtype = 'c' " \
	"AND (to_jsonb(c) ->> 'conenforced') IS DISTINCT FROM 'false' " \
	"ORDER BY 1, 2"

/*
 * The rules, also of views, that mention a relation.  Who writes a view that
 * has security_invoker set needs the rights on the table as well, except by
 * way of a rule.
 */
#define WRITERS_QUERY \
	"SELECT r.ev_class, r.ev_type, r.ev_action, c.relowner " \
	"FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class " \
	"WHERE r.oid IN (SELECT objid FROM pg_depend " \
	"    WHERE classid = 'pg_rewrite'::regclass " \
	"    AND refclassid = 'pg_class'::regclass AND refobjid = $1) " \
	"AND r.ev_enabled <> 'D' AND NOT (r.ev_type = '1' AND EXISTS " \
	"    (SELECT FROM pg_options_to_table(c.reloptions) " \
	"    WHERE CASE option_name WHEN 'security_invoker' " \
	"        THEN option_value::bool END)) " \
	"ORDER BY 1, r.rulename"

/* Privileges that count on a relation whose rows are the table's. */
#define SAME_ROWS (ACL_INSERT | ACL_UPDATE | RUNS_CODE)

/* State of a search. */
typedef struct Search
{
	const char *table; /* SyncMaster's */
	int			unpickled_by;
	List	   *objects; /* relations that were found */
	List	   *seen;	 /* their OIDs */

	/*
	 * for each event, OIDs of the relations with a rule for it that was
	 * followed
	 */
	List *ruled[CMD_DELETE + 1];
} Search;

#define ANY_COLUMN InvalidAttrNumber

/*
 * A relation to look for writers of: of the column with the pickle or, for a
 * relation whose rule writes a pickle, of any column.
 */
typedef struct Target
{
	Oid		   relid;
	AttrNumber attnum; /* number of the column, or ANY_COLUMN */
	AclMode	   by;	   /* privileges that write it */
	CmdType	   event;  /* of the rule */
} Target;

static void search_from(Search *search, Oid relid, const char *pickle,
						bool rows);
static void search_writers(Search *search, const Target *target);

static bool
is_first_visit(Search *search, Oid relid)
{
	if (list_member_oid(search->seen, relid))
		return false;
	search->seen = lappend_oid(search->seen, relid);
	return true;
}

/*
 * Add a relation through which these privileges write the table; NULL if it
 * was dropped meanwhile.
 */
static GrantableObject *
add_passage(Search *search, Oid relid, const char *pickle, AclMode privileges)
{
	char			 kind = get_rel_relkind(relid);
	GrantableObject *object;

	if (kind == '\0')
		return NULL; /* dropped meanwhile */
	object = syncmaster_relation_object(kind == RELKIND_VIEW ? "view" : "table",
										"TABLE", relid);
	object->name = quote_qualified_identifier(
		get_namespace_name(get_rel_namespace(relid)), object->name);
	memset(object->needed, 0, sizeof(object->needed));
	object->pickle = pickle;
	object->unpickled_by = search->unpickled_by;
	object->leads_to = search->table;
	object->leads_by = search->unpickled_by != 0 ? privileges
												 : privileges & RUNS_CODE;
	object->is_table = (privileges & ACL_TRIGGER) != 0;
	search->objects = lappend(search->objects, object);
	syncmaster_add_columns(&search->objects, object, relid);

	return object;
}

/*
 * Add a table, whose owner may change it in any way, and search from there.
 */
static void
add_table(Search *search, Oid relid, const char *pickle, AclMode privileges,
		  bool rows)
{
	GrantableObject *object;

	if (!is_first_visit(search, relid))
		return;
	object = add_passage(search, relid, pickle, privileges);
	if (object == NULL)
		return;
	object->owner_leads = true;
	search_from(search, relid, pickle, rows);
}

/*
 * Search the tables that the relation inherits from.  A partitioned parent has
 * its rows in the relation; through another parent its rows can be changed, in
 * the columns that the parent has.
 */
static void
search_parents(Search *search, Oid relid, const char *pickle)
{
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(PARENTS_QUERY, relid))
	{
		char **row = lfirst(lc);
		Oid	   parent = atooid(row[0]);

		if (row[1][0] == 't')
			add_table(search, parent, pickle, SAME_ROWS, false);
		else if (pickle != NULL &&
				 get_attnum(parent, pickle) != InvalidAttrNumber)
			add_table(search, parent, pickle, ACL_UPDATE, false);
	}
}

/*
 * Return which of these privileges on the target the owner of a view or a rule
 * has.
 */
static AclMode
held_by_owner(const Target *target, Oid owner, AclMode privileges)
{
	AclMode held = 0;

	for (AclMode privilege = 1; privilege <= privileges; privilege <<= 1)
	{
		if ((privileges & privilege) != 0 &&
			(pg_class_aclcheck(target->relid, owner, privilege) ==
				 ACLCHECK_OK ||
			 (target->attnum == ANY_COLUMN
				  ? pg_attribute_aclcheck_all(target->relid, owner, privilege,
											  ACLMASK_ANY)
				  : pg_attribute_aclcheck(target->relid, target->attnum, owner,
										  privilege)) == ACLCHECK_OK))
			held |= privilege;
	}
	return held;
}

static AclMode
privilege_for(CmdType command)
{
	return command == CMD_INSERT   ? ACL_INSERT
		   : command == CMD_UPDATE ? ACL_UPDATE
								   : ACL_DELETE;
}

/*
 * Add a relation with a rule that writes the target, whatever column this
 * command writes, and search for other relations that cause the command.
 */
static void
add_ruled(Search *search, Oid relid, CmdType event)
{
	Target target = {.relid = relid,
					 .attnum = ANY_COLUMN,
					 .by = privilege_for(event),
					 .event = event};

	if (list_member_oid(search->ruled[event], relid))
		return;
	search->ruled[event] = lappend_oid(search->ruled[event], relid);
	if (add_passage(search, relid, NULL, target.by) != NULL)
		search_writers(search, &target);
}

/*
 * Search a view of the target through which the target can be written.
 */
static void
search_view(Search *search, Oid view, const Query *query, Oid owner,
			const Target *target)
{
	const RangeTblRef *from;
	AclMode			   held;
	ListCell		  *lc;

	if (view_query_is_auto_updatable(unconstify(Query *, query), false) != NULL)
		return;
	from = linitial_node(RangeTblRef, query->jointree->fromlist);
	if (rt_fetch(from->rtindex, query->rtable)->relid != target->relid)
		return;
	held = held_by_owner(target, owner, target->by);
	if (held == 0)
		return;
	if (target->attnum == ANY_COLUMN)
	{
		add_ruled(search, view, target->event);
		return;
	}
	foreach (lc, query->targetList)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, lc);
		const Var		  *var = (const Var *) entry->expr;
		char			  *column;

		if (entry->resjunk || !IsA(var, Var) ||
			(int) var->varno != from->rtindex ||
			var->varattno != target->attnum)
			continue;
		column = get_attname(view, entry->resno, true);
		if (column == NULL || !is_first_visit(search, view))
			continue;
		add_passage(search, view, column, held);
		search_from(search, view, column, false);
	}
}

static bool
has_column(List *targets, AttrNumber attnum)
{
	ListCell *lc;

	if (attnum == ANY_COLUMN)
		return true;
	foreach (lc, targets)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (!entry->resjunk && entry->resno == attnum)
			return true;
	}
	return false;
}

/*
 * Return the privileges with which a query of a rule, or one in its WITH,
 * writes the target.
 */
static AclMode
written_by(const Query *query, const Target *target)
{
	AclMode	  written = 0;
	ListCell *lc;

	foreach (lc, query->cteList)
		written |= written_by(
			(const Query *) lfirst_node(CommonTableExpr, lc)->ctequery, target);
	foreach (lc, merge_queries(query))
		written |= written_by(lfirst_node(Query, lc), target);
	if ((query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_DELETE) ||
		rt_fetch(query->resultRelation, query->rtable)->relid != target->relid)
		return written;
	if (has_column(query->targetList, target->attnum))
		written |= privilege_for(query->commandType);
	if (query->onConflict != NULL &&
		has_column(query->onConflict->onConflictSet, target->attnum))
		written |= ACL_UPDATE;
	return written & target->by;
}

/*
 * Search a relation with a rule that writes the target.
 */
static void
search_rule(Search *search, Oid ruled, CmdType event, List *actions, Oid owner,
			const Target *target)
{
	ListCell *lc;

	foreach (lc, actions)
	{
		AclMode needed = written_by(lfirst_node(Query, lc), target);

		if (needed != 0 && held_by_owner(target, owner, needed) != 0)
			add_ruled(search, ruled, event);
	}
}

/*
 * Search the views and rules that write the target.
 */
static void
search_writers(Search *search, const Target *target)
{
	ListCell *lc;

	check_stack_depth();
	foreach (lc, syncmaster_query_oid(WRITERS_QUERY, target->relid))
	{
		char  **row = lfirst(lc);
		CmdType event = (CmdType) (row[1][0] - '0');
		List   *actions = stringToNode(row[2]);
		Oid		ruled = atooid(row[0]);
		Oid		owner = atooid(row[3]);

		if (event == CMD_SELECT)
			search_view(search, ruled, linitial_node(Query, actions), owner,
						target);
		else
			search_rule(search, ruled, event, actions, owner, target);
	}
}

/*
 * Search the tables that the column refers to with ON UPDATE CASCADE.
 */
static void
search_copied(Search *search, Oid relid, const char *pickle)
{
	Oid		  types[] = {OIDOID, TEXTOID};
	Datum	  values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(pickle)};
	ListCell *lc;

	foreach (lc, syncmaster_query(COPIED_QUERY, 2, types, values))
	{
		char **row = lfirst(lc);

		add_table(search, atooid(row[0]), row[1], ACL_UPDATE, false);
	}
}

static void
search_pickle(Search *search, Oid relid, const char *pickle)
{
	Target target = {.relid = relid,
					 .attnum = get_attnum(relid, pickle),
					 .by = ACL_INSERT | ACL_UPDATE};

	if (target.attnum != InvalidAttrNumber)
		search_writers(search, &target);
}

/*
 * Search from a relation; with "rows", rows of child tables count as its own.
 */
static void
search_from(Search *search, Oid relid, const char *pickle, bool rows)
{
	ListCell *lc;

	check_stack_depth();
	if (rows)
	{
		foreach (lc, syncmaster_query_oid(CHILDREN_QUERY, relid))
			add_table(search, atooid(((char **) lfirst(lc))[0]), pickle,
					  SAME_ROWS, true);
	}
	search_parents(search, relid, pickle);
	if (pickle == NULL)
		return;
	search_copied(search, relid, pickle);
	search_pickle(search, relid, pickle);
}

/*
 * All relations through which the tables are written, as a list of
 * GrantableObject.
 */
List *
syncmaster_passages(Oid namespace)
{
	List *objects = NIL;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid	   relid = syncmaster_relation_oid(relation, namespace);
		Search search = {.table = relation->name,
						 .unpickled_by = relation->unpickled_by};

		if (relation->kind != RELKIND_RELATION || !OidIsValid(relid))
			continue;
		search.seen = list_make1_oid(relid);
		search_from(&search, relid, relation->pickle, true);
		objects = list_concat(objects, search.objects);
	}
	return objects;
}
