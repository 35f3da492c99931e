/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  One DDL statement of a migration: what it locks, as whom it runs, and
 *	  whether there is anything left for it to do.
 *
 * The parse tree tells the table that a statement changes.  Its lock is taken
 * before, with a bounded wait, and the statement runs as that table's owner.
 * The plan of an upgrade is made of the same descriptions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
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
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "dependency.h"
#include "execute.h"
#include "extension.h"
#include "guard.h"
#include "lock.h"
#include "problem.h"
#include "progress.h"
#include "statement.h"

static Oid
find_relation(const RangeVar *name)
{
	return RangeVarGetRelid(name, NoLock, true);
}

/*
 * Does one of these statements make an object of that name?
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
 * Is an index gone by the time these statements have run?
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
	TableLock *lock = palloc(sizeof(TableLock));

	lock->relid = relid;
	lock->mode = mode;
	lock->action = action;
	effect->locks = lappend(effect->locks, lock);
}

/*
 * The table that a statement works on.  It must be there, or be made by an
 * earlier statement of the same plan.
 */
static void
set_table(StatementEffect *effect, const RangeVar *table, LOCKMODE mode,
		  List *earlier)
{
	effect->table = table->relname;
	effect->relid = RangeVarGetRelid(table, NoLock,
									 syncmaster_is_made(earlier,
														table->relname));
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
	Oid parent;

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
 * Does adding this column write every row anew?  The server adds a column
 * with a constant default, or none, without doing so.
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
				List *indexes = syncmaster_column_indexes(effect->relid,
														  command->name);
				ListCell *lc;

				foreach (lc, indexes)
				{
					appendStringInfo(action, "%s%s",
									 lc == list_head(indexes) ? " with index "
															  : ", ",
									 get_rel_name(lfirst_oid(lc)));
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
	LOCKMODE mode = AlterTableGetLockLevel(stmt->cmds);
	StringInfoData action;
	ListCell *lc;

	effect->object_type = "table";
	effect->object = stmt->relation->relname;
	set_table(effect, stmt->relation, mode, earlier);

	initStringInfo(&action);
	foreach (lc, stmt->cmds)
	{
		describe_alter_command(effect, &action, lfirst_node(AlterTableCmd, lc));
	}
	effect->action = action.data;

	/* what inherits from the table is changed along with it */
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
	effect->skipped = stmt->if_not_exists && OidIsValid(present) &&
					  !syncmaster_is_dropped(earlier, present);
}

/*
 * A change of a sequence, or of an index's or a constraint's name, or an index
 * built anew: what is locked is the relation that the statement names.
 */
static void
describe_change(StatementEffect *effect, const char *object_type,
				const char *action, const RangeVar *relation, LOCKMODE mode)
{
	effect->object_type = object_type;
	effect->object = relation->relname;
	effect->action = pstrdup(action);
	effect->relid = RangeVarGetRelid(relation, NoLock, false);
	effect->role = syncmaster_relation_owner(effect->relid);
	add_lock(effect, effect->relid, mode, NULL);
}

static void
describe_rename(StatementEffect *effect, RenameStmt *stmt)
{
	if (stmt->renameType == OBJECT_INDEX)
		describe_change(effect, "index", "rename index", stmt->relation,
						ShareUpdateExclusiveLock);
	else
		describe_change(effect, "table", "rename a constraint of table",
						stmt->relation, AccessExclusiveLock);
}

static void
describe_reindex(StatementEffect *effect, ReindexStmt *stmt)
{
	Oid indexid = RangeVarGetRelid(stmt->relation, NoLock, false);

	/* the table's lock comes first, as everywhere */
	add_lock(effect, IndexGetRelation(indexid, false), ShareLock, NULL);
	describe_change(effect, "index", "rebuild index", stmt->relation,
					AccessExclusiveLock);
	effect->builds_index = true;
}

/*
 * The only queries that the engine runs set a sequence's value.
 */
static void
describe_set_value(StatementEffect *effect)
{
	effect->object_type = "sequence";
	effect->object = "";
	effect->action = pstrdup("set the value of a sequence");
}

/*
 * An extension that the application needs.  It goes to the tables' owner if
 * that role may have it, as Alembic would do it, else to the caller.
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
 * Drop a table, sequence or index, if it is there.  The scripts drop one
 * object at a time.
 */
/*
 * Dropping a table drops the triggers of its foreign keys on the tables that
 * these refer to, and locks them.
 */
static void
add_parents(StatementEffect *effect, Oid relid)
{
	Relation rel = table_open(ConstraintRelationId, AccessShareLock);
	List *parents = NIL;
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple tuple;
	ListCell *lc;

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
		/* what has an index's name may be a table; the server will say so */
		effect->relid = get_rel_relkind(relid) == RELKIND_INDEX
							? IndexGetRelation(relid, false)
							: relid;
		effect->table = get_rel_name(effect->relid);
		effect->role = syncmaster_relation_owner(relid);
		add_lock(effect, effect->relid, AccessExclusiveLock, NULL);
		if (stmt->removeType == OBJECT_TABLE)
			add_parents(effect, relid);
	}
}

static void
describe_drop_extension(const MigrationContext *context,
						StatementEffect *effect, DropStmt *stmt)
{
	const char *name = strVal(linitial(stmt->objects));
	Oid extension = get_extension_oid(name, true);

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
 * Tell what a statement will do.  In a plan, it comes after statements that
 * will not have run yet.
 */
StatementEffect *
syncmaster_describe_statement(const MigrationContext *context,
							  const RawStmt *raw, const char *source,
							  List *earlier)
{
	StatementEffect *effect = palloc0(sizeof(StatementEffect));
	Node *stmt = raw->stmt;
	const char *sql = source + raw->stmt_location;

	sql = pnstrdup(sql, raw->stmt_len > 0 ? raw->stmt_len : (int) strlen(sql));
	effect->stmt = stmt;
	effect->sql = sql + strspn(sql, " \n\t");
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

	/* what is there already needs no lock, no right and gives no notice */
	if (effect->skipped)
	{
		effect->locks = NIL;
		effect->rewrites = effect->builds_index = false;
		effect->needs_create = false;
	}
	return effect;
}

/*
 * Owners need CREATE on the schema to add a table or an index to it.
 */
static void
schema_create_problem(List **problems, const MigrationContext *context,
					  Oid role)
{
	if (!has_schema_create(context->namespace, role))
		syncmaster_add_problem(
			problems, ERRCODE_INSUFFICIENT_PRIVILEGE, "rights",
			problem_message("role \"%s\" lacks CREATE on schema \"%s\"",
							GetUserNameFromId(role, false), context->schema),
			psprintf("GRANT CREATE ON SCHEMA %s TO %s, and run the command "
					 "again.",
					 quote_identifier(context->schema),
					 quote_identifier(GetUserNameFromId(role, false))))
			->detail = pstrdup("The tables belong to that role, and so must "
							   "what is added to them.");
}

void
syncmaster_require_schema_create(const MigrationContext *context, Oid role)
{
	List *problems = NIL;

	schema_create_problem(&problems, context, role);
	syncmaster_raise_problems(problems);
}

/*
 * What a statement's own needs are that may not be met.
 */
void
syncmaster_effect_problems(List **problems, const MigrationContext *context,
						   const StatementEffect *effect)
{
	if (effect->skipped)
		return;
	if (effect->needs_create)
		schema_create_problem(problems, context, effect->role);
	if (IsA(effect->stmt, CreateExtensionStmt) &&
		syncmaster_default_version(effect->object) == NULL)
		syncmaster_add_problem(
			problems, ERRCODE_UNDEFINED_FILE, effect->object,
			problem_message("extension \"%s\" is not available on this server",
							effect->object),
			"Install PostgreSQL's contrib modules (package "
			"postgresql-contrib), and run the command again.")
			->detail = pstrdup("SyncMaster's search for users needs it.");
}

/*
 * Run one statement that has something to do.
 */
static void
run_effect(const MigrationContext *context, const StatementEffect *effect)
{
	List *problems = NIL;
	ListCell *lc;

	if (!OidIsValid(effect->role))
	{
		ereport(WARNING,
				(errmsg("extension \"%s\" stays, because it belongs to another "
						"role",
						effect->object)));
		return;
	}

	if (OidIsValid(effect->relid) &&
		!syncmaster_may_migrate(context->caller, effect->role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not change \"%s\" of role \"%s\"",
						GetUserNameFromId(context->caller, false),
						effect->object, GetUserNameFromId(effect->role, false)),
				 errhint("Give it to the role that owns the tables, or run the "
						 "command as its owner.")));
	syncmaster_effect_problems(&problems, context, effect);
	syncmaster_raise_problems(problems);
	foreach (lc, effect->locks)
	{
		TableLock *lock = lfirst(lc);

		syncmaster_lock_relation(lock->relid, lock->mode);
	}
	syncmaster_execute_as(effect->sql, effect->role);
}

/*
 * Run all statements of a step, one at a time: Citus refuses several at once.
 */
void
syncmaster_run_statements(const MigrationContext *context, const char *ddl,
						  const char *activity)
{
	int save_nestlevel = syncmaster_enter_safe_settings();
	ListCell *lc;

	foreach (lc, pg_parse_query(ddl))
	{
		StatementEffect *effect = syncmaster_describe_statement(
			context, lfirst_node(RawStmt, lc), ddl, NIL);
		TimestampTz started = GetCurrentTimestamp();

		CHECK_FOR_INTERRUPTS();
		if (effect->skipped)
			continue;
		syncmaster_enforce_guard(context);
		syncmaster_show_activity(activity, effect->sql);
		run_effect(context, effect);
		CommandCounterIncrement();
		if (IsA(effect->stmt, AlterTableStmt))
			syncmaster_report_progress(started, "%s: alter table %s, %s",
									   activity, effect->object,
									   effect->action);
		else
			syncmaster_report_progress(started, "%s: %s %s", activity,
									   effect->action, effect->object);
	}
	syncmaster_show_activity(NULL, NULL);
	syncmaster_leave_safe_settings(save_nestlevel);
}
