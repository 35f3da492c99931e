/*-------------------------------------------------------------------------
 *
 * drop_partition.c
 *	  Dropping or detaching partitions that hold nothing but old runs.
 *
 * Each partition is a transaction.  It is locked against writers first, and only
 * then asked for runs that are to stay: so none can come in between.  The table
 * itself is locked last and for a moment: nobody waits for this longer than a
 * statement takes, and no service is the victim of a deadlock with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "retention/retention.h"
#include "rows/rows.h"
#include "schema/schema.h"

/*
 * How long the locks on the table are waited for, in milliseconds.  It is
 * less than the default of deadlock_timeout.
 */
#define TABLE_LOCK_TIMEOUT 100

/*
 * How many runs are compared with the last ones of their transfers at a time.
 */
#define RUNS_AT_A_TIME 10000

/*
 * Partitions with an upper bound, in its order; or this one.  A default
 * partition has no bound, nor has a partition that all later ids go to.  Rows
 * of a partition that DETACH ... CONCURRENTLY has begun to detach are no runs
 * any more.  One such partition below is named: it would be dropped with the
 * partition that it is being detached from, rows and all.
 */
#define PARTITIONS_QUERY \
	"SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), " \
	"    c.relname, b.upper, (WITH RECURSIVE part(oid, pending) AS (" \
	"        SELECT c.oid, NULL::text UNION ALL " \
	"        SELECT j.inhrelid, to_jsonb(j) ->> 'inhdetachpending' " \
	"        FROM part p JOIN pg_inherits j ON j.inhparent = p.oid) " \
	"        SELECT min(oid::regclass::text) FROM part " \
	"        WHERE pending = 'true') " \
	"FROM pg_inherits i " \
	"JOIN pg_class c ON c.oid = i.inhrelid " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"CROSS JOIN LATERAL (SELECT substring(pg_get_expr(c.relpartbound, c.oid) " \
	"    from 'TO \\(''(-?[0-9]+)''\\)$') AS upper) b " \
	"WHERE i.inhparent = $1 AND b.upper IS NOT NULL " \
	"AND (to_jsonb(i) ->> 'inhdetachpending') IS DISTINCT FROM 'true' " \
	"AND $2 IN (0::oid, c.oid) " \
	"ORDER BY b.upper::int8"

/*
 * Publications that send deletions of rows of the table's partition, or of
 * partitions of it, with the table through which the partition is published.
 */
#define PUBLICATIONS_QUERY \
	"SELECT quote_ident(p.pubname), (SELECT c.relname FROM pg_class c " \
	"    WHERE c.oid = coalesce((SELECT t.relid FROM pg_publication_rel r " \
	"        JOIN pg_partition_tree($2) t ON t.relid = r.prrelid " \
	"        WHERE r.prpubid = p.oid ORDER BY t.level LIMIT 1), $1)) " \
	"FROM pg_publication p WHERE p.pubdelete AND EXISTS (" \
	"    SELECT FROM pg_publication_tables t " \
	"    JOIN pg_namespace n ON n.nspname = t.schemaname " \
	"    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = " \
	"t.tablename " \
	"    WHERE t.pubname = p.pubname AND (c.oid = $1 OR c.oid IN (" \
	"        SELECT relid FROM pg_partition_tree($2)))) " \
	"ORDER BY p.pubname"

/*
 * A foreign key that is declared and does nothing, as since 18: it holds no
 * rows, but the server does not drop a partition of the table.
 */
#define DECLARED_QUERY \
	"SELECT format('foreign key \"%s\" of table \"%s.%s\"', c.conname, " \
	"    n.nspname, k.relname) FROM pg_constraint c " \
	"JOIN pg_class k ON k.oid = c.conrelid " \
	"JOIN pg_namespace n ON n.oid = k.relnamespace " \
	"WHERE c.contype = 'f' AND c.confrelid = $1 " \
	"AND to_jsonb(c) ->> 'conenforced' = 'false' ORDER BY 1 LIMIT 1"

typedef struct Partition
{
	const PurgeOptions *options;
	TimestampTz			cutoff;
	Oid					table;
	char			   *from; /* the table */
	Oid					relid;
	char			   *qualified; /* the partition, as FROM needs it */
	char			   *name;
	char			   *upper;	 /* all its ids are less than this */
	char			   *pending; /* a partition of it that is half detached */
	int64				rows;
	bool				there; /* was it a partition when it was locked? */
	List			   *publications; /* rows of PUBLICATIONS_QUERY */
	List			   *named; /* publications that were named, as texts */
} Partition;

static const char *const columns[] = {"id", "transfer_id", "status",
									  "created_at", NULL};

/*
 * Return whether there is a run whose id is past the partition.  If not, new
 * runs may yet go there.
 */
static bool
is_past(const Partition *partition)
{
	bool isnull;

	(void) syncmaster_query_int8(psprintf("SELECT r.id FROM %s r WHERE r.id >= "
										  "%s LIMIT 1",
										  partition->from, partition->upper),
								 0, NULL, NULL, &isnull);
	return !isnull;
}

/*
 * Return whether all runs of the partition are over, and old.  "first" looks
 * at the last one only, which is enough to refuse most partitions.
 */
static bool
is_old(const Partition *partition, bool first)
{
	Oid	  types[1] = {TIMESTAMPTZOID};
	Datum values[1];
	bool  isnull;

	values[0] = TimestampTzGetDatum(partition->cutoff);
	(void) syncmaster_query_int8(
		psprintf("SELECT r.id FROM %s r WHERE (r.created_at < $1 AND r.status "
				 "IN (%s)) IS NOT TRUE LIMIT 1",
				 first ? psprintf("(SELECT * FROM %s ORDER BY id DESC LIMIT 1)",
								  partition->qualified)
					   : partition->qualified,
				 syncmaster_list_statuses(NACTIVE_STATUSES)),
		1, types, values, &isnull);
	return isnull;
}

/*
 * Tell that the partition stays because of a run whose status is not known,
 * and would otherwise go for all that is known of it: it would stay for ever.
 */
static void
tell_unknown_status(const Partition *partition)
{
	Oid	  types[1] = {TIMESTAMPTZOID};
	Datum values[1];
	List *rows;
	char *status;

	values[0] = TimestampTzGetDatum(partition->cutoff);
	rows = syncmaster_query(
		psprintf(
			"SELECT quote_nullable(r.status) FROM %s r "
			"WHERE (SELECT l.created_at < $1 AND (l.status IN (%s)) IS NOT "
			"TRUE FROM %s l ORDER BY l.id DESC LIMIT 1) "
			"AND (r.status IN (%s)) IS NOT TRUE LIMIT 1",
			partition->qualified, syncmaster_list_active_statuses(),
			partition->qualified, syncmaster_list_statuses(0)),
		1, types, values);
	if (rows == NIL)
		return;
	status = ((char **) linitial(rows))[0];
	ereport(NOTICE,
			(errmsg("partition \"%s\" stays, because the status of a run is "
					"not known: %s",
					partition->name, status),
			 errhint("A later release of SyncMaster may have added it. Only "
					 "partitions whose runs are in these statuses go: %s.",
					 syncmaster_list_statuses(NACTIVE_STATUSES))));
}

/*
 * Return whether a run is among the last ones of its transfer, and count the
 * runs.
 */
static bool
has_last_runs(Partition *partition)
{
	const KeepOptions options = {partition->from, false,
								 partition->options->keep_last,
								 partition->cutoff};
	HTAB			 *limits = syncmaster_create_keep_limits();
	Oid				  types[1] = {INT8OID};
	Datum			  values[1];
	OldRuns			  runs;
	int				  count;

	runs.runs = palloc(RUNS_AT_A_TIME * sizeof(OldRun));
	values[0] = Int64GetDatum(PG_INT64_MIN);
	partition->rows = 0;
	do
	{
		runs.count = 0;
		(void) syncmaster_each_row(
			psprintf("SELECT r.id, r.transfer_id, r.created_at FROM %s r "
					 "WHERE r.id > $1 ORDER BY r.id LIMIT %d",
					 partition->qualified, RUNS_AT_A_TIME),
			1, types, values, syncmaster_take_old_run, &runs);
		count = runs.count;
		partition->rows += count;
		if (count > 0)
			values[0] = Int64GetDatum(runs.runs[count - 1].id);
		if (options.keep_last > 0 && count > 0 &&
			syncmaster_take_out_kept(limits, &runs, &options) > 0)
			return true;
	} while (count == RUNS_AT_A_TIME);
	return false;
}

/*
 * Rows of PARTITIONS_QUERY: for all partitions, or for this one.
 */
static List *
find_partitions(Oid table, Oid partition)
{
	Oid	  types[2] = {OIDOID, OIDOID};
	Datum values[2];

	values[0] = ObjectIdGetDatum(table);
	values[1] = ObjectIdGetDatum(partition);
	return syncmaster_query(PARTITIONS_QUERY, 2, types, values);
}

/*
 * Look the partition up again; it is locked unless this is a dry run.  Between
 * two transactions, another session may have detached or renamed it.
 */
static bool
look_again(Partition *partition)
{
	List  *rows = find_partitions(partition->table, partition->relid);
	char **row;

	if (rows == NIL)
		return false;
	row = linitial(rows);
	partition->qualified = row[1];
	partition->name = row[2];
	partition->upper = row[3];
	partition->pending = row[4];
	return true;
}

/*
 * SubtransactionBody: locks table and partition, and drops or detaches the
 * partition.
 */
static void
drop(void *argument)
{
	const Partition *partition = argument;

	syncmaster_set_locally_int("lock_timeout", TABLE_LOCK_TIMEOUT);
	LockRelationOid(partition->table, AccessExclusiveLock);
	LockRelationOid(partition->relid, AccessExclusiveLock);
	(void) syncmaster_run(partition->options->detach
							  ? psprintf("ALTER TABLE %s DETACH PARTITION %s",
										 partition->from, partition->qualified)
							  : psprintf("DROP TABLE %s", partition->qualified),
						  0, NULL, NULL);
}

/*
 * Return whether a session waits for the partition or a partition of it.  That
 * session may hold the lock that this one needs next.
 */
static bool
is_waited_for(const Partition *partition)
{
	ListCell *lc;

	foreach (lc, lcons_oid(partition->relid,
						   syncmaster_partitions(partition->relid)))
	{
		Relation rel = syncmaster_open_relation(lfirst_oid(lc), NoLock);
		bool	 result = LockHasWaitersRelation(rel, ExclusiveLock);

		relation_close(rel, NoLock);
		if (result)
			return true;
	}
	return false;
}

/*
 * Report that the partition is left to the next call.
 */
static void
tell_passed_by(const Partition *partition)
{
	ereport(NOTICE, (errmsg("partition \"%s\" was passed by, because others "
							"are at work on table \"run\"",
							partition->name),
					 errhint("The next call tries again.")));
}

/*
 * Drop or detach the partition; or leave it if other sessions are using it, or
 * if something depends on it: the purge goes on with the others.
 */
static bool
drop_or_pass_by(Partition *partition)
{
	ErrorData *error = NULL;

	if (!is_waited_for(partition))
	{
		error = syncmaster_try(drop, partition);
		if (error == NULL)
			return true;
		if (error->sqlerrcode == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		{
			ereport(WARNING,
					(errmsg("partition \"%s\" was passed by, because other "
							"objects depend on it",
							partition->name),
					 error->detail == NULL
						 ? 0
						 : errdetail_internal("%s", error->detail),
					 errhint("Drop or change these objects. The next call "
							 "tries again.")));
			return false;
		}
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
	}
	tell_passed_by(partition);
	return false;
}

/*
 * SubtransactionBody: locks the partition, with partitions of it, against
 * writers, if it exists.
 */
static void
lock(void *argument)
{
	Partition *partition = argument;

	partition->there = syncmaster_lock_if_there(partition->relid,
												ExclusiveLock);
	if (partition->there)
		syncmaster_lock_partitions(partition->relid, ExclusiveLock);
}

/*
 * Lock the partition against writers; or leave it if other sessions have
 * locked it, or if it does not exist any more.
 */
static bool
lock_or_pass_by(Partition *partition)
{
	ErrorData *error = syncmaster_try(lock, partition);

	if (error == NULL)
		return partition->there;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	tell_passed_by(partition);
	return false;
}

static void
tell(const Partition *partition)
{
	const char *done = partition->options->detach ? "detached" : "dropped";

	ereport(NOTICE,
			(partition->options->dry_run
				 ? errmsg("partition \"%s\" would be %s, with %lld rows",
						  partition->name, done, (long long) partition->rows)
				 : errmsg("partition \"%s\" is %s, with %lld rows",
						  partition->name, done, (long long) partition->rows)));
}

/*
 * Find the publications of a partition, while it is still part of them.
 * Nothing is locked yet: in some versions of PostgreSQL this waits for locks on
 * all tables that are published.
 */
static void
find_publications(Partition *partition)
{
	Oid	  types[2] = {OIDOID, OIDOID};
	Datum values[2];

	values[0] = ObjectIdGetDatum(partition->table);
	values[1] = ObjectIdGetDatum(partition->relid);
	partition->publications = syncmaster_query(PUBLICATIONS_QUERY, 2, types,
											   values);
}

static bool
is_named(const Partition *partition, const char *publication)
{
	ListCell *lc;

	foreach (lc, partition->named)
	{
		if (strcmp(lfirst(lc), publication) == 0)
			return true;
	}
	return false;
}

/*
 * Warn of subscribers: replication sends deletions of rows, but not that a
 * table was dropped or detached.  Each publication is named once.
 */
static void
warn_of_subscribers(Partition *partition)
{
	ListCell *lc;

	foreach (lc, partition->publications)
	{
		char **row = lfirst(lc);

		if (is_named(partition, row[0]))
			continue;
		partition->named = lappend(partition->named, row[0]);
		ereport(
			WARNING,
			(errmsg("subscribers keep the runs of partitions, as table "
					"\"%s\" is published by %s",
					row[1], row[0]),
			 errhint(
				 "Run the same command on each subscriber whose table has "
				 "partitions, and syncmaster_purge_runs() on the others.")));
	}
}

/*
 * Refuse a table with objects that react to the deletion of single rows.
 */
static void
require_free_rows(Oid relid)
{
	char *holders = syncmaster_describe_holders(relid);
	List *along = syncmaster_find_along(relid);
	List *declared = syncmaster_query_oid(DECLARED_QUERY, relid);

	if (holders == NULL && declared != NIL)
		holders = ((char **) linitial(declared))[0];
	if (holders == NULL && along != NIL)
		holders = psprintf("table \"%s\"",
						   ((AlongTable *) linitial(along))->name);
	if (holders == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partitions are not dropped, because something depends on "
					"single runs: %s",
					holders),
			 errhint("Delete old runs with syncmaster_purge_runs(), which "
					 "heeds it.")));
}

/*
 * Return whether the partition has all its partitions; if one is half detached,
 * warn.
 */
static bool
is_whole(const Partition *partition)
{
	if (partition->pending == NULL)
		return true;
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition \"%s\" was passed by, because the detaching of "
					"its partition \"%s\" was interrupted",
					partition->name, partition->pending),
			 errhint(
				 "Run ALTER TABLE ... DETACH PARTITION ... FINALIZE for it. "
				 "The next call tries again.")));
	return false;
}

/*
 * Return whether the owner of the partition may read all its rows; if not, warn.
 */
static bool
is_readable(const Partition *partition)
{
	if (check_enable_rls(partition->relid, InvalidOid, true) != RLS_ENABLED)
		return true;
	ereport(
		WARNING,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("partition \"%s\" was passed by, because row security may "
				"hide its runs from its owner",
				partition->name),
		 errhint("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY. The next call "
				 "tries again.",
				 partition->qualified)));
	return false;
}

/*
 * Drop or detach the partition if it holds nothing that is to stay; false if
 * it was left.
 */
static bool
drop_partition(Partition *partition)
{
	bool dry_run = partition->options->dry_run;

	if (!look_again(partition) || !is_past(partition) ||
		!is_readable(partition))
		return false;
	if (!is_old(partition, true))
	{
		tell_unknown_status(partition);
		return false;
	}
	find_publications(partition);
	if (!dry_run && !(lock_or_pass_by(partition) && look_again(partition)))
		return false;

	/* a trigger may have been created during the wait */
	require_free_rows(partition->table);
	if (!is_old(partition, false))
	{
		tell_unknown_status(partition);
		return false;
	}
	if (has_last_runs(partition) || !is_whole(partition))
		return false;
	if (!dry_run && !drop_or_pass_by(partition))
		return false;
	tell(partition);
	return true;
}

/*
 * Begin a transaction's work on the table.
 */
static void
begin(Partition *partition, ActingScope *acting)
{
	MigrationContext context;

	syncmaster_begin_command(&context, partition->options->procedure);
	partition->table =
		syncmaster_open_for_change(context.schema, context.namespace,
								   syncmaster_find_relation("run"), columns);
	partition->from = quote_qualified_identifier(context.schema, "run");
	if (syncmaster_is_distributed(partition->table))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("partitions of table \"%s.run\", which is "
							   "distributed by Citus, are not dropped",
							   context.schema),
						errhint("Delete old runs with "
								"syncmaster_purge_runs().")));
	if (syncmaster_is_partitioned(partition->table))
		require_free_rows(partition->table);
	syncmaster_begin_acting(acting,
							syncmaster_relation_owner(partition->table));
}

/*
 * Drop or detach all partitions that hold nothing but old runs; returns how
 * many.
 */
int64
syncmaster_drop_partitions(const PurgeOptions *options)
{
	MemoryContext caller_context = CurrentMemoryContext;
	Partition	  partition = {.options = options};
	ActingScope	  acting;
	List		 *rows;
	ListCell	 *lc;
	int64		  count = 0;

	partition.cutoff = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval,
		TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
		IntervalPGetDatum(&options->older_than)));
	syncmaster_begin_procedure();
	begin(&partition, &acting);
	MemoryContextSwitchTo(caller_context);
	rows = find_partitions(partition.table, InvalidOid);
	if (rows == NIL)
		ereport(NOTICE, (errmsg("table \"run\" has no partitions")));
	foreach (lc, rows)
	{
		char **row = lfirst(lc);
		bool   found;

		CHECK_FOR_INTERRUPTS();
		partition.relid = (Oid) strtoul(row[0], NULL, 10);
		found = drop_partition(&partition);
		syncmaster_commit_batch(&acting, found && !options->dry_run);
		if (found && !options->dry_run)
			syncmaster_require_confirmed_commit();
		count += found;
		MemoryContextSwitchTo(caller_context);
		if (found)
			warn_of_subscribers(&partition);
		begin(&partition, &acting);
		MemoryContextSwitchTo(caller_context);
	}
	syncmaster_end_acting(&acting);
	syncmaster_end_procedure();

	return count;
}
