/*-------------------------------------------------------------------------
 *
 * health_growth.c
 *	  Tables that only grow, and sequences that run out of numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "check/check.h"
#include "health/health.h"
#include "retention/retention.h"
#include "rows/rows.h"
#include "schema/schema.h"
#include "settings.h"

/* The share of a sequence's numbers from which on it is reported. */
#define WARNING_SHARE 0.5
#define ERROR_SHARE 0.9

/*
 * Report how large a growing table is, and rows that are older than the DBA's
 * setting allows.
 */
static void
report_growth(Health *health, const RelationInfo *growing,
			  const AppTable *table, int keep_last, Timestamp oldest)
{
	double		rows = syncmaster_estimate_rows(table->rel);
	double		bytes;
	const char *size =
		syncmaster_table_bytes(table->rel, &bytes)
			? psprintf(" in %s",
					   TextDatumGetCString(DirectFunctionCall1(
						   pg_size_pretty, Int64GetDatum((int64) bytes))))
			: ""; /* an index is locked, so the age is not known */
	const char *count = rows < 0
							? "rows"
							: syncmaster_count((int64) rows, "row", "rows");
	const char *about = psprintf("has %s%s%s, the oldest of %s",
								 rows < 0 ? "" : "about ", count, size,
								 timestamptz_to_str(oldest));
	const char *limit = "syncmaster.health_retention";
	const char *holders;

	if (syncmaster_health_retention == 0)
		syncmaster_add_finding(
			&health->findings, SEVERITY_INFO, "growth", growing->name, about,
			psprintf("Procedure %s() deletes old rows. With %s set, those "
					 "that are older become a warning.",
					 growing->purge, limit));
	else
	{
		holders = syncmaster_describe_holders(RelationGetRelid(table->rel));
		syncmaster_add_finding(
			&health->findings, SEVERITY_WARNING, "growth", growing->name,
			psprintf("%s, which is longer ago than %s%s", about,
					 syncmaster_limit_text(limit),
					 holders == NULL
						 ? ""
						 : psprintf("; old rows may be held by %s", holders)),
			psprintf("CALL %s(interval '%s'%s) deletes %s.", growing->purge,
					 GetConfigOptionByName(limit, NULL, false),
					 keep_last > 0 ? psprintf(", keep_last => %d", keep_last)
								   : "",
					 holders == NULL
						 ? "them"
						 : "those that are not held, and names the others. If "
						   "all that it leaves are held, as during a legal "
						   "hold, no other purge is needed: this warning ends "
						   "with the hold"));
	}
}

/*
 * Report results without a time, whose tasks were begun and not finished.
 */
static void
report_rows_without_time(Health *health, const RelationInfo *growing,
						 const AppTable *table)
{
	IdList ids;

	if (syncmaster_health_started == 0)
		return;
	syncmaster_init_ids(&ids);
	if (syncmaster_rows_without_time(
			table, syncmaster_ago(health, syncmaster_health_started), &ids) ==
		0)
		return;
	syncmaster_add_finding(
		&health->findings, SEVERITY_INFO, "growth", growing->name,
		psprintf("has %s without date_done, begun longer ago than %s: %s",
				 syncmaster_count(ids.count, "row", "rows"),
				 syncmaster_limit_text("syncmaster.health_started"),
				 syncmaster_list_ids(&ids)),
		psprintf("Their workers were killed, most likely. %s() deletes them "
				 "with the rows that came after them.",
				 growing->purge));
}

void
syncmaster_check_growth(Health *health)
{
	bool	  limited = syncmaster_health_retention > 0;
	Timestamp before = limited
						   ? syncmaster_ago(health, syncmaster_health_retention)
						   : DT_NOEND;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *growing = &syncmaster_relations[i];
		bool				is_run = strcmp(growing->name, "run") == 0;
		int keep_last = is_run && limited ? syncmaster_health_keep_last : 0;
		AppTable  table;
		Timestamp oldest;

		if (growing->time_column == NULL ||
			!syncmaster_may_look(
				health, "growth", growing->name,
				syncmaster_open_growing(growing, &table,
										health->extension.namespace)))
			continue;
		switch (syncmaster_oldest_row(&table, keep_last, NO_ENTRY_LIMIT, before,
									  &oldest))
		{
			case OLDEST_ROW_FOUND:
				report_growth(health, growing, &table, keep_last, oldest);
				break;
			case OLDEST_ROW_LOCKED:
				syncmaster_add_locked_index(health, "growth", growing->name);
				break;
			case OLDEST_ROW_NONE:
			case OLDEST_ROW_UNKNOWN: /* the relation is not the expected one */
				break;
		}
		if (!is_run)
			report_rows_without_time(health, growing, &table);
		syncmaster_close_app_table(&table);
	}
}

/*
 * The last number that fits into a sequence and its column; 0 if the sequence
 * does not count up.
 */
static int64
last_number(Oid sequence, Oid type)
{
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form;
	int64			 result = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	if (form->seqincrement > 0)
		result = type == INT4OID ? Min(form->seqmax, PG_INT32_MAX)
								 : form->seqmax;
	ReleaseSysCache(tuple);

	return result;
}

/*
 * Report a sequence that has few numbers left for the ids of a table.
 */
static void
check_sequence(Health *health, const char *name, const char *table)
{
	Oid		   sequence = get_relname_relid(name, health->extension.namespace);
	Oid		   relid = get_relname_relid(table, health->extension.namespace);
	AttrNumber attnum;
	int64	   last;
	int64	   next;
	double	   share;

	if (!OidIsValid(sequence) || !OidIsValid(relid) ||
		get_rel_relkind(sequence) != RELKIND_SEQUENCE)
		return;
	attnum = get_attnum(relid, "id");
	if (attnum <= 0 || !ConditionalLockRelationOid(sequence, AccessShareLock))
		return;
	last = last_number(sequence, get_atttype(relid, attnum));
	if (last <= 0 || (RecoveryInProgress() &&
					  get_rel_persistence(sequence) == RELPERSISTENCE_UNLOGGED))
		return;
	if (!syncmaster_next_value(sequence, &next))
		next = PG_INT64_MAX;
	share = Min((double) next / (double) last, 1);
	if (share < WARNING_SHARE)
		return;
	syncmaster_add_finding(
		&health->findings,
		share < ERROR_SHARE ? SEVERITY_WARNING : SEVERITY_ERROR, "sequences",
		name,
		psprintf("has used %d %% of the numbers that fit into column \"id\" of "
				 "table \"%s\" and into the sequence",
				 (int) (share * 100), table),
		"When none is left, no row can be added. See Numbers that run out in "
		"doc/retention.md.");
}

void
syncmaster_check_sequences(Health *health)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		if (relation->kind == RELKIND_SEQUENCE)
			check_sequence(health, relation->name, relation->ids_of);
		else if (relation->columns[0].filled_by == DEFAULT_SERIAL)
			check_sequence(health,
						   psprintf("%s_%s_seq", relation->name,
									relation->columns[0].name),
						   relation->name);
	}
}
