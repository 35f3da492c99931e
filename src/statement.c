/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  One DDL statement of a migration: what it locks, as whom it runs, and
 *	  whether there is anything left for it to do.
 *
 * The parse tree tells the table that a statement changes.  Its lock is taken
 * before, with a bounded wait, and the statement runs as that table's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "execute.h"
#include "extension.h"
#include "lock.h"
#include "statement.h"

static Oid
find_relation(const RangeVar *name)
{
	return RangeVarGetRelid(name, NoLock, true);
}

/*
 * Lock the parents that a new table's foreign keys refer to, in the mode that
 * CREATE TABLE takes on them.
 */
static void
lock_referenced_tables(CreateStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->tableElts)
	{
		Constraint *constraint = lfirst(lc);
		Oid parent;

		if (!IsA(constraint, Constraint) ||
			constraint->contype != CONSTR_FOREIGN)
			continue;
		parent = find_relation(constraint->pktable);
		if (OidIsValid(parent))
			syncmaster_lock_relation(parent, ShareRowExclusiveLock);
	}
}

/*
 * Owners need CREATE on the schema to add a table or an index to it.
 */
void
syncmaster_require_schema_create(const MigrationContext *context, Oid role)
{
	if (!has_schema_create(context->namespace, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" lacks CREATE on schema \"%s\"",
						GetUserNameFromId(role, false), context->schema),
				 errdetail("The tables belong to that role, and so must what "
						   "is added to them."),
				 errhint("GRANT CREATE ON SCHEMA %s TO %s, and run the "
						 "command again.",
						 quote_identifier(context->schema),
						 quote_identifier(GetUserNameFromId(role, false)))));
}

/*
 * Drop a table, sequence or index, if it is there.
 */
static void
run_drop(DropStmt *stmt, const char *sql)
{
	RangeVar *name;
	Oid relid;

	/* the scripts drop one object at a time */
	name = makeRangeVarFromNameList(linitial_node(List, stmt->objects));
	relid = find_relation(name);
	if (!OidIsValid(relid) && stmt->missing_ok)
		return;

	if (OidIsValid(relid))
		syncmaster_lock_relation(stmt->removeType == OBJECT_INDEX
									 ? IndexGetRelation(relid, false)
									 : relid,
								 AccessExclusiveLock);
	syncmaster_execute_as(sql, OidIsValid(relid)
								   ? syncmaster_relation_owner(relid)
								   : GetUserId());
}

static void
run_create_index(const MigrationContext *context, IndexStmt *stmt,
				 const char *sql)
{
	Oid relid = RangeVarGetRelid(stmt->relation, NoLock, false);
	Oid owner = syncmaster_relation_owner(relid);

	if (stmt->if_not_exists &&
		OidIsValid(get_relname_relid(stmt->idxname, context->namespace)))
		return;
	syncmaster_require_schema_create(context, owner);
	syncmaster_lock_relation(relid, ShareLock);
	syncmaster_execute_as(sql, owner);
}

/*
 * An extension that the application needs.  It goes to the tables' owner if
 * that role may have it, as Alembic would do it, else to the caller.
 */
static void
run_create_extension(const MigrationContext *context, CreateExtensionStmt *stmt,
					 const char *sql)
{
	bool by_owner = has_database_create(MyDatabaseId, context->owner);

	if (stmt->if_not_exists &&
		OidIsValid(get_extension_oid(stmt->extname, true)))
		return;
	if (syncmaster_default_version(stmt->extname) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("extension \"%s\" is not available on this server",
						stmt->extname),
				 errdetail("SyncMaster's search for users needs it."),
				 errhint("Install PostgreSQL's contrib modules (package "
						 "postgresql-contrib), and run the command again.")));
	syncmaster_execute_as(sql, by_owner ? context->owner : context->caller);
}

static void
run_drop_extension(const MigrationContext *context, DropStmt *stmt,
				   const char *sql)
{
	const char *name = strVal(linitial(stmt->objects));
	Oid extension = get_extension_oid(name, true);

	if (!OidIsValid(extension))
		return;
	if (owns_extension(extension, context->owner))
		syncmaster_execute_as(sql, context->owner);
	else if (owns_extension(extension, context->caller))
		syncmaster_execute_as(sql, context->caller);
	else
		ereport(WARNING,
				(errmsg("extension \"%s\" stays, because it belongs to "
						"another role",
						name)));
}

/*
 * Run one statement.  What IF EXISTS or IF NOT EXISTS makes superfluous is
 * left out altogether: it needs no right and gives no notice.
 */
void
syncmaster_run_statement(const MigrationContext *context, Node *stmt,
						 const char *sql)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
		{
			CreateStmt *create = (CreateStmt *) stmt;

			if (create->if_not_exists &&
				OidIsValid(find_relation(create->relation)))
				return;
			syncmaster_require_schema_create(context, context->owner);
			lock_referenced_tables(create);
			syncmaster_execute_as(sql, context->owner);
			break;
		}
		case T_CreateSeqStmt:
		{
			CreateSeqStmt *create = (CreateSeqStmt *) stmt;

			if (create->if_not_exists &&
				OidIsValid(find_relation(create->sequence)))
				return;
			syncmaster_require_schema_create(context, context->owner);
			syncmaster_execute_as(sql, context->owner);
			break;
		}
		case T_AlterTableStmt:
		{
			AlterTableStmt *alter = (AlterTableStmt *) stmt;
			Oid relid = RangeVarGetRelid(alter->relation, NoLock, false);

			syncmaster_lock_relation(relid,
									 AlterTableGetLockLevel(alter->cmds));
			syncmaster_execute_as(sql, syncmaster_relation_owner(relid));
			break;
		}
		case T_IndexStmt:
			run_create_index(context, (IndexStmt *) stmt, sql);
			break;
		case T_CreateExtensionStmt:
			run_create_extension(context, (CreateExtensionStmt *) stmt, sql);
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType == OBJECT_EXTENSION)
				run_drop_extension(context, (DropStmt *) stmt, sql);
			else
				run_drop((DropStmt *) stmt, sql);
			break;
		default:
			elog(ERROR, "unexpected statement in a migration: %s", sql);
	}
}
