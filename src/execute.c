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

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "execute.h"
#include "settings.h"

Oid
syncmaster_relation_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
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
 * Run one statement as a role.  Nothing that it creates becomes a member of
 * the extension whose script may be running: members are dropped with the
 * extension, and the application's tables must not be.
 */
void
syncmaster_execute_params(const char *sql, Oid role, int nargs, Oid *types,
						  Datum *values)
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
	if (maintenance_work_mem < MIN_MAINTENANCE_WORK_MEM)
		set_locally("maintenance_work_mem",
					psprintf("%d", MIN_MAINTENANCE_WORK_MEM));

	creating_extension = false;
	CurrentExtensionObject = InvalidOid;
	SetUserIdAndSecContext(role,
						   save_sec_context | SECURITY_RESTRICTED_OPERATION);
	PG_TRY();
	{
		int rc;

		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		rc = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);
		if (rc < 0)
			elog(ERROR, "SPI_execute_with_args failed: %s",
				 SPI_result_code_string(rc));
		if (SPI_finish() != SPI_OK_FINISH)
			elog(ERROR, "SPI_finish failed");
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
