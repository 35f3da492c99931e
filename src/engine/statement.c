/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  One DDL statement of a migration: what it locks, as whom it runs, and
 *	  whether there is anything left for it to do.
 *
 * The parse tree tells the table that a statement changes.  run_statement.c runs
 * what is described here, and the plan of an upgrade is made of it.
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
#include "catalog/pg_inherits.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "engine/engine.h"
#include "schema/schema.h"

static Oid
find_relation(const RangeVar *name)
{
	return RangeVarGetRelid(name, NoLock, true);
}

/*
 * Find a relation that must exist.  It existed a moment ago, if the schema is
 * what it should be.
 */
static Oid
require_relation(const RangeVar *name)
{
	Oid relid = find_relation(name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", name->relname),
				 errhint("SELECT * FROM syncmaster_check() shows what is "
						 "missing. If another session has just dropped or "
						 "renamed it, run the command again.")));
	return relid;
}

/*
 * Return whether one of these statements creates an object of that name.
 */
bool
syncmaster_is_made(List *effects, const char *object)
{
	ListCell *lc;

	foreach (lc, effects)
	{
		StatementEffect *effect = lfirst(lc);

		if (!effect->skipped && strcmp(effect->object, object) == 0 &&
			!IsA(effect->stmt, AlterTableStmt) && !IsA(effect->stmt, DropStmt))
			return true;
	}
	return false;
}

/*
 * Return whether one of these statements drops the index.
 */
bool
syncmaster_is_dropped(List *effects, Oid indexid)
{
	ListCell *lc;

	foreach (lc, effects)
	{
		if (list_member_oid(((StatementEffect *) lfirst(lc))->dropped, indexid))
			return true;
	}
	return false;
}

static void
add_lock(StatementEffect *effect, Oid relid, LOCKMODE mode, const char *action)
{
	TableLock *lock = palloc0(sizeof(TableLock));

	lock->relid = relid;
	lock->mode = mode;
	lock->action = action;
	effect->locks = lappend(effect->locks, lock);
}

/*
 * A statement about a partitioned table, or an index of it, changes each
 * partition as well.
 */
static void
add_partitions(StatementEffect *effect, LOCKMODE mode)
{
	ListCell *lc;

	foreach (lc, syncmaster_partitions(effect->relid))
		add_lock(effect, lfirst_oid(lc), mode,
				 psprintf("partition of %s", effect->table));
}

/*
 * Set the table of a statement.  It must exist, or be created by an earlier
 * statement of the same plan.
 */
static void
set_table(StatementEffect *effect, const RangeVar *table, LOCKMODE mode,
		  List *earlier)
{
	effect->table = table->relname;
	effect->relid = syncmaster_is_made(earlier, table->relname)
						? find_relation(table)
						: require_relation(table);
	if (OidIsValid(effect->relid))
	{
		effect->role = syncmaster_relation_owner(effect->relid);
		add_lock(effect, effect->relid, mode, NULL);
	}
}

/*
 * A foreign key locks the table that it refers to.
 */
static void
add_referenced_table(StatementEffect *effect, const Node *node)
{
	const Constraint *constraint = (const Constraint *) node;
	Oid				  parent;

	if (!IsA(node, Constraint) || constraint->contype != CONSTR_FOREIGN)
		return;
	parent = find_relation(constraint->pktable);
	if (OidIsValid(parent))
		add_lock(effect, parent, ShareRowExclusiveLock,
				 psprintf("foreign key of %s", effect->object));
}

static void
describe_create_table(StatementEffect *effect, CreateStmt *stmt)
{
	ListCell *lc;

	effect->object_type = "table";
	effect->object = stmt->relation->relname;
	effect->action = pstrdup("create table");
	effect->needs_create = true;
	effect->skipped = stmt->if_not_exists &&
					  OidIsValid(find_relation(stmt->relation));
	foreach (lc, stmt->tableElts)
	{
		add_referenced_table(effect, lfirst(lc));
	}
}

static void
describe_create_sequence(StatementEffect *effect, CreateSeqStmt *stmt)
{
	effect->object_type = "sequence";
	effect->object = stmt->sequence->relname;
	effect->action = pstrdup("create sequence");
	effect->needs_create = true;
	effect->skipped = stmt->if_not_exists &&
					  OidIsValid(find_relation(stmt->sequence));
}

/*
 * Return whether adding this column rewrites the table.  PostgreSQL does not
 * rewrite it for a column with a constant default, or with none.
 */
static bool
new_column_rewrites(const ColumnDef *column)
{
	ListCell *lc;

	foreach (lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_GENERATED ||
			constraint->contype == CONSTR_IDENTITY ||
			(constraint->contype == CONSTR_DEFAULT &&
			 !IsA(constraint->raw_expr, A_Const)))
			return true;
	}
	return false;
}

static void
describe_alter_command(StatementEffect *effect, StringInfo action,
					   const AlterTableCmd *command)
{
	const char *separator = action->len > 0 ? ", " : "";

	switch (command->subtype)
	{
		case AT_DropColumn:
			appendStringInfo(action, "%sdrop column %s", separator,
							 command->name);
			if (OidIsValid(effect->relid))
			{
				List	 *indexes = syncmaster_column_indexes(effect->relid,
															  command->name);
				ListCell *lc;

				foreach (lc, indexes)
				{
					const char *name = get_rel_name(lfirst_oid(lc));

					/* without indexes that another session has just dropped */
					if (name != NULL)
						appendStringInfo(action, "%s%s",
										 lc == list_head(indexes)
											 ? " with index "
											 : ", ",
										 name);
				}
				effect->dropped = list_concat(effect->dropped, indexes);
			}
			break;
		case AT_AddColumn:
			appendStringInfo(action, "%sadd column %s", separator,
							 ((ColumnDef *) command->def)->colname);
			if (new_column_rewrites((ColumnDef *) command->def))
				effect->rewrites = true;
			break;
		case AT_AlterColumnType:
			appendStringInfo(action, "%schange the type of column %s",
							 separator, command->name);
			effect->rewrites = true;
			break;
		case AT_AddConstraint:
			appendStringInfo(action, "%sadd a constraint", separator);
			add_referenced_table(effect, command->def);
			break;
		default:
			appendStringInfo(action, "%salter table", separator);
			break;
	}
}

static void
describe_alter_table(StatementEffect *effect, AlterTableStmt *stmt,
					 List *earlier)
{
	LOCKMODE	   mode = AlterTableGetLockLevel(stmt->cmds);
	StringInfoData action;
	ListCell	  *lc;

	effect->object_type = "table";
	effect->object = stmt->relation->relname;
	set_table(effect, stmt->relation, mode, earlier);

	initStringInfo(&action);
	foreach (lc, stmt->cmds)
	{
		describe_alter_command(effect, &action, lfirst_node(AlterTableCmd, lc));
	}
	effect->action = action.data;

	/* child tables are changed along with it */
	if (OidIsValid(effect->relid) && stmt->relation->inh &&
		has_subclass(effect->relid))
	{
		foreach (lc, find_all_inheritors(effect->relid, NoLock, NULL))
		{
			if (lfirst_oid(lc) != effect->relid)
				add_lock(effect, lfirst_oid(lc), mode,
						 psprintf("inherits from %s", effect->object));
		}
	}
}

static void
describe_create_index(const MigrationContext *context, StatementEffect *effect,
					  IndexStmt *stmt, List *earlier)
{
	Oid present = get_relname_relid(stmt->idxname, context->namespace);

	effect->object_type = "index";
	effect->object = stmt->idxname;
	effect->action = pstrdup(stmt->unique ? "create unique index"
										  : "create index");
	effect->builds_index = true;
	effect->needs_create = true;
	set_table(effect, stmt->relation, ShareLock, earlier);
	add_partitions(effect, ShareLock);
	if (!OidIsValid(present) || syncmaster_is_dropped(earlier, present))
		return;
	effect->skipped = stmt->if_not_exists &&
					  syncmaster_is_index(present, effect->relid, stmt);
	effect->name_taken = !effect->skipped;
}

/*
 * Describe a change of a sequence, of an index's or a constraint's name, or
 * REINDEX: the relation that the statement names is locked.
 */
static void
describe_change(StatementEffect *effect, const char *object_type,
				const char *action, const RangeVar *relation, LOCKMODE mode)
{
	effect->object_type = object_type;
	effect->object = relation->relname;
	effect->action = pstrdup(action);
	effect->relid = require_relation(relation);
	effect->role = syncmaster_relation_owner(effect->relid);
	add_lock(effect, effect->relid, mode, NULL);
}

static void
describe_rename(StatementEffect *effect, RenameStmt *stmt)
{
	if (stmt->renameType == OBJECT_INDEX)
		describe_change(effect, "index", "rename index", stmt->relation,
						ShareUpdateExclusiveLock);
	else if (stmt->renameType == OBJECT_SEQUENCE)
		describe_change(effect, "sequence", "rename sequence", stmt->relation,
						AccessExclusiveLock);
	else
		describe_change(effect, "table", "rename a constraint of table",
						stmt->relation, AccessExclusiveLock);
}

static void
describe_reindex(StatementEffect *effect, ReindexStmt *stmt)
{
	Oid indexid = require_relation(stmt->relation);
	Oid table = IndexGetRelation(indexid, true);

	/* the table is locked first, as everywhere */
	if (OidIsValid(table))
		add_lock(effect, table, ShareLock, NULL);
	describe_change(effect, "index", "rebuild index", stmt->relation,
					AccessExclusiveLock);
	effect->builds_index = true;
}

/*
 * Describe a GRANT. Only a repair runs one: it gives an owner back the
 * privileges that he revoked from himself.
 */
static void
describe_grant(StatementEffect *effect, GrantStmt *stmt)
{
	describe_change(effect,
					stmt->objtype == OBJECT_SEQUENCE ? "sequence" : "table",
					"grant rights on", linitial_node(RangeVar, stmt->objects),
					NoLock);
	effect->locks = NIL;
}

/*
 * Describe ALTER EXTENSION ... DROP. The extension's owner runs it, who must
 * own the table as well.
 */
static void
describe_members(const MigrationContext *context, StatementEffect *effect,
				 AlterExtensionContentsStmt *stmt)
{
	effect->object_type = "extension";
	effect->object = stmt->extname;
	effect->action = pstrdup("take a member from extension");
	effect->role = context->caller;
}

/*
 * Describe SELECT setval(...), the only query that the engine runs.
 */
static void
describe_set_value(StatementEffect *effect)
{
	effect->object_type = "sequence";
	effect->object = "";
	effect->action = pstrdup("set the value of a sequence");
}

/*
 * Describe CREATE EXTENSION of an extension that the application needs.  It
 * will belong to the tables' owner if that role may create it, as with
 * Alembic, else to the caller.
 */
static void
describe_create_extension(const MigrationContext *context,
						  StatementEffect *effect, CreateExtensionStmt *stmt)
{
	effect->object_type = "extension";
	effect->object = stmt->extname;
	effect->action = pstrdup("create extension");
	effect->role = has_database_create(MyDatabaseId, context->owner)
					   ? context->owner
					   : context->caller;
	effect->skipped = stmt->if_not_exists &&
					  OidIsValid(get_extension_oid(stmt->extname, true));
}

/*
 * Add the locks on the tables that a table refers to: dropping the table drops
 * the triggers of its foreign keys on those.
 */
static void
add_parents(StatementEffect *effect, Oid relid)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	List	   *parents = NIL;
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	ScanKeyInit(&key[0], Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (constraint->contype == CONSTRAINT_FOREIGN &&
			constraint->confrelid != relid)
			parents = list_append_unique_oid(parents, constraint->confrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	foreach (lc, parents)
	{
		add_lock(effect, lfirst_oid(lc), AccessExclusiveLock,
				 psprintf("drop foreign key of %s", effect->object));
	}
}

/*
 * Describe dropping a table, sequence or index that exists.  The scripts drop
 * one object at a time.
 */
static void
describe_drop(StatementEffect *effect, DropStmt *stmt)
{
	RangeVar *name = makeRangeVarFromNameList(
		linitial_node(List, stmt->objects));
	Oid relid = find_relation(name);

	effect->object_type = stmt->removeType == OBJECT_INDEX		? "index"
						  : stmt->removeType == OBJECT_SEQUENCE ? "sequence"
																: "table";
	effect->object = name->relname;
	effect->action = psprintf("drop %s", effect->object_type);
	effect->skipped = stmt->missing_ok && !OidIsValid(relid);
	effect->role = GetUserId();
	if (OidIsValid(relid))
	{
		/* a table may have the index's name; the server will report it */
		effect->relid = get_rel_relkind(relid) == RELKIND_INDEX ||
								get_rel_relkind(relid) ==
									RELKIND_PARTITIONED_INDEX
							? IndexGetRelation(relid, true)
							: relid;
		if (!OidIsValid(effect->relid))
			syncmaster_raise_dropped(relid, name->relname);
		effect->table = get_rel_name(effect->relid);
		effect->role = syncmaster_relation_owner(relid);
		add_lock(effect, effect->relid, AccessExclusiveLock, NULL);
		add_partitions(effect, AccessExclusiveLock);
		if (stmt->removeType == OBJECT_TABLE)
			add_parents(effect, relid);
	}
}

static void
describe_drop_extension(const MigrationContext *context,
						StatementEffect *effect, DropStmt *stmt)
{
	const char *name = strVal(linitial(stmt->objects));
	Oid			extension = get_extension_oid(name, true);

	effect->object_type = "extension";
	effect->object = name;
	effect->action = pstrdup("drop extension");
	effect->skipped = !OidIsValid(extension);
	effect->role = InvalidOid;
	if (effect->skipped)
		return;
	if (owns_extension(extension, context->owner))
		effect->role = context->owner;
	else if (owns_extension(extension, context->caller))
		effect->role = context->caller;
}

/*
 * Mark a statement that need not run: it needs no lock and no privilege, and
 * gives no notice.
 */
void
syncmaster_skip_effect(StatementEffect *effect)
{
	effect->skipped = true;
	effect->locks = NIL;
	effect->rewrites = effect->builds_index = false;
	effect->needs_create = false;
}

/*
 * Describe a statement.  In a plan, the statements before it have not been
 * run.
 */
StatementEffect *
syncmaster_describe_statement(const MigrationContext *context,
							  const RawStmt *raw, const char *source,
							  List *earlier)
{
	StatementEffect *effect = palloc0(sizeof(StatementEffect));
	Node			*stmt = raw->stmt;
	const char		*sql = source + raw->stmt_location;

	sql = pnstrdup(sql, raw->stmt_len > 0 ? raw->stmt_len : (int) strlen(sql));
	effect->stmt = stmt;
	effect->sql = sql + strspn(sql, " \n\t");
	effect->location = raw->stmt_location + (int) (effect->sql - sql);
	effect->role = context->owner;

	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			describe_create_table(effect, (CreateStmt *) stmt);
			break;
		case T_CreateSeqStmt:
			describe_create_sequence(effect, (CreateSeqStmt *) stmt);
			break;
		case T_AlterTableStmt:
			describe_alter_table(effect, (AlterTableStmt *) stmt, earlier);
			break;
		case T_IndexStmt:
			describe_create_index(context, effect, (IndexStmt *) stmt, earlier);
			break;
		case T_AlterSeqStmt:
			describe_change(effect, "sequence", "alter sequence",
							((AlterSeqStmt *) stmt)->sequence,
							ShareRowExclusiveLock);
			break;
		case T_RenameStmt:
			describe_rename(effect, (RenameStmt *) stmt);
			break;
		case T_ReindexStmt:
			describe_reindex(effect, (ReindexStmt *) stmt);
			break;
		case T_GrantStmt:
			describe_grant(effect, (GrantStmt *) stmt);
			break;
		case T_AlterExtensionContentsStmt:
			describe_members(context, effect,
							 (AlterExtensionContentsStmt *) stmt);
			break;
		case T_SelectStmt:
			describe_set_value(effect);
			break;
		case T_CreateExtensionStmt:
			describe_create_extension(context, effect,
									  (CreateExtensionStmt *) stmt);
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType == OBJECT_EXTENSION)
				describe_drop_extension(context, effect, (DropStmt *) stmt);
			else
				describe_drop(effect, (DropStmt *) stmt);
			break;
		default:
			elog(ERROR, "unexpected statement in a migration: %s", effect->sql);
	}

	if (effect->skipped)
		syncmaster_skip_effect(effect);
	return effect;
}
