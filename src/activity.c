/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  Who else is at work in this database: sessions, and runs of transfers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "activity.h"
#include "execute.h"
#include "relation.h"
#include "scan.h"

/* Runs of one status past this many are not counted. */
#define MAX_RUNS_COUNTED 1000

/* A table without a fitting index is read from end to end up to this size. */
#define MAX_BLOCKS_READ 10000

/* Statuses of a run that a service is at work on, or will be. */
static const char *const active_statuses[] = {"CREATED", "STARTED",
											  "SEND_STOP_SIGNAL"};
static const int nactive_statuses = lengthof(active_statuses);

/*
 * pg_stat_activity hides the state, and what kind of process it is, from
 * those who may not see it.
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
	"                * 1000, 0)::int8 " \
	"FROM pg_stat_activity a " \
	"WHERE a.datid = (SELECT oid FROM pg_database " \
	"                 WHERE datname = current_database()) " \
	"AND a.pid <> pg_backend_pid() AND a.usename IS NOT NULL " \
	"AND coalesce(a.backend_type, 'client backend') = 'client backend' " \
	"ORDER BY a.backend_start, a.pid"

/*
 * The application's tables that are there, as an array of their OIDs.
 */
static ArrayType *
table_oids(Oid namespace)
{
	Datum *oids = palloc(syncmaster_nrelations * sizeof(Datum));
	int count = 0;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, namespace);

		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION)
			oids[count++] = ObjectIdGetDatum(relid);
	}
	return construct_array(oids, count, OIDOID, sizeof(Oid), true,
						   TYPALIGN_INT);
}

/*
 * The sessions of other clients, oldest first, as OtherSessions.
 */
List *
syncmaster_other_sessions(Oid namespace)
{
	MemoryContext caller_context = CurrentMemoryContext;
	Oid types[1] = {OIDARRAYOID};
	Datum values[1];
	List *sessions = NIL;
	int save_nestlevel;

	values[0] = PointerGetDatum(table_oids(namespace));
	save_nestlevel = syncmaster_begin_query();
	if (SPI_execute_with_args(SESSIONS_QUERY, 1, types, values, NULL, true,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_stat_activity");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		MemoryContext old_context = MemoryContextSwitchTo(caller_context);
		OtherSession *session = palloc0(sizeof(OtherSession));
		bool isnull;

		session->description = SPI_getvalue(tuple, desc, 1);
		session->in_transaction = DatumGetBool(
			SPI_getbinval(tuple, desc, 2, &isnull));
		session->may_write = DatumGetBool(
			SPI_getbinval(tuple, desc, 3, &isnull));
		session->age = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));
		sessions = lappend(sessions, session);
		MemoryContextSwitchTo(old_context);
	}
	syncmaster_end_query(save_nestlevel);

	return sessions;
}

/*
 * A B-tree whose first column is the given one, complete and in the usual
 * order, so that it can be searched for a text.  Nothing here looks into a
 * predicate, which might run a function of the table's owner.
 */
static Oid
find_index(Relation rel, AttrNumber attnum)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach (lc, indexes)
	{
		Oid indexid = lfirst_oid(lc);
		Relation index = index_open(indexid, AccessShareLock);
		bool fits = index->rd_rel->relam == BTREE_AM_OID &&
					index->rd_index->indisvalid &&
					index->rd_index->indkey.values[0] == attnum &&
					index->rd_opfamily[0] == TEXT_BTREE_FAM_OID &&
					index->rd_indcollation[0] ==
						TupleDescAttr(RelationGetDescr(rel), attnum - 1)
							->attcollation &&
					heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred,
								   NULL);

		index_close(index, AccessShareLock);
		if (fits)
			return indexid;
	}
	return InvalidOid;
}

/*
 * Count the rows of one status, by an index.
 */
static int
count_by_index(Relation rel, Oid indexid, AttrNumber attnum, const char *status)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	ScanKeyData key[1];
	SysScanDesc scan;
	int count = 0;

	ScanKeyEntryInitialize(&key[0], 0, attnum, BTEqualStrategyNumber, TEXTOID,
						   att->attcollation, F_TEXTEQ,
						   CStringGetTextDatum(status));
	scan = systable_beginscan(rel, indexid, true, GetActiveSnapshot(), 1, key);
	while (count < MAX_RUNS_COUNTED && HeapTupleIsValid(systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	systable_endscan(scan);

	return count;
}

/*
 * Count all of them in one pass.
 */
static void
count_by_reading(Relation rel, AttrNumber attnum, int *counts)
{
	DirectScan scan;

	syncmaster_begin_scan(&scan, rel);
	while (syncmaster_next_row(&scan))
	{
		bool isnull;
		Datum value = slot_getattr(scan.slot, attnum, &isnull);
		char *status;

		if (isnull)
			continue;
		status = TextDatumGetCString(value);
		for (int i = 0; i < nactive_statuses; i++)
		{
			if (counts[i] < MAX_RUNS_COUNTED &&
				strcmp(status, active_statuses[i]) == 0)
				counts[i]++;
		}
		pfree(status);
	}
	syncmaster_end_scan(&scan);
}

/*
 * How many runs of which status are active?  The table is read directly: the
 * caller may lack SELECT, and the owner's policies must not run.  No more than
 * these numbers comes out.
 */
ActiveRuns
syncmaster_active_runs(Oid namespace, bool at_any_cost, char **description)
{
	Oid relid = get_relname_relid("run", namespace);
	int counts[lengthof(active_statuses)] = {0};
	StringInfoData text;
	AttrNumber attnum;
	Relation rel;
	Oid indexid;

	*description = NULL;
	if (!OidIsValid(relid))
		return RUNS_NONE;
	if (get_rel_relkind(relid) != RELKIND_RELATION ||
		(attnum = get_attnum(relid, "status")) <= 0 ||
		get_atttype(relid, attnum) != VARCHAROID)
		return RUNS_UNREADABLE;
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return RUNS_LOCKED;

	rel = table_open(relid, NoLock);
	indexid = find_index(rel, attnum);
	if (!OidIsValid(indexid) && !at_any_cost &&
		RelationGetNumberOfBlocks(rel) > MAX_BLOCKS_READ)
	{
		table_close(rel, AccessShareLock);
		return RUNS_EXPENSIVE;
	}
	if (!OidIsValid(indexid))
		count_by_reading(rel, attnum, counts);
	else
	{
		for (int i = 0; i < nactive_statuses; i++)
			counts[i] = count_by_index(rel, indexid, attnum,
									   active_statuses[i]);
	}
	table_close(rel, AccessShareLock);

	initStringInfo(&text);
	for (int i = 0; i < nactive_statuses; i++)
	{
		if (counts[i] > 0)
			appendStringInfo(&text, "%s%s%d %s", text.len > 0 ? ", " : "",
							 counts[i] == MAX_RUNS_COUNTED ? "at least " : "",
							 counts[i], active_statuses[i]);
	}
	*description = text.data;
	return text.len > 0 ? RUNS_ACTIVE : RUNS_NONE;
}
