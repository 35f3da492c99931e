/*-------------------------------------------------------------------------
 *
 * preflight.c
 *	  What blocks an upgrade.
 *
 * Everything that the upgrade would raise is found by the code that would
 * raise it; the rest is what would make it wait, fail half-way or surprise.
 * Nothing is changed and nothing waits for a lock on the application's tables
 * but alembic_version's, so that it can be asked at any time, by everybody,
 * also on a standby.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "check/check.h"
#include "engine/engine.h"
#include "preflight/preflight.h"
#include "privilege/privilege.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

#define PREFLIGHT_NATTS 4

/* Age of a transaction, in ms, that is long where waits are not bounded. */
#define LONG_TRANSACTION 60000

PG_FUNCTION_INFO_V1(syncmaster_preflight);

/*
 * Report what prevents every upgrade on this server or in this session.
 */
static void
check_server(Preflight *preflight)
{
	const char *timeout = GetConfigOptionByName("statement_timeout", NULL,
												false);

	if (RecoveryInProgress())
		syncmaster_report(preflight, SEVERITY_ERROR, "server",
						  "this server is a standby",
						  "Upgrades run on the primary. Sessions and locks "
						  "below are this server's; look there as well.");
	else if (DefaultXactReadOnly)
		syncmaster_report(preflight, SEVERITY_ERROR, "session",
						  "transactions of this session are read-only",
						  "SET default_transaction_read_only = off for the "
						  "upgrade.");
	if (syncmaster_is_citus_worker())
		syncmaster_report(preflight, SEVERITY_ERROR, "server",
						  "this server is a Citus worker",
						  "Upgrades run on the coordinator.");
	if (strcmp(timeout, "0") != 0)
		syncmaster_report(preflight, SEVERITY_WARNING, "session",
						  psprintf("statement_timeout is %s", timeout),
						  "An upgrade is one statement. SET "
						  "statement_timeout = 0 in the session that runs it.");
}

/*
 * Return whether the upgrade creates what is missing, because the services may
 * not have created it.
 */
static bool
is_made_again(const Finding *finding)
{
	const RelationInfo *relation = syncmaster_find_relation(finding->subject);

	return strcmp(finding->message, "is missing") == 0 &&
		   (strcmp(finding->kind, "extension") == 0 ||
			(relation != NULL && relation->foreign_made));
}

/*
 * Compare the tables with the revision that alembic_version names.  The
 * upgrade does not fail because of these differences, but does not repair them
 * either.
 */
static void
compare_tables(Preflight *preflight)
{
	const SchemaRevision *revision = &preflight->context.revision;
	CheckContext		  context;
	const char			 *locked;
	ListCell			 *lc;

	if (revision->state != REVISION_KNOWN)
		return;
	if (!syncmaster_try_check_tables(&context, revision->number, &locked))
	{
		syncmaster_report(preflight, SEVERITY_WARNING, "schema",
						  psprintf("the tables were not compared with revision "
								   "%s, because %s is locked",
								   revision->id, locked),
						  "Ask again later.");
		return;
	}
	foreach (lc, context.findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->severity == SEVERITY_ERROR &&
			syncmaster_contradicts(finding) && !context.unsettled &&
			!is_made_again(finding))
			syncmaster_report(
				preflight, SEVERITY_WARNING, "schema",
				psprintf("%s \"%s\" is not as at revision %s: it %s",
						 finding->kind, finding->subject, revision->id,
						 finding->message),
				"SELECT * FROM syncmaster_check() lists all differences, with "
				"SQL that repairs them.");
	}
}

/*
 * Report a library, scripts and a schema that do not fit each other.
 */
static void
check_versions(Preflight *preflight)
{
	Oid namespace = preflight->context.namespace;
	char		  *version = syncmaster_default_version("syncmaster");
	ExtensionEntry extension;

	if (version == NULL || strcmp(version, SYNCMASTER_VERSION) != 0)
		syncmaster_report(preflight, SEVERITY_ERROR, "library",
						  psprintf("the loaded library is %s, but the "
								   "installed scripts make %s",
								   SYNCMASTER_VERSION,
								   version != NULL ? version : "nothing"),
						  "Reconnect, or restart the server if "
						  "shared_preload_libraries names the library; if "
						  "that does not help, install the package again.");

	syncmaster_report_name(&preflight->findings, preflight->context.schema);
	syncmaster_get_extension(&extension);
	if (syncmaster_version_revision(extension.version) < 0)
		syncmaster_report(preflight, SEVERITY_ERROR, "library",
						  psprintf("extension \"syncmaster\" is at version %s, "
								   "which library version %s does not know",
								   extension.version, SYNCMASTER_VERSION),
						  psprintf("Install the package of syncmaster %s, and "
								   "reconnect.",
								   extension.version));

	preflight->findings = list_concat(
		preflight->findings,
		syncmaster_revision_problems(namespace, &preflight->context.revision));
	if (!syncmaster_has_errors(preflight) ||
		preflight->context.revision.state == REVISION_KNOWN)
		preflight->findings = list_concat(
			preflight->findings,
			syncmaster_shape_problems(namespace, &preflight->context.revision));
	if (preflight->context.revision.state == REVISION_KNOWN)
		preflight->findings = list_concat(
			preflight->findings,
			syncmaster_vector_problems(namespace, &preflight->context.revision,
									   false));
	if (!syncmaster_has_errors(preflight))
		compare_tables(preflight);
	if (preflight->context.revision.number == REVISION_BASE)
		syncmaster_place_problems(&preflight->findings, &preflight->context,
								  true);
}

/*
 * Report steps that change a partitioned table.
 */
static void
check_partitions(const UpgradePlan *plan, List **problems)
{
	ListCell *lc;

	foreach (lc, plan->steps)
	{
		const PlanStep *step = lfirst(lc);
		ListCell	   *effect;

		if (step->stamp == NULL)
			continue;
		foreach (effect, step->effects)
			syncmaster_partition_problems(problems, lfirst(effect));
	}
}

/*
 * Report rights that the caller lacks for the upgrade, and that owners lack
 * for objects that it creates for them.
 */
static void
check_rights(Preflight *preflight, const RevisionTarget *target)
{
	const MigrationContext *context = &preflight->context;
	List				   *problems = syncmaster_caller_problems(context);
	ExtensionEntry			extension;
	char				   *version;
	const char			   *grant;
	ListCell			   *lc;

	syncmaster_get_extension(&extension);
	version = syncmaster_version_to_install(&extension, target);
	if (version != NULL && !owns_extension(extension.oid, context->caller))
		syncmaster_report(
			preflight, SEVERITY_ERROR, "rights",
			psprintf("role \"%s\" may not update extension \"syncmaster\" of "
					 "role \"%s\"",
					 GetUserNameFromId(context->caller, false),
					 GetUserNameFromId(extension.owner, false)),
			"Run the upgrade as a superuser, or as a member of that role.");

	grant = syncmaster_lacking_execute("syncmaster_upgrade", context->caller);
	if (grant != NULL &&
		(version == NULL || !owns_extension(extension.oid, context->caller)))
		syncmaster_report(
			preflight, SEVERITY_ERROR, "rights",
			psprintf("role \"%s\" may not execute function "
					 "syncmaster_upgrade(text)",
					 GetUserNameFromId(context->caller, false)),
			psprintf("Run the upgrade as a superuser, or have one run %s;",
					 grant));

	if (preflight->plan != NULL)
	{
		foreach (lc, preflight->plan->effects)
		{
			syncmaster_effect_problems(&problems, context, lfirst(lc));
		}
		check_partitions(preflight->plan, &problems);
	}
	syncmaster_report_once(preflight, problems);
}

/*
 * Report a transaction that is older than the time for which the upgrade waits
 * for a lock: it may well last longer than that.
 */
static void
check_age(Preflight *preflight, const OtherSession *session)
{
	bool bounded = syncmaster_guard != GUARD_OFF && syncmaster_lock_timeout > 0;

	if (session->age <= (bounded ? syncmaster_lock_timeout : LONG_TRANSACTION))
		return;
	syncmaster_report(
		preflight, SEVERITY_WARNING, "transaction",
		psprintf("%s has had a transaction open for " INT64_FORMAT " s",
				 session->description, session->age / 1000),
		psprintf("If it uses SyncMaster's tables, the upgrade waits for %s: "
				 "let it end, or end it with pg_terminate_backend().",
				 bounded ? psprintf("at most %d ms, and then fails",
									syncmaster_lock_timeout)
						 : "it"));
}

/*
 * Return whether the caller may know how many runs are active.  If the
 * relation is not the table of runs, it is not read.
 */
static bool
may_know_of_runs(Oid namespace)
{
	Oid		   relid = get_relname_relid("run", namespace);
	AttrNumber attnum = OidIsValid(relid) ? get_attnum(relid, "status") : 0;

	return attnum <= 0 || syncmaster_may_know(relid, attnum);
}

/*
 * Report sessions and runs that are active.
 */
static void
check_activity(Preflight *preflight)
{
	bool guarded = syncmaster_guard == GUARD_SESSIONS;
	Oid namespace = preflight->context.namespace;
	char	 *runs;
	ListCell *lc;

	foreach (lc, syncmaster_other_sessions(namespace))
	{
		OtherSession *session = lfirst(lc);

		if (session->between_nodes)
		{
			syncmaster_report(preflight, SEVERITY_INFO, "session",
							  psprintf("%s is Citus's, between its nodes",
									   session->description),
							  "It is no service, and need not end.");
			continue;
		}
		syncmaster_report(
			preflight,
			guarded											? SEVERITY_ERROR
			: session->may_write || session->in_transaction ? SEVERITY_WARNING
															: SEVERITY_INFO,
			"session",
			psprintf("%s is connected and may %s", session->description,
					 session->may_write ? "write SyncMaster's tables"
										: "not write SyncMaster's tables"),
			session->in_transaction
				? "It has a transaction open: let it end, or end it with "
				  "pg_terminate_backend()."
				: "If it is a service of SyncMaster's, stop that for the "
				  "upgrade.");
		check_age(preflight, session);
	}

	if (!may_know_of_runs(namespace))
	{
		syncmaster_report(preflight, SEVERITY_INFO, "run",
						  "active runs were not counted, as you may not read "
						  "table \"run\"",
						  "Ask as the owner of the tables.");
		return;
	}
	switch (syncmaster_active_runs(namespace, false, &runs))
	{
		case RUNS_NONE:
			break;
		case RUNS_UNREADABLE:
			/*
			 * a relation that is not the expected table is reported with the
			 * schema
			 */
			if (runs != NULL)
				syncmaster_report(
					preflight, guarded ? SEVERITY_ERROR : SEVERITY_WARNING,
					"run",
					psprintf("active runs were not counted, because table "
							 "\"run\" cannot be read: %s",
							 runs),
					"Citus has the table: look whether all nodes are up, and "
					"whether the owner of the table can log in there.");
			break;
		case RUNS_ACTIVE:
			syncmaster_report(preflight,
							  guarded ? SEVERITY_ERROR : SEVERITY_WARNING,
							  "run", psprintf("runs are active: %s", runs),
							  "Wait for them to end, or stop them. Runs that a "
							  "crash left behind stay active until they are "
							  "marked as failed.");
			break;
		case RUNS_LOCKED:
			syncmaster_report(preflight, SEVERITY_WARNING, "run",
							  "active runs were not counted, because table "
							  "\"run\" is locked",
							  "Ask again later.");
			break;
		case RUNS_EXPENSIVE:
			syncmaster_report(
				preflight, SEVERITY_WARNING, "run",
				"active runs were not counted, because no index "
				"on status of table \"run\" helps",
				psprintf("CREATE INDEX CONCURRENTLY ix__run__status ON %s "
						 "(status), and ask again.",
						 quote_qualified_identifier(preflight->context.schema,
													"run")));
			break;
	}
}

/*
 * Report a lock of another session on a table that the upgrade will lock.
 * Only the strongest of the upgrade's modes counts.
 */
static void
check_lock(Preflight *preflight, Oid relid, LOCKMODE mode)
{
	char *blockers = syncmaster_describe_blockers(relid, mode);
	char *name = get_rel_name(relid);

	if (blockers != NULL && name != NULL)
		syncmaster_report(
			preflight, SEVERITY_WARNING, "lock",
			psprintf("table \"%s\", which needs %s, is locked by %s", name,
					 GetLockmodeName(DEFAULT_LOCKMETHOD, mode), blockers),
			psprintf("The upgrade would wait for %s.",
					 syncmaster_guard == GUARD_OFF
						 ? "as long as lock_timeout of its session says"
						 : psprintf("at most %d ms, and then fail",
									syncmaster_lock_timeout)));
}

static void
check_locks(Preflight *preflight)
{
	List	 *locks = NIL;
	ListCell *lc;

	if (OidIsValid(preflight->plan->version_table))
		check_lock(preflight, preflight->plan->version_table,
				   ShareRowExclusiveLock);
	foreach (lc, preflight->plan->effects)
	{
		ListCell *cell;

		foreach (cell, ((StatementEffect *) lfirst(lc))->locks)
		{
			const TableLock *lock = lfirst(cell);

			locks = syncmaster_add_lock(locks, lock->relid, lock->mode);
		}
	}
	foreach (lc, locks)
	{
		const TableLock *lock = lfirst(lc);

		check_lock(preflight, lock->relid, lock->mode);
	}
}

/*
 * Report why a step cannot be recorded.  A locked relation is not read, but
 * its schema is.
 */
static void
check_history(Preflight *preflight)
{
	Oid	 relid = syncmaster_find_history();
	bool locked = OidIsValid(relid) &&
				  ConditionalLockRelationOid(relid, AccessShareLock);
	bool dropped = locked && !OidIsValid(syncmaster_find_owner(relid));

	syncmaster_history_errors(&preflight->findings,
							  locked && !dropped ? relid : InvalidOid,
							  preflight->context.owner, InvalidOid);
	if (locked)
		UnlockRelationOid(relid, AccessShareLock);
}

static void
check_namesakes(Preflight *preflight)
{
	ListCell *lc;

	foreach (lc, syncmaster_namesakes())
	{
		const Namesake *namesake = lfirst(lc);

		syncmaster_report(
			preflight, SEVERITY_WARNING, "function",
			psprintf("function %s has the name of a function of the extension",
					 namesake->signature),
			psprintf("It may be called instead, with the rights of the caller: "
					 "%s.",
					 namesake->drop));
	}
}

/*
 * Report services that would not use the upgraded tables.
 */
static void
check_names(Preflight *preflight)
{
	const MigrationContext *context = &preflight->context;
	ListCell			   *lc;

	foreach (lc, syncmaster_misled_services(context,
											syncmaster_service_roles(context)))
	{
		const MisledService *entry = lfirst(lc);

		syncmaster_report(preflight, SEVERITY_WARNING, "search_path",
						  psprintf("role \"%s\" %s: %s",
								   syncmaster_role_name(entry->role),
								   syncmaster_misled_text(entry),
								   entry->actual),
						  psprintf("Its service uses that: %s, or rename or "
								   "drop what is found.",
								   entry->fix));
	}
}

static void
check_plan(Preflight *preflight)
{
	ListCell *lc;

	if (preflight->plan->steps == NIL)
		syncmaster_report(preflight, SEVERITY_INFO, "target",
						  psprintf("schema \"%s\" is at revision %s already, "
								   "and nothing is missing",
								   preflight->context.schema,
								   syncmaster_revision_id(
									   preflight->context.revision.number)),
						  "Nothing is to be done.");
	preflight->findings = list_concat(preflight->findings,
									  preflight->plan->problems);
	foreach (lc, preflight->plan->effects)
	{
		syncmaster_row_problems(&preflight->findings, &preflight->context,
								lfirst(lc));
	}
	check_locks(preflight);
	check_history(preflight);
	syncmaster_check_disk(preflight);
	syncmaster_check_objects(preflight);
}

static void
put_columns(const Finding *finding, const char **texts)
{
	texts[0] = syncmaster_severity_name(finding->severity);
	texts[1] = finding->subject;
	texts[2] = finding->detail == NULL
				   ? finding->message
				   : psprintf("%s: %s", finding->message, finding->detail);
	texts[3] = finding->hint;
}

/*
 * syncmaster_preflight(target text)
 *
 * The gravest findings come first.  If there is no row, or none above info,
 * nothing blocks the upgrade.
 */
Datum
syncmaster_preflight(PG_FUNCTION_ARGS)
{
	char		  *text = syncmaster_target_argument(fcinfo);
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	Preflight	   preflight = {0};
	RevisionTarget target;

	syncmaster_fill_context(&preflight.context, GetUserId());
	syncmaster_read_revision(preflight.context.namespace,
							 &preflight.context.revision);
	syncmaster_parse_target(text, true, preflight.context.revision.number,
							&target);

	check_versions(&preflight);
	if (!syncmaster_has_errors(&preflight))
		preflight.plan = syncmaster_make_plan(
			&preflight.context,
			Max(target.number, preflight.context.revision.number));
	check_server(&preflight);
	check_rights(&preflight, &target);
	check_activity(&preflight);
	check_namesakes(&preflight);
	syncmaster_report_settings(&preflight.findings);
	check_names(&preflight);
	if (preflight.plan != NULL)
		check_plan(&preflight);
	syncmaster_check_replication(&preflight);
	syncmaster_check_citus(&preflight);

	syncmaster_put_findings(result, preflight.findings, PREFLIGHT_NATTS,
							put_columns);

	return (Datum) 0;
}
