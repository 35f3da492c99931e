/*-------------------------------------------------------------------------
 *
 * newer.c
 *	  A schema that is newer than the library.
 *
 * A later release of SyncMaster may have brought tables and columns of which
 * this library knows nothing.  A function that would do half of its work there
 * refuses; one that can do no harm works, and says what it does not know.
 * Nothing advises to change such a schema.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "schema/schema.h"

/* Unknown objects past this many are only counted. */
#define MAX_UNKNOWN_NAMED 10

/*
 * What belongs to the owner of SyncMaster's tables and is unknown: tables and
 * sequences, and columns of known tables.
 */
#define UNKNOWN_QUERY \
	"SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, " \
	"    c.relname " \
	"FROM pg_class c WHERE c.relnamespace = $1 AND c.relowner = $2 " \
	"AND c.relkind IN ('r', 'p', 'S') AND c.relname <> ALL ($3) " \
	"AND NOT c.relispartition " \
	"AND NOT EXISTS (SELECT FROM pg_depend d " \
	"    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid " \
	"    AND (d.deptype = 'e' OR " \
	"         (c.relkind = 'S' AND d.deptype IN ('a', 'i')))) " \
	"UNION ALL " \
	"SELECT 'column', c.relname || '.' || a.attname " \
	"FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid " \
	"WHERE c.relnamespace = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 " \
	"AND NOT a.attisdropped AND c.relname = ANY ($3) " \
	"AND c.relname || '.' || a.attname <> ALL ($4) " \
	"ORDER BY 1 DESC, 2"

/*
 * What this library does not know among the tables, as a list of Finding whose
 * kind and subject name it.
 */
List *
syncmaster_unknown_objects(Oid namespace)
{
	const RelationInfo *first = syncmaster_first_relation(namespace);
	Oid					types[] = {OIDOID, OIDOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum				values[4];
	List			   *relations = list_make1(VERSION_TABLE);
	List			   *columns = list_make1(VERSION_TABLE ".version_num");
	List			   *result = NIL;
	ListCell		   *lc;

	if (first == NULL)
		return NIL;
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];

		relations = lappend(relations, (char *) relation->name);
		if (relation->columns == NULL)
			continue;
		for (const ColumnInfo *column =
				 syncmaster_columns_at(relation, REVISION_HEAD);
			 column->name != NULL; column++)
			columns = lappend(columns,
							  psprintf("%s.%s", relation->name, column->name));
	}
	values[0] = ObjectIdGetDatum(namespace);
	values[1] = ObjectIdGetDatum(
		syncmaster_relation_owner(syncmaster_relation_oid(first, namespace)));
	values[2] = syncmaster_text_array(relations);
	values[3] = syncmaster_text_array(columns);
	foreach (lc,
			 syncmaster_query(UNKNOWN_QUERY, lengthof(types), types, values))
	{
		char **row = lfirst(lc);

		syncmaster_add_finding(&result, SEVERITY_INFO, row[0], row[1],
							   "is not known to the library", NULL);
	}
	return result;
}

/*
 * The unknown objects in a sentence; NULL if there is none.
 */
static char *
describe_unknown(Oid namespace)
{
	List		  *objects = syncmaster_unknown_objects(namespace);
	StringInfoData text;
	int			   count = 0;
	ListCell	  *lc;

	if (objects == NIL)
		return NULL;
	initStringInfo(&text);
	appendStringInfoString(&text, "The library does not know ");
	foreach (lc, objects)
	{
		const Finding *object = lfirst(lc);

		if (count++ == MAX_UNKNOWN_NAMED)
			break;
		appendStringInfo(&text, "%s%s \"%s\"", count > 1 ? ", " : "",
						 object->kind, object->subject);
	}
	if (list_length(objects) > MAX_UNKNOWN_NAMED)
		appendStringInfo(&text, " and %d more",
						 list_length(objects) - MAX_UNKNOWN_NAMED);
	appendStringInfoChar(&text, '.');

	return text.data;
}

/*
 * What to do if the schema is newer than the library.  If alembic_version has
 * several rows, the unknown one may be another application's, for which there
 * is no newer package.
 */
char *
syncmaster_newer_advice(const SchemaRevision *revision)
{
	return revision->rows == NULL
			   ? pstrdup("install a newer package of syncmaster")
			   : psprintf("install a newer package of syncmaster, or delete "
						  "row \"%s\" if it is another application's",
						  revision->id);
}

static char *
as_sentence(char *text)
{
	text[0] = pg_toupper((unsigned char) text[0]);
	return psprintf("%s.", text);
}

/*
 * A finding that the schema is newer than the library; NULL if it is not.
 */
Finding *
syncmaster_newer_problem(List				 **problems, Oid namespace,
						 const SchemaRevision *revision)
{
	Finding *finding;

	if (revision->state != REVISION_NEWER)
		return NULL;
	finding = syncmaster_add_error(
		problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, VERSION_TABLE,
		finding_message("schema \"%s\" is at revision %s, but this library "
						"knows revisions up to %s",
						get_namespace_name(namespace), revision->id,
						syncmaster_revision_id(REVISION_HEAD)),
		as_sentence(syncmaster_newer_advice(revision)));
	finding->detail = describe_unknown(namespace);
	if (revision->rows != NULL)
		finding->detail =
			psprintf("Table \"%s\" has several rows: %s.%s%s", VERSION_TABLE,
					 revision->rows, finding->detail != NULL ? " " : "",
					 finding->detail != NULL ? finding->detail : "");
	return finding;
}
