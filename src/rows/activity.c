/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  Who else is at work in this database: sessions, and runs of transfers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

/* How many runs of one status are counted. */
#define MAX_RUNS_COUNTED 1000

/*
 * pg_stat_activity hides the state, and the type of process, from roles that
 * may not see them.
 */
#define SESSIONS_QUERY \
	"SELECT format('process %s (user \"%s\", application \"%s\", %s%s)', " \
	"              a.pid, a.usename, a.application_name, " \
	"              coalesce(a.state, 'state not shown'), " \
	"              ' since ' || date_trunc('second', " \
	"                  coalesce(a.xact_start, a.state_change))::text), " \
	"       coalesce(a.xact_start IS NOT NULL, false), " \
	"       EXISTS (SELECT 1 FROM unnest($1) t WHERE has_table_privilege(" \
	"           a.usesysid, t, 'INSERT, UPDATE, DELETE, TRUNCATE')), " \
	"       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start) " \
	"                * 1000, 0)::int8, " \
	"       a.application_name ~ '^citus_[a-z_]+ gpid=' " \
	"           AND coalesce(a.state = 'idle', false) " \
	"           AND to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL " \
	"FROM pg_stat_activity a " \
	"WHERE a.datid = (SELECT oid FROM pg_database " \
	"                 WHERE datname = current_database()) " \
	"AND a.pid <> pg_backend_pid() AND a.usename IS NOT NULL " \
	"AND coalesce(a.backend_type, 'client backend') = 'client backend' " \
	"ORDER BY a.backend_start, a.pid"

/*
 * The sessions of other clients, oldest first, as OtherSessions.
 */
List *
syncmaster_other_sessions(Oid namespace)
{
	Oid		  types[1] = {OIDARRAYOID};
	Datum	  values[1];
	List	 *sessions = NIL;
	ListCell *lc;

	values[0] = syncmaster_oid_array(syncmaster_present_tables(namespace));
	foreach (lc, syncmaster_query(SESSIONS_QUERY, 1, types, values))
	{
		char		**row = lfirst(lc);
		OtherSession *session = palloc0(sizeof(OtherSession));

		session->description = row[0];
		session->in_transaction = row[1] != NULL && row[1][0] == 't';
		session->may_write = row[2] != NULL && row[2][0] == 't';
		session->between_nodes = row[4] != NULL && row[4][0] == 't';
		session->age = row[3] == NULL ? 0 : strtoll(row[3], NULL, 10);
		sessions = lappend(sessions, session);
	}
	return sessions;
}

/* RunReader: counts the run. */
static bool
count_run(void *state, int status, const AppTable *runs, TupleTableSlot *slot)
{
	int *counts = (int *) state;

	(void) runs;
	(void) slot;
	return ++counts[status] < MAX_RUNS_COUNTED;
}

static ActiveRuns
describe_runs(const int *counts, char **description)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		if (counts[i] > 0)
			appendStringInfo(&text, "%s%s%d %s", text.len > 0 ? ", " : "",
							 counts[i] == MAX_RUNS_COUNTED ? "at least " : "",
							 counts[i], syncmaster_run_statuses[i]);
	}
	*description = text.data;
	return text.len > 0 ? RUNS_ACTIVE : RUNS_NONE;
}

typedef struct DistributedCount
{
	Oid relid;
	int counts[NACTIVE_STATUSES];
} DistributedCount;

/* SubtransactionBody: counts by SQL, as the owner. */
static void
ask_distributed(void *argument)
{
	DistributedCount *count = argument;
	const char		 *name = syncmaster_quoted_relation(count->relid);

	for (int i = 0; i < NACTIVE_STATUSES; i++)
	{
		bool isnull;

		count->counts[i] = (int) syncmaster_query_int8_as(
			psprintf("SELECT count(*) FROM (SELECT 1 FROM %s WHERE "
					 "status::text OPERATOR(pg_catalog.=) %s LIMIT %d) r",
					 name, quote_literal_cstr(syncmaster_run_statuses[i]),
					 MAX_RUNS_COUNTED),
			syncmaster_relation_owner(count->relid), &isnull);
	}
}

/*
 * Count the active runs of a table whose rows Citus has.  The other nodes may
 * be out of reach.
 */
static ActiveRuns
count_distributed(Oid namespace, char **description)
{
	DistributedCount count = {get_relname_relid("run", namespace), {0}};

	*description = syncmaster_ask_elsewhere(ask_distributed, &count);
	if (*description == NULL)
		return describe_runs(count.counts, description);
	return RUNS_UNREADABLE;
}

/*
 * Count the active runs of each status.  The table is read directly: the
 * caller may lack SELECT, and the owner's policies must not run.  The caller
 * gets no more than these numbers.
 */
ActiveRuns
syncmaster_active_runs(Oid namespace, bool at_any_cost, char **description)
{
	int			  counts[NACTIVE_STATUSES] = {0};
	AppTable	  runs;
	bool		  complete[NACTIVE_STATUSES];
	RunReadResult result;

	*description = NULL;
	switch (syncmaster_open_runs(&runs, namespace))
	{
		case APP_TABLE_OPEN:
			break;
		case APP_TABLE_MISSING:
			return RUNS_NONE;
		case APP_TABLE_LOCKED:
			return RUNS_LOCKED;
		case APP_TABLE_DISTRIBUTED:
			return count_distributed(namespace, description);
		case APP_TABLE_UNREADABLE:
			return RUNS_UNREADABLE;
	}
	result = syncmaster_read_active_runs(&runs, NO_ENTRY_LIMIT,
										 at_any_cost ? MaxBlockNumber
													 : MAX_BLOCKS_READ,
										 count_run, counts, complete);
	syncmaster_close_app_table(&runs);
	if (result != RUN_READ_DONE)
		return RUNS_EXPENSIVE;
	return describe_runs(counts, description);
}
