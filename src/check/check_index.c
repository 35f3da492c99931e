/*-------------------------------------------------------------------------
 *
 * check_index.c
 *	  The indexes of a table against what it should have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "schema/schema.h"

/* The definition is compared without storage parameters. */
#define INDEXES_QUERY \
	"SELECT c.relname, i.indisunique, " \
	"    i.indisvalid AND i.indisready AND i.indislive, " \
	"    regexp_replace(CASE c.relkind WHEN 'I' " \
	"            THEN replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') " \
	"            ELSE pg_get_indexdef(c.oid) END, " \
	"        CASE WHEN c.reloptions IS NULL THEN '$^' " \
	"        ELSE ' WITH \\([^)]*\\)' END, ''), " \
	"    (SELECT k.conname FROM pg_constraint k " \
	"     WHERE k.conindid = c.oid AND k.conrelid = i.indrelid " \
	"     AND k.contype IN ('p', 'u', 'x')), " \
	"    c.relkind = 'I' " \
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid " \
	"WHERE i.indrelid = $1 ORDER BY 1"

typedef struct ActualIndex
{
	char *name;
	bool  unique;
	bool  valid;
	char *definition;
	bool  of_constraint;
	bool  partitioned;
	bool  expected;
} ActualIndex;

static List *
read_indexes(Oid relid)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(INDEXES_QUERY, relid))
	{
		char	   **row = lfirst(lc);
		ActualIndex *index = palloc0(sizeof(ActualIndex));

		index->name = row[0];
		index->unique = row[1][0] == 't';
		index->valid = row[2][0] == 't';
		index->definition = row[3];
		index->of_constraint = row[4] != NULL;
		index->partitioned = row[5][0] == 't';
		result = lappend(result, index);
	}
	return result;
}

static bool
is_expected_name(const char *table, const char *name)
{
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		if (strcmp(syncmaster_indexes[i].table, table) == 0 &&
			strcmp(syncmaster_indexes[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Find an index by its name, or else one of the same definition by another
 * name.
 */
static ActualIndex *
find_index(const CheckContext *context, const ExpectedIndex *expected,
		   List *actual)
{
	ListCell *lc;

	foreach (lc, actual)
	{
		ActualIndex *index = lfirst(lc);

		if (strcmp(index->name, expected->name) == 0)
			return index;
	}
	foreach (lc, actual)
	{
		ActualIndex *index = lfirst(lc);

		if (!index->expected && !index->of_constraint &&
			!is_expected_name(expected->table, index->name) &&
			!syncmaster_is_extra_index(index->name) &&
			strcmp(index->definition,
				   syncmaster_index_definition(expected, index->name,
											   context->schema)) == 0)
			return index;
	}
	return NULL;
}

static void
report_invalid(CheckContext *context, const ActualIndex *index,
			   Severity severity)
{
	Finding *finding = syncmaster_add_difference(context, severity, "index",
												 index->name, "is not valid");

	finding->actual = index->definition;
	if (!index->partitioned)
		finding->fix = psprintf("REINDEX INDEX %s",
								syncmaster_qualify(context, index->name));
	else if (!index->of_constraint)
		finding->fix = psprintf("DROP INDEX %s; %s",
								syncmaster_qualify(context, index->name),
								index->definition);
	else
		finding->left = "some partition has no index for it: make one, and "
						"ALTER INDEX ... ATTACH PARTITION";
}

/*
 * Another relation has the index's name: it must be renamed first.
 */
static void
leave_taken_name(const CheckContext *context, const char *name,
				 Finding *finding)
{
	char *rename = syncmaster_free_name(context, name);

	if (*rename == '\0')
		return;
	finding->message = psprintf("%s, and its name is taken", finding->message);
	finding->fix = psprintf("%s%s", rename, finding->fix);
	finding->left = LEFT_NAME;
}

static void
check_index(CheckContext *context, const ExpectedIndex *expected, List *actual)
{
	char *definition = syncmaster_index_definition(expected, expected->name,
												   context->schema);
	ActualIndex *index = find_index(context, expected, actual);
	Severity severity = expected->unique ? SEVERITY_ERROR : SEVERITY_WARNING;
	Finding *finding;

	if (index == NULL)
	{
		/* Celery 5.6 creates the indexes of later revisions as well */
		if (expected->revision > context->revision)
			return;
		finding = syncmaster_add_difference(context, severity, "index",
											expected->name, "is missing");
		finding->expected = definition;
		finding->fix = definition;
		leave_taken_name(context, expected->name, finding);
		return;
	}

	index->expected = true;
	if (strcmp(index->name, expected->name) != 0)
	{
		if (expected->revision > context->revision)
		{
			index->expected = false;
			return;
		}
		finding = syncmaster_add_difference(context, severity, "index",
											expected->name, "has another name");
		finding->expected = expected->name;
		finding->actual = index->name;
		finding->fix = psprintf("ALTER INDEX %s RENAME TO %s",
								syncmaster_qualify(context, index->name),
								quote_identifier(expected->name));
		leave_taken_name(context, expected->name, finding);
	}
	else if (strcmp(index->definition, definition) != 0)
	{
		finding = syncmaster_add_difference(context, severity, "index",
											expected->name, "is another one");
		finding->expected = definition;
		finding->actual = index->definition;
		finding->fix = psprintf("DROP INDEX %s; %s",
								syncmaster_qualify(context, index->name),
								definition);
		if (index->of_constraint)
		{
			finding->fix = NULL;
			finding->left = "a constraint of that name has to be dropped "
							"first";
		}
		else if (index->unique && !expected->unique)
		{
			finding->severity = SEVERITY_ERROR;
			finding->left = LEFT_FOREIGN;
		}
		return; /* the fix creates a valid one */
	}
	if (!index->valid)
		report_invalid(context, index, severity);
}

/*
 * Report an index that is not SyncMaster's.  Only a unique one refuses rows.
 */
static void
report_extra_index(CheckContext *context, const ActualIndex *index)
{
	Finding *finding;

	if (syncmaster_is_extra_index(index->name))
		return; /* reported with the other unique indexes */
	finding = syncmaster_add_difference(
		context, index->unique ? SEVERITY_WARNING : SEVERITY_INFO, "index",
		index->name, index->valid ? "is extra" : "is extra and not valid");
	finding->actual = index->definition;
	finding->fix = psprintf("DROP INDEX %s",
							syncmaster_qualify(context, index->name));
	finding->left = LEFT_FOREIGN;
}

void
syncmaster_check_indexes(CheckContext *context, const RelationInfo *relation,
						 Oid relid)
{
	List	 *actual = read_indexes(relid);
	ListCell *lc;

	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		if (strcmp(syncmaster_indexes[i].table, relation->name) == 0)
			check_index(context, &syncmaster_indexes[i], actual);
	}
	foreach (lc, actual)
	{
		ActualIndex *index = lfirst(lc);

		if (index->expected ||
			(!index->of_constraint &&
			 syncmaster_is_constraint(relation->name, index->name)))
			continue; /* reported as the index of a missing constraint */
		if (!index->of_constraint)
			report_extra_index(context, index);
		else if (!index->valid)
			report_invalid(context, index, SEVERITY_ERROR);
	}
}

/*
 * Check the extra indexes of this extension.
 */
void
syncmaster_check_extra_indexes(CheckContext *context)
{
	for (int i = 0; i < syncmaster_extra_index_count(); i++)
	{
		const char *name;
		char	   *definition;
		Finding	   *finding;

		switch (syncmaster_extra_index(i, context->namespace, context->schema,
									   &name, &definition))
		{
			case EXTRA_INDEX_PRESENT:
			case EXTRA_INDEX_NOT_POSSIBLE:
			case EXTRA_INDEX_LOCKED:
				break;
			case EXTRA_INDEX_MISSING:
				if (context->revision < REVISION_HEAD)
					break;
				finding = syncmaster_add_difference(
					context, SEVERITY_INFO, "index", name,
					"is an extra index of the extension, and missing");
				finding->expected = finding->fix = definition;
				break;
			case EXTRA_INDEX_OTHER:
				finding = syncmaster_add_difference(
					context, SEVERITY_INFO, "index", name,
					"is not the extension's extra index of that name, or not "
					"valid");
				finding->expected = definition;
				finding->left = LEFT_FOREIGN;
				break;
		}
	}
}
