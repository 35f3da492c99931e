/*-------------------------------------------------------------------------
 *
 * version_table.c
 *	  The row of alembic_version, which says at which revision a database is.
 *
 * It is the only truth about the schema; Alembic reads and writes the same row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "schema/schema.h"

/*
 * The only revision of SyncMaster 0.1.x, whose migrations were written anew
 * for 0.2.0.
 */
#define LEGACY_REVISION "478240cdad4b"

/* How many rows are read. */
#define MAX_VERSION_ROWS 100

/*
 * Return whether this is Alembic's table, so that its first column can be
 * read.
 */
static bool
is_version_table(Relation rel)
{
	TupleDesc		  desc = RelationGetDescr(rel);
	Form_pg_attribute att;

	if (rel->rd_rel->relkind != RELKIND_RELATION || desc->natts < 1)
		return false;
	att = TupleDescAttr(desc, 0);
	return !att->attisdropped && att->atttypid == VARCHAROID &&
		   strcmp(NameStr(att->attname), "version_num") == 0;
}

/*
 * Tell a later revision of SyncMaster from one of another application.  Later
 * releases of SyncMaster need not number their revisions: if all of
 * SyncMaster's tables exist, any other text is taken for a later release's.
 */
static void
classify_revision(SchemaRevision *revision, Oid namespace)
{
	int	 number = syncmaster_revision_number(revision->id);
	bool numbered = strlen(revision->id) == 4 &&
					strspn(revision->id, "0123456789") == 4;

	if (number > REVISION_BASE)
	{
		revision->state = REVISION_KNOWN;
		revision->number = number;
	}
	else if (strcmp(revision->id, LEGACY_REVISION) == 0)
		revision->state = REVISION_LEGACY;
	else if (numbered ? strcmp(revision->id,
							   syncmaster_revision_info(REVISION_HEAD)->id) > 0
					  : revision->id[0] != '\0' &&
							syncmaster_has_own_tables(namespace))
		revision->state = REVISION_NEWER;
	else
		revision->state = REVISION_UNKNOWN;
}

/*
 * Open alembic_version; NULL if it is not there, or not Alembic's.
 */
static Relation
open_version_table(Oid namespace, SchemaRevision *revision)
{
	Relation rel;

	memset(revision, 0, sizeof(*revision));
	rel = syncmaster_open_named(VERSION_TABLE, namespace, AccessShareLock);
	if (rel == NULL)
	{
		revision->state = REVISION_NO_TABLE;
		return NULL;
	}
	revision->version_table = RelationGetRelid(rel);
	if (!is_version_table(rel))
	{
		revision->state = REVISION_BAD_TABLE;
		relation_close(rel, AccessShareLock);
		return NULL;
	}
	revision->state = REVISION_NO_ROW;
	return rel;
}

/*
 * Add the text of one more row.  If one of several rows names a later
 * release's revision, the schema is newer: that release may have two heads.
 */
static void
add_row(SchemaRevision *revision, char *id, Oid namespace)
{
	SchemaRevision row = {.id = id, .number = REVISION_BASE};
	bool		   another = revision->state != REVISION_NO_ROW;

	classify_revision(&row, namespace);
	if (another)
		revision->rows = psprintf("%s, %s", revision->rows, id);
	else
		revision->rows = id;
	if (revision->state == REVISION_NEWER)
		return;
	if (another && row.state != REVISION_NEWER)
	{
		row.id = NULL;
		row.number = REVISION_BASE;
		row.state = REVISION_MANY_ROWS;
	}
	revision->state = row.state;
	revision->number = row.number;
	revision->id = row.id;
}

/*
 * Read the revision from alembic_version in this schema.  Every role may do
 * that.
 */
void
syncmaster_read_revision(Oid namespace, SchemaRevision *revision)
{
	Relation   rel = open_version_table(namespace, revision);
	DirectScan scan;
	int		   count = 0;

	if (rel == NULL)
		return;
	if (!syncmaster_begin_scan(&scan, rel))
	{
		revision->state = syncmaster_is_distributed(RelationGetRelid(rel))
							  ? REVISION_DISTRIBUTED
							  : REVISION_BAD_TABLE;
		relation_close(rel, AccessShareLock);
		return;
	}
	while (count < MAX_VERSION_ROWS && syncmaster_next_row(&scan))
	{
		bool  isnull;
		Datum value = slot_getattr(scan.slot, 1, &isnull);

		add_row(revision, isnull ? pstrdup("") : TextDatumGetCString(value),
				namespace);
		count++;
	}
	if (count == 1)
		revision->rows = NULL;
	syncmaster_end_scan(&scan);
	relation_close(rel, AccessShareLock);
}

/*
 * Report an alembic_version that does not name a revision that can be
 * migrated.
 */
List *
syncmaster_revision_problems(Oid namespace, const SchemaRevision *revision)
{
	char	*schema = get_namespace_name(namespace);
	List	*problems = NIL;
	Finding *finding;

	switch (revision->state)
	{
		case REVISION_BAD_TABLE:
			finding = syncmaster_add_error(
				&problems, ERRCODE_WRONG_OBJECT_TYPE, VERSION_TABLE,
				finding_message("relation \"%s.%s\" is not Alembic's table",
								schema, VERSION_TABLE),
				"Rename that relation, or use another schema: CREATE "
				"EXTENSION syncmaster SCHEMA name.");
			finding->detail = pstrdup("Alembic's table is an ordinary table "
									  "whose first column is \"version_num\" "
									  "of type character varying.");
			break;
		case REVISION_DISTRIBUTED:
			syncmaster_add_error(
				&problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				VERSION_TABLE,
				finding_message("table \"%s.%s\" is distributed by Citus",
								schema, VERSION_TABLE),
				psprintf("Make it an ordinary table again, on the coordinator: "
						 "%s.",
						 syncmaster_undistribute(namespace, VERSION_TABLE)));
			break;
		case REVISION_MANY_ROWS:
			syncmaster_add_error(
				&problems, ERRCODE_CARDINALITY_VIOLATION, VERSION_TABLE,
				finding_message("table \"%s.%s\" has more than one row", schema,
								VERSION_TABLE),
				"Find out which revision the schema is really at, and delete "
				"the other rows.");
			break;
		case REVISION_LEGACY:
			finding = syncmaster_add_error(
				&problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				VERSION_TABLE,
				finding_message("schema \"%s\" was made by SyncMaster 0.1.x "
								"(revision %s)",
								schema, revision->id),
				"Install into an empty schema or database, and copy the rows "
				"that you need.");
			finding->detail = pstrdup("SyncMaster has no migration from "
									  "there to 0.2.0 and later.");
			break;
		case REVISION_UNKNOWN:
			syncmaster_add_error(
				&problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				VERSION_TABLE,
				finding_message("unknown revision \"%s\" in table \"%s.%s\"",
								revision->id, schema, VERSION_TABLE),
				"If the table belongs to another application, use another "
				"schema: CREATE EXTENSION syncmaster SCHEMA name. If it is "
				"SyncMaster's, restore the revision that the schema is "
				"really at.");
			break;
		case REVISION_NEWER:
			syncmaster_newer_problem(&problems, namespace, revision);
			break;
		case REVISION_NO_TABLE:
		case REVISION_NO_ROW:
		case REVISION_KNOWN:
			break;
	}
	return problems;
}

/*
 * The finding that the schema is newer than the library, as a list; empty if
 * it is not.
 */
static List *
find_newer(Oid namespace)
{
	SchemaRevision revision;
	List		  *problems = NIL;

	syncmaster_read_revision(namespace, &revision);
	syncmaster_newer_problem(&problems, namespace, &revision);
	return problems;
}

/*
 * Refuse to work on a schema that is newer than the library.
 */
void
syncmaster_refuse_newer(Oid namespace)
{
	syncmaster_raise_error(find_newer(namespace));
}

/*
 * Warn that the schema is newer than the library, in a function that works
 * nevertheless.
 */
void
syncmaster_warn_of_newer(Oid namespace)
{
	syncmaster_report_findings(find_newer(namespace), WARNING);
}

/*
 * Read the revision for a migration, which needs a known one.
 */
void
syncmaster_require_revision(Oid namespace, SchemaRevision *revision)
{
	syncmaster_read_revision(namespace, revision);
	syncmaster_raise_error(syncmaster_revision_problems(namespace, revision));
}

/*
 * DDL of Alembic's table.
 */
char *
syncmaster_version_table_ddl(const char *schema)
{
	return psprintf("CREATE TABLE %s ("
					"version_num varchar(32) NOT NULL, "
					"CONSTRAINT alembic_version_pkc "
					"PRIMARY KEY (version_num))",
					quote_qualified_identifier(schema, VERSION_TABLE));
}

/*
 * The statement that takes the row from one revision to another.  Both are
 * texts of this library.
 */
char *
syncmaster_stamp_sql(const char *schema, int from, int to)
{
	const char *relname = quote_qualified_identifier(schema, VERSION_TABLE);
	char	   *from_id = syncmaster_revision_id(from);
	char	   *to_id = syncmaster_revision_id(to);

	if (from == REVISION_BASE)
		return psprintf("INSERT INTO %s (version_num) VALUES ('%s')", relname,
						to_id);
	if (to == REVISION_BASE)
		return psprintf("DELETE FROM ONLY %s WHERE version_num = '%s'", relname,
						from_id);
	return psprintf("UPDATE ONLY %s SET version_num = '%s' "
					"WHERE version_num = '%s'",
					relname, to_id, from_id);
}

static void
write_revision(Oid namespace, Oid version_table, int from, int to)
{
	syncmaster_execute_as(syncmaster_stamp_sql(get_namespace_name(namespace),
											   from, to),
						  syncmaster_relation_owner(version_table));
	CommandCounterIncrement();
}

/*
 * Write the revision, as the owner of alembic_version, whose triggers and
 * rules may run here; so the row is read back, into *revision, which says
 * what it was before.  An index function of that role may even have taken the
 * table away while the step ran.
 */
void
syncmaster_stamp_revision(Oid namespace, SchemaRevision *revision, int to)
{
	int		 from = revision->number;
	Relation rel = open_version_table(namespace, revision);

	if (rel != NULL)
	{
		relation_close(rel, AccessShareLock);
		write_revision(namespace, revision->version_table, from, to);
	}

	syncmaster_read_revision(namespace, revision);
	if (revision->number != to ||
		revision->state !=
			(to == REVISION_BASE ? REVISION_NO_ROW : REVISION_KNOWN))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("could not write revision %s to table %s",
						syncmaster_revision_id(to),
						quote_qualified_identifier(
							get_namespace_name(namespace), VERSION_TABLE)),
				 errhint("Look for a trigger, rule or policy on that table, "
						 "and drop it.")));
}
