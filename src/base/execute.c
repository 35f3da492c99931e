/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  Running SQL as another role, out of reach of what that role planted.
 *
 * A migration is usually started by a superuser and touches tables of an
 * application role, whose triggers, rules, domains and expressions may run
 * meanwhile.  What runs here runs as that role, in a security-restricted
 * operation: SET ROLE alone would be no boundary, a trigger can reset it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "settings.h"

Oid
syncmaster_relation_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		syncmaster_raise_dropped(relation, NULL);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	return owner;
}

Oid
syncmaster_schema_owner(Oid namespace)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID,
									  ObjectIdGetDatum(namespace));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", namespace);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);

	return owner;
}

static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);

	return owner;
}

/*
 * Least memory for building an index, in kB.  The default of
 * maintenance_work_mem makes a GIN index of a few hundred thousand rows in
 * several passes, while the table is locked.
 */
#define MIN_MAINTENANCE_WORK_MEM (256 * 1024)

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Names resolve in pg_catalog alone, whatever schema the application uses:
 * an operator or a cast that somebody made there would otherwise be found.
 * pg_temp is named so that it comes last.  Definitions are printed in one way,
 * so that they can be compared.
 */
int
syncmaster_enter_safe_settings(void)
{
	int save_nestlevel = NewGUCNestLevel();

	set_locally("search_path", "pg_catalog, pg_temp");
	set_locally("standard_conforming_strings", "on");
	set_locally("quote_all_identifiers", "off");

	return save_nestlevel;
}

/*
 * Undo that, and whatever else the statements in between set: a function that
 * a table's owner planted may have changed settings of the session.
 */
void
syncmaster_leave_safe_settings(int save_nestlevel)
{
	AtEOXact_GUC(false, save_nestlevel);
}

/*
 * Memory that a migration may use for one thing, in kB.
 */
int
syncmaster_maintenance_memory(void)
{
	return Max(maintenance_work_mem, MIN_MAINTENANCE_WORK_MEM);
}

/*
 * How many processes may help with building an index or computing vectors:
 * more processes than processors would only be in each other's way.
 */
static int
helping_processes(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors < 1
			   ? max_parallel_maintenance_workers
			   : (int) Min(max_parallel_maintenance_workers, processors - 1);
}

/*
 * Call a function as a role.  Nothing that it creates becomes a member of the
 * extension whose script may be running: members are dropped with the
 * extension, and the application's tables must not be.
 */
void
syncmaster_call_as(Oid role, void (*function)(void *), void *argument)
{
	Oid save_userid;
	int save_sec_context;
	int save_nestlevel;
	bool save_creating = creating_extension;
	Oid save_extension = CurrentExtensionObject;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	save_nestlevel = syncmaster_enter_safe_settings();
	if (syncmaster_guard != GUARD_OFF)
		set_locally("lock_timeout", psprintf("%d", syncmaster_lock_timeout));
	set_locally("max_parallel_maintenance_workers",
				psprintf("%d", helping_processes()));
	set_locally("maintenance_work_mem",
				psprintf("%d", syncmaster_maintenance_memory()));

	creating_extension = false;
	CurrentExtensionObject = InvalidOid;
	SetUserIdAndSecContext(role,
						   save_sec_context | SECURITY_RESTRICTED_OPERATION);
	PG_TRY();
	{
		function(argument);
	}
	PG_FINALLY();
	{
		creating_extension = save_creating;
		CurrentExtensionObject = save_extension;
	}
	PG_END_TRY();

	/* On an error the transaction's abort restores these two. */
	SetUserIdAndSecContext(save_userid, save_sec_context);
	syncmaster_leave_safe_settings(save_nestlevel);
}

typedef struct Statement
{
	const char *sql;
	int nargs;
	Oid *types;
	Datum *values;
	DestReceiver *receiver; /* of its rows; NULL to have none */
} Statement;

static void
execute(void *argument)
{
	Statement *statement = argument;
	int rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (statement->receiver != NULL)
	{
		/* by as many processes as maintenance may have; not worth compiling */
		set_locally("max_parallel_workers_per_gather",
					psprintf("%d", max_parallel_maintenance_workers));
		set_locally("jit", "off");
		rc = execute_into(statement->sql, statement->receiver);
	}
	else
		rc = SPI_execute_with_args(statement->sql, statement->nargs,
								   statement->types, statement->values, NULL,
								   false, 0);
	if (rc < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/*
 * Run one statement as a role.
 */
void
syncmaster_execute_params(const char *sql, Oid role, int nargs, Oid *types,
						  Datum *values)
{
	Statement statement = {0};

	statement.sql = sql;
	statement.nargs = nargs;
	statement.types = types;
	statement.values = values;
	syncmaster_call_as(role, execute, &statement);
}

/*
 * The same of a query whose rows a receiver gets, one by one.  Only where
 * CAN_EXECUTE_INTO says so.
 */
void
syncmaster_execute_into(const char *sql, Oid role, DestReceiver *receiver)
{
	Statement statement = {0};

	statement.sql = sql;
	statement.receiver = receiver;
	syncmaster_call_as(role, execute, &statement);
}

/*
 * Refuse a table with a trigger that need not be its owner's.
 *
 * A migration writes alembic_version and the history as their owners, and the
 * triggers run with these roles' rights.  Every role with the privilege TRIGGER
 * can make some, the caller too, who may be the database's owner and nothing
 * else.  The owner is taken to trust what runs only code of roles that have
 * his rights anyway.  A condition may call anything, whosever the function is.
 *
 * The caller holds a lock that keeps new triggers away.
 */
void
syncmaster_refuse_triggers(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	Oid owner = rel->rd_rel->relowner;

	/* a look-up may free what the relation's entry in the cache has */
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgisinternal || trigger->tgenabled == TRIGGER_DISABLED ||
			(trigger->tgqual == NULL &&
			 has_privs_of_role(function_owner(trigger->tgfoid), owner)))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger \"%s\" of table \"%s\" may run another "
						"role's code",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("It would run with the rights of role \"%s\", who "
						   "owns the table. Trusted are triggers without a "
						   "condition whose function belongs to that role.",
						   GetUserNameFromId(owner, false)),
				 errhint("Drop or disable the trigger, and run the command "
						 "again.")));
	}
	relation_close(rel, NoLock);
}

void
syncmaster_execute_as(const char *sql, Oid role)
{
	syncmaster_execute_params(sql, role, 0, NULL, NULL);
}

/*
 * Connect to SPI for a query on the catalogues, with the same safe settings.
 * The caller reads its results before syncmaster_end_query().
 */
int
syncmaster_begin_query(void)
{
	int save_nestlevel = syncmaster_enter_safe_settings();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	return save_nestlevel;
}

void
syncmaster_end_query(int save_nestlevel)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	syncmaster_leave_safe_settings(save_nestlevel);
}
