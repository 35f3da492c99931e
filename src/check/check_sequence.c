/*-------------------------------------------------------------------------
 *
 * check_sequence.c
 *	  The sequences of ids, and whether their values are past the ids.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/int.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "rows/rows.h"
#include "schema/schema.h"

#define SEQUENCE_QUERY \
	"SELECT format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, " \
	"    s.seqmax, s.seqcycle, s.seqcache, d.refobjid, d.refobjsubid " \
	"FROM pg_sequence s " \
	"LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass " \
	"    AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i') " \
	"    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 " \
	"WHERE s.seqrelid = $1"

/* Sequences that a column ($2) of a table ($1) owns, in a schema ($3). */
#define OWNED_QUERY \
	"SELECT c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid " \
	"WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'a' " \
	"AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 " \
	"AND d.refobjsubid = $2 AND c.relkind = 'S' AND c.relnamespace = $3"

#define EXPECTED_PARAMETERS \
	"AS bigint INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 NO " \
	"CYCLE"

/*
 * The statement that sets a sequence to the highest id of a table.  A repair
 * runs it at once with a constant, so that no code on the table runs with the
 * rights of the tables' owner.  A statement that is shown to a user, who runs
 * it later, has to look again.
 */
char *
syncmaster_set_value(const CheckContext *context, const char *sequence,
					 const char *table, const char *column)
{
	char	  *name = quote_literal_cstr(syncmaster_qualify(context, sequence));
	Oid		   relid = get_relname_relid(table, context->namespace);
	AttrNumber attnum = OidIsValid(relid) ? get_attnum(relid, column)
										  : InvalidAttrNumber;
	HighestValue known = HIGHEST_UNKNOWN;
	char		*reason = NULL;
	int64		 highest;

	if (context->repairs && attnum > 0 && syncmaster_has_ids(relid))
		known = syncmaster_highest_value(relid, attnum, &highest, &reason);
	switch (known)
	{
		case HIGHEST_FOUND:
			return psprintf("SELECT pg_catalog.setval(%s, " INT64_FORMAT ")",
							name, highest);
		case HIGHEST_NONE:
			return psprintf("SELECT pg_catalog.setval(%s, 1, false)", name);
		case HIGHEST_UNKNOWN:
			break;
	}
	return psprintf("SELECT pg_catalog.setval(%s, "
					"(SELECT pg_catalog.max(%s) FROM %s%s))",
					name, quote_identifier(column),
					syncmaster_is_partitioned(relid) ? "" : "ONLY ",
					syncmaster_qualify(context, table));
}

/*
 * The number that the sequence gives next, if it counts up by one; false
 * otherwise.
 */
bool
syncmaster_next_value(Oid sequence, int64 *next)
{
	Relation   rel = syncmaster_open_relation(sequence, AccessShareLock);
	DirectScan scan;
	bool	   result = false;

	*next = 0;
	if (!syncmaster_begin_scan(&scan, rel))
	{
		relation_close(rel, AccessShareLock);
		return false;
	}
	if (syncmaster_next_row(&scan))
	{
		bool isnull;

		result = true;

		*next = DatumGetInt64(
			slot_getattr(scan.slot, SEQ_COL_LASTVAL, &isnull));
		if (DatumGetBool(slot_getattr(scan.slot, SEQ_COL_CALLED, &isnull)))
			result = !pg_add_s64_overflow(*next, 1, next);
	}
	syncmaster_end_scan(&scan);
	relation_close(rel, AccessShareLock);

	return result;
}

/*
 * Return whether the caller may read the sequence's value and the ids.
 */
static bool
may_read(const CheckContext *context, Oid sequence, Oid table,
		 AttrNumber attnum)
{
	Oid role = GetUserId();

	return syncmaster_may_know(table, attnum) &&
		   (syncmaster_may_migrate(role, context->owner) ||
			pg_class_aclcheck(sequence, role, ACL_SELECT | ACL_USAGE) ==
				ACLCHECK_OK);
}

/*
 * Check the sequence's value.  "parameters" are statements that must run
 * before the sequence is set, or NULL; "maximum" is its limit.
 */
static void
check_value(CheckContext *context, const char *name, Oid sequence, Oid table,
			const char *column, const char *parameters, int64 maximum)
{
	AttrNumber	 attnum = get_attnum(table, column);
	Oid			 type = attnum > 0 ? get_atttype(table, attnum) : InvalidOid;
	Finding		*finding;
	HighestValue known;
	char		*reason = NULL;
	int64		 highest;
	int64		 next;
	bool		 has_next;
	bool		 subscribed;

	if (!syncmaster_has_ids(table) || (type != INT8OID && type != INT4OID))
		return;
	if (RecoveryInProgress() &&
		(get_rel_persistence(sequence) == RELPERSISTENCE_UNLOGGED ||
		 get_rel_persistence(table) == RELPERSISTENCE_UNLOGGED))
		return; /* an unlogged sequence has no value on a standby */
	if (!may_read(context, sequence, table, attnum))
	{
		(void) syncmaster_add_difference(
			context, SEVERITY_INFO, "sequence", name,
			"was not compared with the highest id, which you may not read");
		return;
	}
	known = syncmaster_highest_value(table, attnum, &highest, &reason);
	if (reason != NULL)
	{
		finding = syncmaster_add_difference(
			context, SEVERITY_INFO, "sequence", name,
			"was not compared with the highest id, which Citus could not tell");
		finding->actual = reason;
		finding->of_rows = true;
	}
	if (known != HIGHEST_FOUND)
		return;
	has_next = syncmaster_next_value(sequence, &next) && next <= maximum;
	if (has_next && next > highest)
		return;
	subscribed = has_next && syncmaster_is_subscribed(table);
	finding = syncmaster_add_difference(
		context, subscribed ? SEVERITY_INFO : SEVERITY_ERROR, "sequence", name,
		subscribed ? "is behind the highest id of its table, which a "
					 "subscription fills"
		: has_next ? "is behind the highest id of its table"
				   : "has no number left");
	finding->of_rows = true;
	finding->expected = psprintf("> " INT64_FORMAT, highest);
	finding->actual = has_next ? psprintf(INT64_FORMAT, next) : "none";
	finding->fix = syncmaster_set_value(context, name, get_rel_name(table),
										column);
	if (parameters != NULL)
		finding->fix = psprintf("%s; %s", parameters, finding->fix);
}

/*
 * Check the parameters of a sequence.  Returns the statement that corrects
 * those that matter, or NULL.
 */
static const char *
check_parameters(CheckContext *context, const char *name, char **row)
{
	bool right = strcmp(row[0], "bigint") == 0 && strcmp(row[1], "1") == 0 &&
				 strcmp(row[3], "9223372036854775807") == 0 && row[4][0] == 'f';
	const char *fix = NULL;
	Finding	   *finding;

	if (!right || strcmp(row[2], "1") != 0)
	{
		finding =
			syncmaster_add_difference(context,
									  right ? SEVERITY_INFO : SEVERITY_WARNING,
									  "sequence", name, "has other parameters");
		finding->expected = EXPECTED_PARAMETERS;
		finding->actual = psprintf("AS %s INCREMENT BY %s MINVALUE %s "
								   "MAXVALUE %s %s",
								   row[0], row[1], row[2], row[3],
								   row[4][0] == 't' ? "CYCLE" : "NO CYCLE");
		finding->fix = fix = psprintf("ALTER SEQUENCE %s " EXPECTED_PARAMETERS,
									  syncmaster_qualify(context, name));
	}
	if (strcmp(row[5], "1") != 0)
	{
		finding = syncmaster_add_difference(context, SEVERITY_INFO, "sequence",
											name, "has a cache");
		finding->expected = "CACHE 1";
		finding->actual = psprintf("CACHE %s", row[5]);
		finding->fix = psprintf("ALTER SEQUENCE %s CACHE 1",
								syncmaster_qualify(context, name));
	}
	return fix;
}

static void
check_ownership(CheckContext *context, const char *name, char **row, Oid table,
				const char *column, bool owned)
{
	Oid		   owner_table = row[6] != NULL ? (Oid) strtoul(row[6], NULL, 10)
											: InvalidOid;
	AttrNumber owner_column = row[7] != NULL
								  ? (AttrNumber) strtol(row[7], NULL, 10)
								  : 0;
	Finding	  *finding;

	if (!owned && !OidIsValid(owner_table))
		return;
	if (owned && owner_table == table &&
		owner_column == get_attnum(table, column))
		return;
	finding = syncmaster_add_difference(context, SEVERITY_WARNING, "sequence",
										name,
										owned ? "is not owned by its column"
											  : "is owned by a column");
	finding->expected =
		owned ? syncmaster_column_name(get_rel_name(table), column) : "none";
	finding->actual = OidIsValid(owner_table)
						  ? syncmaster_column_name(
								get_rel_name(owner_table),
								get_attname(owner_table, owner_column, false))
						  : "none";
	finding->fix = psprintf(
		"ALTER SEQUENCE %s OWNED BY %s", syncmaster_qualify(context, name),
		owned ? psprintf("%s.%s",
						 syncmaster_qualify(context, get_rel_name(table)),
						 quote_identifier(column))
			  : "NONE");
}

/*
 * Check a sequence that exists, for the ids of a column.
 */
void
syncmaster_check_sequence(CheckContext *context, const char *name, Oid table,
						  const char *column, bool owned)
{
	Oid			sequence = get_relname_relid(name, context->namespace);
	List	   *rows = syncmaster_query_oid(SEQUENCE_QUERY, sequence);
	const char *parameters;
	char	  **row;

	if (rows == NIL)
		return; /* dropped meanwhile */
	row = linitial(rows);
	parameters = check_parameters(context, name, row);
	check_ownership(context, name, row, table, column, owned);
	if (OidIsValid(table))
		check_value(context, name, sequence, table, column, parameters,
					DatumGetInt64(
						DirectFunctionCall1(int8in, CStringGetDatum(row[3]))));
}

/*
 * Statements that create the sequence of a bigserial column.
 */
char *
syncmaster_make_serial(const CheckContext *context,
					   const RelationInfo *relation, const ColumnInfo *column,
					   const char *name)
{
	const RelationInfo sequence = {.name = name, .kind = RELKIND_SEQUENCE};
	const char		  *table = syncmaster_qualify(context, relation->name);
	const char		  *id = quote_identifier(column->name);
	const char		  *qualified = syncmaster_qualify(context, name);

	return psprintf("%s; ALTER SEQUENCE %s OWNED BY %s.%s; %s; ALTER TABLE %s "
					"ALTER COLUMN %s SET DEFAULT pg_catalog.nextval(%s)",
					syncmaster_make_relation(context, &sequence), qualified,
					table, id,
					syncmaster_set_value(context, name, relation->name,
										 column->name),
					table, id, quote_literal_cstr(qualified));
}

/*
 * Name of the only sequence in the schema that a column owns, if it is not the
 * one that bigserial creates; NULL if there is none.
 */
static char *
other_sequence(const CheckContext *context, Oid relid, const char *column)
{
	Oid	   types[3] = {OIDOID, INT4OID, OIDOID};
	Datum  values[3];
	List  *rows;
	char **row;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int32GetDatum(get_attnum(relid, column));
	values[2] = ObjectIdGetDatum(context->namespace);
	rows = syncmaster_query(OWNED_QUERY, 3, types, values);
	if (list_length(rows) != 1)
		return NULL;
	row = linitial(rows);
	return strcmp(row[0], psprintf("%s_%s_seq", get_rel_name(relid), column)) ==
				   0
			   ? NULL
			   : row[0];
}

/*
 * Check the sequence of a bigserial column, if the table has one.
 */
void
syncmaster_check_serial(CheckContext *context, const RelationInfo *relation,
						Oid relid)
{
	const ColumnInfo *column = &relation->columns[0];
	char	*name = psprintf("%s_%s_seq", relation->name, column->name);
	Oid		 sequence = get_relname_relid(name, context->namespace);
	Finding *finding;
	char	*other;

	if (column->filled_by != DEFAULT_SERIAL)
		return;
	if (OidIsValid(sequence) && get_rel_relkind(sequence) == RELKIND_SEQUENCE)
	{
		syncmaster_check_relation(context, name, sequence);
		syncmaster_check_sequence(context, name, relid, column->name, true);
		return;
	}
	if (get_attnum(relid, column->name) <= 0)
		return; /* the column is missing, and reported already */
	other = other_sequence(context, relid, column->name);
	if (other != NULL)
	{
		finding = syncmaster_add_difference(context, SEVERITY_WARNING,
											"sequence", name,
											"has another name");
		finding->expected = name;
		finding->actual = other;
		finding->fix = psprintf("%sALTER SEQUENCE %s RENAME TO %s",
								syncmaster_free_name(context, name),
								syncmaster_qualify(context, other),
								quote_identifier(name));
		if (OidIsValid(sequence))
			finding->left = LEFT_NAME;
		return;
	}

	finding = syncmaster_add_difference(context, SEVERITY_ERROR, "sequence",
										name,
										OidIsValid(sequence) ? "is no sequence"
															 : "is missing");
	finding->expected = psprintf("owned by %s",
								 syncmaster_column_name(relation->name,
														column->name));
	finding->fix = psprintf("%s%s", syncmaster_free_name(context, name),
							syncmaster_make_serial(context, relation, column,
												   name));
	if (OidIsValid(sequence))
		finding->left = LEFT_NAME;
}
