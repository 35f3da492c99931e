/*-------------------------------------------------------------------------
 *
 * version.c
 *	  Which version of what is in use: schema, extension, library, server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "schema/schema.h"

#define VERSIONS_NATTS 6

PG_FUNCTION_INFO_V1(syncmaster_schema_version);
PG_FUNCTION_INFO_V1(syncmaster_full_version);
PG_FUNCTION_INFO_V1(syncmaster_versions);

/*
 * Revision of the schema in this database, as Alembic wrote it; NULL when
 * there is none.
 */
Datum
syncmaster_schema_version(PG_FUNCTION_ARGS)
{
	ExtensionEntry extension;
	SchemaRevision revision;

	syncmaster_get_extension(&extension);
	syncmaster_read_revision(extension.namespace, &revision);
	if (revision.state == REVISION_MANY_ROWS ||
		revision.state == REVISION_DISTRIBUTED)
		syncmaster_raise_error(
			syncmaster_revision_problems(extension.namespace, &revision));
	if (revision.id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(revision.id));
}

/*
 * Append the schema's revision to the line.
 */
static void
describe_schema(StringInfo line, const SchemaRevision *revision)
{
	switch (revision->state)
	{
		case REVISION_NO_TABLE:
		case REVISION_NO_ROW:
			appendStringInfoString(line, "no revision");
			break;
		case REVISION_BAD_TABLE:
			appendStringInfoString(line, "unreadable alembic_version");
			break;
		case REVISION_DISTRIBUTED:
			appendStringInfoString(line, "distributed alembic_version");
			break;
		case REVISION_MANY_ROWS:
			appendStringInfoString(line, "more than one revision");
			break;
		case REVISION_LEGACY:
		case REVISION_UNKNOWN:
		case REVISION_NEWER:
		case REVISION_KNOWN:
			appendStringInfo(line, "revision %s", revision->id);
			if (revision->rows != NULL)
				appendStringInfo(line, " of several (%s)", revision->rows);
			break;
	}
}

/*
 * Return whether the tables have the shape of their revision.  A locked table
 * is not waited for, and does not count as a difference.
 */
static bool
fits_tables(Oid namespace, const SchemaRevision *revision)
{
	List *problems = syncmaster_vector_problems(namespace, revision, false);

	return syncmaster_shape_problems(namespace, revision) == NIL &&
		   problems == NIL;
}

/*
 * Append what is out of step, and what to do about it; nothing if all agree.
 */
static void
describe_disagreement(StringInfo line, const ExtensionEntry *extension,
					  const SchemaRevision *revision)
{
	int version_revision = syncmaster_version_revision(extension->version);

	if (strcmp(extension->version, SYNCMASTER_VERSION) != 0)
	{
		if (version_revision < 0)
			appendStringInfoString(line, "; the library is older than the "
										 "extension: install the package "
										 "again and reconnect");
		else
			appendStringInfoString(line, "; the extension is not at the "
										 "library's version: run ALTER "
										 "EXTENSION syncmaster UPDATE");
	}

	switch (revision->state)
	{
		case REVISION_NO_TABLE:
		case REVISION_NO_ROW:
			appendStringInfoString(
				line, syncmaster_first_relation(extension->namespace) == NULL
						  ? "; there is no schema: run SELECT "
							"syncmaster_upgrade('head')"
						  : "; there are tables without a revision: write it "
							"with SELECT syncmaster_stamp('revision')");
			break;
		case REVISION_KNOWN:
			if (version_revision >= 0 && revision->number < version_revision)
				appendStringInfoString(line, "; the schema is behind the "
											 "extension: run SELECT "
											 "syncmaster_upgrade('head')");
			else if (version_revision >= 0 &&
					 revision->number > version_revision)
				appendStringInfoString(line, "; the schema is ahead of the "
											 "extension: run ALTER EXTENSION "
											 "syncmaster UPDATE");
			if (!fits_tables(extension->namespace, revision))
				appendStringInfoString(line, "; the tables are not at that "
											 "revision: syncmaster_check() "
											 "says what is different");
			break;
		case REVISION_NEWER:
			appendStringInfo(line, "; the schema is newer than the library: %s",
							 syncmaster_newer_advice(revision));
			break;
		case REVISION_DISTRIBUTED:
			appendStringInfo(line, "; make it an ordinary table again: %s",
							 syncmaster_undistribute(extension->namespace,
													 "alembic_version"));
			break;
		case REVISION_BAD_TABLE:
		case REVISION_MANY_ROWS:
		case REVISION_LEGACY:
		case REVISION_UNKNOWN:
			appendStringInfoString(line, "; table alembic_version does not "
										 "name a revision of SyncMaster");
			break;
	}
}

bool
syncmaster_is_in_step(const ExtensionEntry *extension,
					  const SchemaRevision *revision)
{
	StringInfoData line;

	initStringInfo(&line);
	describe_disagreement(&line, extension, revision);
	return line.len == 0;
}

/*
 * The versions of schema, extension, library and server in one line.
 */
Datum
syncmaster_full_version(PG_FUNCTION_ARGS)
{
	ExtensionEntry extension;
	SchemaRevision revision;
	StringInfoData line;
	char		  *places;

	syncmaster_get_extension(&extension);
	syncmaster_read_revision(extension.namespace, &revision);

	initStringInfo(&line);
	appendStringInfo(&line, "syncmaster %s, library %s, schema \"%s\" at ",
					 extension.version, SYNCMASTER_VERSION,
					 extension.namespace_name);
	describe_schema(&line, &revision);
	appendStringInfo(&line, ", PostgreSQL %s",
					 GetConfigOption("server_version", false, false));
	if (syncmaster_is_citus_worker())
		appendStringInfoString(&line, "; this server is a Citus worker: the "
									  "coordinator says what is out of step");
	else
		describe_disagreement(&line, &extension, &revision);
	places = syncmaster_describe_places(extension.namespace);
	if (places != NULL)
		appendStringInfo(&line,
						 "; there are tables of SyncMaster in %s as well",
						 places);

	PG_RETURN_TEXT_P(cstring_to_text(line.data));
}

/*
 * The versions that the installed scripts can make.
 */
Datum
syncmaster_versions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	List		  *rows = syncmaster_query(
				 "SELECT v.version, v.installed, v.version = e.default_version "
						  "FROM pg_available_extension_versions v "
						  "JOIN pg_available_extensions e USING (name) "
						  "WHERE v.name = 'syncmaster' "
						  "ORDER BY CASE WHEN v.version ~ '^\\d+(\\.\\d+)*$' THEN "
						  "string_to_array(v.version, '.')::numeric[] END, v.version",
				 0, NULL, NULL);
	ListCell *lc;

	foreach (lc, rows)
	{
		char **row = lfirst(lc);
		int	   number = syncmaster_version_revision(row[0]);
		Datum  values[VERSIONS_NATTS] = {0};
		bool   nulls[VERSIONS_NATTS] = {false};

		values[0] = CStringGetTextDatum(row[0]);
		if (number < 0)
			nulls[1] = nulls[2] = nulls[3] = true;
		else
		{
			const RevisionInfo *info = syncmaster_revision_info(number);

			values[1] = CStringGetTextDatum(info->id);
			nulls[2] = info->releases == NULL;
			if (!nulls[2])
				values[2] = CStringGetTextDatum(info->releases);
			values[3] = CStringGetTextDatum(info->description);
		}
		values[4] = BoolGetDatum(row[1] != NULL && row[1][0] == 't');
		values[5] = BoolGetDatum(row[2] != NULL && row[2][0] == 't');
		nulls[4] = row[1] == NULL;
		nulls[5] = row[2] == NULL;
		syncmaster_put_row(result, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Refuse to work with a library that is older than the functions of the
 * extension.
 */
void
syncmaster_require_library(void)
{
	ExtensionEntry extension;

	syncmaster_get_extension(&extension);
	if (syncmaster_version_revision(extension.version) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"syncmaster\" is at version %s, which "
						"library version %s does not know",
						extension.version, SYNCMASTER_VERSION),
				 errhint("Install the package of syncmaster %s and reconnect, "
						 "or run ALTER EXTENSION syncmaster UPDATE.",
						 extension.version)));
}
