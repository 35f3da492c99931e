/*-------------------------------------------------------------------------
 *
 * holders.c
 *	  What else is concerned when a row of a table is deleted.
 *
 * Tables of a DBA's own may refer to runs: by their foreign keys, rows go along
 * with a run, or hold it.  So may triggers and rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "retention/retention.h"

/*
 * The table and its partitions.  pg_partition_tree() would wait for a lock on
 * each of them.
 */
#define TABLES \
	"(WITH RECURSIVE tree (id) AS (SELECT $1 UNION SELECT i.inhrelid " \
	"FROM tree p JOIN pg_inherits i ON i.inhparent = p.id " \
	"JOIN pg_class k ON k.oid = i.inhrelid WHERE k.relispartition " \
	"AND (to_jsonb(i) ->> 'inhdetachpending') IS DISTINCT FROM 'true') " \
	"SELECT t.id FROM tree t)"

/* Since PostgreSQL 18, a foreign key may be declared and do nothing. */
#define ENFORCED_KEY \
	"c.contype = 'f' AND " \
	"(to_jsonb(c) ->> 'conenforced') IS DISTINCT FROM 'false' "

/*
 * Tables whose rows are deleted along, directly or by way of other such
 * tables.
 */
#define ALONG_QUERY \
	"WITH RECURSIVE along (id, col, depth) AS (" \
	"SELECT c.conrelid, CASE WHEN cardinality(c.conkey) = 1 THEN c.conkey[1] " \
	"END, 1 FROM pg_constraint c WHERE " ENFORCED_KEY \
	"AND c.confrelid IN " TABLES " AND c.confdeltype = 'c' " \
	"AND c.conrelid <> $1 " \
	"UNION " \
	"SELECT c.conrelid, NULL::int2, a.depth + 1 FROM along a " \
	"JOIN pg_constraint c ON c.confrelid = a.id " \
	"WHERE " ENFORCED_KEY "AND c.confdeltype = 'c' AND a.depth < 10) " \
	"SELECT DISTINCT ON (n.nspname, k.relname) a.id, " \
	"quote_ident(n.nspname) || '.' || quote_ident(k.relname), " \
	"(SELECT quote_ident(t.attname) FROM pg_attribute t " \
	"WHERE t.attrelid = a.id AND t.attnum = a.col) " \
	"FROM along a JOIN pg_class k ON k.oid = a.id " \
	"JOIN pg_namespace n ON n.oid = k.relnamespace " \
	"ORDER BY n.nspname, k.relname, a.depth"

/*
 * These tables and all whose rows are deleted along: what holds such a row
 * holds the row of the table, too.
 */
#define REACHED_TABLES \
	"(WITH RECURSIVE reached (id) AS (SELECT s.id FROM " TABLES " s (id) " \
	"UNION SELECT c.conrelid FROM reached p " \
	"JOIN pg_constraint c ON c.confrelid = p.id " \
	"WHERE " ENFORCED_KEY "AND c.confdeltype = 'c') " \
	"SELECT t.id FROM reached t)"

/*
 * Triggers and rules on the tables that may keep a row from being deleted, or
 * refuse it; with their table, unless it is the one that is purged.  A
 * partition's copy of a trigger can be enabled alone; before PostgreSQL 15 it
 * is marked as internal, like the triggers of a constraint.  The rules of
 * partitions do nothing here.
 */
#define TRIGGERS_AND_RULES(tables, trigger_type) \
	"SELECT DISTINCT concat(o.kind, ' \"', o.name, '\"', " \
	"(SELECT format(' of table \"%s.%s\"', n.nspname, k.relname) " \
	"FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace " \
	"WHERE k.oid = o.relid AND k.oid NOT IN " TABLES ")) FROM (" \
	"SELECT 'trigger', t.tgname, t.tgrelid FROM pg_trigger t " \
	"WHERE t.tgrelid IN " tables " AND t.tgenabled <> 'D' " \
	"AND NOT EXISTS (SELECT FROM pg_constraint c " \
	"WHERE c.oid = t.tgconstraint AND c.contype <> 't') " \
	"AND t.tgtype & " trigger_type " = " trigger_type " " \
	"UNION ALL " \
	"SELECT 'rule', r.rulename, r.ev_class FROM pg_rewrite r " \
	"WHERE r.ev_class IN (SELECT $1 UNION ALL " \
	"(SELECT f.id FROM " tables " f (id) EXCEPT " TABLES ")) " \
	"AND r.ev_type = '4' AND r.ev_enabled <> 'D') o (kind, name, relid)"

/* What may refuse the deletion of rows; 8 is a trigger's bit for DELETE. */
#define HOLDERS_QUERY \
	"SELECT string_agg(h.what, ', ' ORDER BY h.what) FROM (" \
	"SELECT format('foreign key \"%s\" of table \"%s.%s\"', c.conname, " \
	"n.nspname, k.relname) AS what FROM pg_constraint c " \
	"JOIN pg_class k ON k.oid = c.conrelid " \
	"JOIN pg_namespace n ON n.oid = k.relnamespace " \
	"WHERE " ENFORCED_KEY "AND c.confrelid IN " REACHED_TABLES \
	" AND (c.confrelid = $1 OR c.conparentid = 0) AND c.confdeltype <> 'c' " \
	"UNION ALL " TRIGGERS_AND_RULES(REACHED_TABLES, "8") ") h"

/*
 * What may keep rows without an error; 11 is BEFORE DELETE FOR EACH ROW.  A row
 * that is kept in another table does not keep its run.
 */
#define KEEPERS_QUERY \
	"SELECT string_agg(h.what, ' or ' ORDER BY h.what) FROM " \
	"(" TRIGGERS_AND_RULES(TABLES, "11") ") h (what)"

/*
 * The tables whose rows are deleted along with those of a table, as
 * AlongTables.
 */
List *
syncmaster_find_along(Oid relid)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(ALONG_QUERY, relid))
	{
		char	  **row = lfirst(lc);
		AlongTable *along = palloc0(sizeof(AlongTable));

		along->relid = (Oid) strtoul(row[0], NULL, 10);
		along->name = row[1];
		along->column = row[2];
		result = lappend(result, along);
	}
	return result;
}

/*
 * What may refuse the deletion of rows of a table, as a list; NULL for
 * nothing.
 */
char *
syncmaster_describe_holders(Oid relid)
{
	List *rows = syncmaster_query_oid(HOLDERS_QUERY, relid);

	return ((char **) linitial(rows))[0];
}

/*
 * What may keep rows of a table without an error, as a list; NULL for nothing.
 */
char *
syncmaster_describe_keepers(Oid relid)
{
	List *rows = syncmaster_query_oid(KEEPERS_QUERY, relid);

	return ((char **) linitial(rows))[0];
}
