/*-------------------------------------------------------------------------
 *
 * trust_statement.c
 *	  The relations of a statement, for the rule of trust; also of one that
 *	  a person may run, which is only looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * The relation that a statement names; InvalidOid if it is missing.  What is
 * not to run is looked up whatever rights the current user has.
 */
static Oid
find_named(const TrustQuestion *question, const RangeVar *name, LOCKMODE mode)
{
	if (question->locks)
		return RangeVarGetRelid(name, mode, true);
	if (name->schemaname == NULL)
		return RelnameGetRelid(name->relname);
	return get_relname_relid(name->relname,
							 get_namespace_oid(name->schemaname, true));
}

/*
 * Ask about a relation that a command names, locked as the command will lock
 * it, if it is to run; for an index, about its table.  If the relation is
 * missing, the command itself will report it.
 */
static void
ask_named(TrustQuestion *question, const RangeVar *name, LOCKMODE mode)
{
	Oid relid = find_named(question, name, mode);

	if (!OidIsValid(relid))
		return;
	if (get_rel_relkind(relid) == RELKIND_INDEX ||
		get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	if (!OidIsValid(relid))
		return; /* dropped meanwhile */
	question->ask_relation(question, relid, 0, name->inh);
}

/*
 * A foreign key is checked by a query on both tables, which runs as whoever
 * adds it.
 */
static void
ask_constraints(TrustQuestion *question, List *nodes)
{
	ListCell *lc;

	foreach (lc, nodes)
	{
		Node *node = lfirst(lc);

		if (IsA(node, ColumnDef))
			ask_constraints(question, ((ColumnDef *) node)->constraints);
		else if (IsA(node, Constraint) &&
				 ((Constraint *) node)->contype == CONSTR_FOREIGN &&
				 ((Constraint *) node)->pktable != NULL) /* ALTER CONSTRAINT */
			ask_named(question, ((Constraint *) node)->pktable,
					  ShareRowExclusiveLock);
	}
}

/*
 * The tables at the other end of a table's foreign keys, or of the one of that
 * name, in one direction.
 */
static void
ask_foreign_keys(TrustQuestion *question, Oid relid, AttrNumber column,
				 const char *name)
{
	Relation	rel;
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return;
	rel = table_open(ConstraintRelationId, AccessShareLock);

	/* by confrelid there is no index */
	ScanKeyInit(&key[0], column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (constraint->contype != CONSTRAINT_FOREIGN ||
			(name != NULL && strcmp(NameStr(constraint->conname), name) != 0))
			continue;
		question->ask_relation(question, constraint->conrelid, 0, true);
		question->ask_relation(question, constraint->confrelid, 0, true);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Ask about the tables that a part of ALTER TABLE checks foreign keys with:
 * by queries that run as whoever gives the command.
 */
static void
ask_checked_keys(TrustQuestion *question, Oid relid,
				 const AlterTableCmd *command)
{
	switch (command->subtype)
	{
		/* foreign keys of a column are made anew, and checked, with its type */
		case AT_AlterColumnType:
			ask_foreign_keys(question, relid, Anum_pg_constraint_conrelid,
							 NULL);
			ask_foreign_keys(question, relid, Anum_pg_constraint_confrelid,
							 NULL);
			break;
		case AT_AlterConstraint: /* may enforce it */
		case AT_ValidateConstraint:
			ask_foreign_keys(question, relid, Anum_pg_constraint_conrelid,
							 command->name);
			break;

		/* no row may refer to those that leave the table */
		case AT_DetachPartition:
			ask_foreign_keys(question, relid, Anum_pg_constraint_confrelid,
							 NULL);
			break;
		default:
			break;
	}
}

static void
ask_alter_table(TrustQuestion *question, const AlterTableStmt *stmt)
{
	bool	  changes_type = false;
	bool	  asks = false;
	Oid		  relid;
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		/* OWNER TO calls nothing, and takes a table from another role */
		if (command->subtype != AT_ChangeOwner)
			asks = true;
		if (command->subtype == AT_AlterColumnType)
			changes_type = true;
		if (command->def != NULL)
			ask_constraints(question, list_make1(command->def));
	}
	if (!asks)
		return;

	/* indexes and constraints are made anew with a column's type, from text */
	question->anew = changes_type;
	ask_named(question, stmt->relation, AlterTableGetLockLevel(stmt->cmds));
	question->anew = false;

	relid = find_named(question, stmt->relation, NoLock);
	foreach (lc, stmt->cmds)
		ask_checked_keys(question, relid, lfirst_node(AlterTableCmd, lc));
}

static void
ask_create_table(TrustQuestion *question, const CreateStmt *stmt)
{
	ListCell *lc;

	ask_constraints(question, stmt->tableElts);
	ask_constraints(question, stmt->constraints);
	foreach (lc, stmt->inhRelations)
		ask_named(question, lfirst_node(RangeVar, lc),
				  ShareUpdateExclusiveLock);
}

static void
ask_command(TrustQuestion *question, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			ask_alter_table(question, (AlterTableStmt *) stmt);
			break;
		case T_CreateStmt:
			ask_create_table(question, (CreateStmt *) stmt);
			break;
		case T_IndexStmt:
			ask_named(question, ((IndexStmt *) stmt)->relation, ShareLock);
			break;
		case T_ReindexStmt:
			ask_named(question, ((ReindexStmt *) stmt)->relation, NoLock);
			break;

		/*
		 * These call nothing that belongs to a relation, and are what takes an
		 * object from another role.  Event triggers are a superuser's.  DO is
		 * the one of pass_on_lock_timeout(), whose text is constant.
		 */
		case T_AlterExtensionContentsStmt:
		case T_AlterExtensionStmt:
		case T_AlterOwnerStmt:
		case T_AlterSeqStmt:
		case T_CommentStmt:
		case T_ConstraintsSetStmt:
		case T_CreateExtensionStmt:
		case T_CreateSchemaStmt:
		case T_CreateSeqStmt:
		case T_DoStmt:
		case T_DropStmt:
		case T_GrantStmt:
		case T_RenameStmt:
			break;
		default:
			elog(ERROR, "unexpected kind of statement: %d",
				 (int) nodeTag(stmt));
	}
}

/*
 * Refuse a statement that would run code which the role may not trust.  What
 * else may be in its way is returned as a list of findings.
 */
List *
syncmaster_require_trusted_query(Query *query, Oid role)
{
	TrustQuestion question;

	syncmaster_begin_question(&question, role);
	question.locks = true;
	if (query->commandType == CMD_UTILITY)
		ask_command(&question, query->utilityStmt);
	else
		syncmaster_ask_expression(&question, (Node *) query);
	syncmaster_raise_error(question.findings);
	return question.findings;
}

/*
 * Return whether a part of ALTER TABLE evaluates nothing and reads no rows.
 */
static bool
is_declaration(const AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_ChangeOwner:
		case AT_ColumnDefault:
		case AT_DisableRowSecurity:
		case AT_DisableTrig:
		case AT_DropColumn:
		case AT_DropConstraint:
		case AT_DropExpression:
		case AT_DropIdentity:
		case AT_DropInherit:
		case AT_DropNotNull:
		case AT_NoForceRowSecurity:
		case AT_ReplicaIdentity:
			return true;
		default:
			return false;
	}
}

static bool
only_declares(const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		if (!is_declaration(lfirst_node(AlterTableCmd, lc)))
			return false;
	}
	return true;
}

/*
 * What a table can call runs with the rights of its new owner from then on, at
 * the latest when autovacuum looks at an index.  Whose it was does not show any
 * more.
 */
static void
ask_new_owner(TrustQuestion *question, const AlterTableStmt *stmt)
{
	ListCell *lc;
	ListCell *found;

	if (!alters_table(stmt))
		return; /* a sequence calls nothing */
	foreach (lc, stmt->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		Oid relid = find_named(question, stmt->relation, NoLock);

		if (command->subtype != AT_ChangeOwner || !OidIsValid(relid))
			continue;
		foreach (found, syncmaster_distrusted(
							relid, get_rolespec_oid(command->newowner, false),
							EVENT_ANY))
		{
			Finding *finding = lfirst(found);

			finding->of_new_owner = true;
			if (finding->severity == SEVERITY_ERROR && !finding->of_owner)
				question->findings = lappend(question->findings, finding);
		}
	}
}

static void
note_lost_column(TrustQuestion *question, const AlterTableStmt *stmt)
{
	const AlterTableCmd *first = linitial_node(AlterTableCmd, stmt->cmds);

	if (first->subtype != AT_DropColumn)
		return;
	question->losing = find_named(question, stmt->relation, NoLock);
	question->lost = first->name;
}

/* The relations of a query that has not been analyzed. */
typedef struct RawQuery
{
	TrustQuestion *question;
	int			   events; /* of the rows of all of them */
} RawQuery;

static bool
walk_raw(Node *node, void *context)
{
	RawQuery *query = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		Oid relid = find_named(query->question, (RangeVar *) node, NoLock);

		if (OidIsValid(relid))
			query->question->ask_relation(query->question, relid, query->events,
										  ((RangeVar *) node)->inh);
		return false;
	}
	return raw_expression_tree_walker(node, walk_raw, context);
}

/*
 * Kinds of statements that are not listed here are not trusted.
 */
static void
ask_by_hand(TrustQuestion *question, Node *stmt)
{
	RawQuery query = {question, 0};

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			ask_new_owner(question, (AlterTableStmt *) stmt);
			if (only_declares((AlterTableStmt *) stmt))
				break;
			note_lost_column(question, (AlterTableStmt *) stmt);
			ask_alter_table(question, (AlterTableStmt *) stmt);
			question->losing = InvalidOid;
			break;
		case T_CreateStmt:
			ask_create_table(question, (CreateStmt *) stmt);
			break;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
			query.events = EVENT_ANY;
			(void) walk_raw(stmt, &query);
			break;
		case T_SelectStmt:
			(void) walk_raw(stmt, &query);
			break;

		/* PostgreSQL itself builds an index as the owner of its table */
		case T_IndexStmt:
		case T_ReindexStmt:

		/* these evaluate nothing, and read no rows */
		case T_AlterDatabaseSetStmt:
		case T_AlterExtensionContentsStmt:
		case T_AlterExtensionStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOwnerStmt:
		case T_AlterRoleSetStmt:
		case T_AlterSeqStmt:
		case T_CommentStmt:
		case T_CreateExtensionStmt:
		case T_CreateSeqStmt:
		case T_DropStmt:
		case T_GrantRoleStmt:
		case T_GrantStmt:
		case T_RenameStmt:
			break;
		default:
			question->object_type = "statement";
			question->object_name = CreateCommandName(stmt);
			syncmaster_distrust(question, "What it may run is not known.",
								NULL);
	}
}

/*
 * What statements would run with the rights of a role that ran them by hand,
 * and could not trust it, as a list of findings.  Whose the tables are does not
 * matter: a superuser may work on those of others, as long as nothing but
 * PostgreSQL's own code runs.  No lock is taken, so what somebody adds
 * afterwards is not known.
 */
static List *
code_by_hand(const char *sql, Oid role)
{
	TrustQuestion question;
	ListCell	 *lc;

	syncmaster_begin_question(&question, role);
	question.any_owner = true;
	foreach (lc, pg_parse_query(sql))
		ask_by_hand(&question, lfirst_node(RawStmt, lc)->stmt);
	return question.findings;
}

/*
 * What keeps SQL of a report from the current user: it would run another role's
 * code with the rights of whoever runs it, and superusers run what they are told
 * repairs a table.  NULL if it may be shown.
 */
static const Finding *
withholding(const char *sql)
{
	List *distrusted = sql == NULL ? NIL : code_by_hand(sql, GetUserId());

	return distrusted == NIL ? NULL : linitial(distrusted);
}

bool
syncmaster_is_withheld(const char *sql)
{
	return withholding(sql) != NULL;
}

/*
 * Why the current user gets no SQL that a report has; NULL if it may be shown.
 */
const char *
syncmaster_withheld(const char *sql)
{
	const Finding *code = withholding(sql);

	if (code == NULL)
		return NULL;
	return psprintf(
		"role \"%s\" gets no SQL for it, as %s: drop or change that first%s",
		GetUserNameFromId(GetUserId(), false), code->message,
		code->of_new_owner ? "" : ", or ask as the owner of the tables");
}
