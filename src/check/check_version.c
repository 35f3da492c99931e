/*-------------------------------------------------------------------------
 *
 * check_version.c
 *	  Whether the revision in alembic_version, the extension's version, the
 *	  library and the real shape of the tables agree; and what the application
 *	  needs beside its tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/compat.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Report that the tables look like those of another revision than the one
 * they are compared with.
 */
void
syncmaster_check_apparent_revision(CheckContext *context)
{
	int		 apparent = syncmaster_apparent_revision(context->namespace,
													 context->revision);
	Finding *finding;

	if (apparent == context->revision)
		return;
	context->unsettled = true;
	finding = syncmaster_add_difference(context, SEVERITY_ERROR, "revision",
										"alembic_version",
										"does not fit the tables");
	finding->expected = syncmaster_revision_id(apparent);
	finding->actual = syncmaster_revision_id(context->revision);
	finding->fix =
		psprintf("UPDATE %s SET version_num = %s",
				 syncmaster_qualify(context, "alembic_version"),
				 quote_literal_cstr(syncmaster_revision_id(apparent)));
	finding->left = "either the revision is wrong or the tables are; you have "
					"to say which";
}

/*
 * Report that extension, library and schema are out of step, as after a
 * restore of an older dump or after an upgrade of the package only.
 */
static void
check_extension(CheckContext *context, const ExtensionEntry *extension,
				const SchemaRevision *schema)
{
	int		 installed = syncmaster_version_revision(extension->version);
	Finding *finding = NULL;

	if (installed < 0)
	{
		finding = syncmaster_add_difference(
			context, SEVERITY_ERROR, "extension", "syncmaster",
			"is newer than the library that the server has loaded");
		finding->expected = psprintf("at most %s", SYNCMASTER_VERSION);
		finding->actual = extension->version;
		finding->left = "install the package of that version, and reconnect";
		return;
	}
	if (schema->state == REVISION_KNOWN && schema->number < installed)
	{
		/*
		 * no version of the extension installs a revision below the base
		 * script's
		 */
		finding = syncmaster_add_difference(
			context,
			installed > REVISION_BASE_SCRIPT ? SEVERITY_ERROR : SEVERITY_INFO,
			"revision", "alembic_version", "is behind the extension");
		finding->expected = syncmaster_revision_id(installed);
		finding->actual = schema->id;
		finding->fix = psprintf("SELECT %s('head')",
								syncmaster_qualify(context,
												   "syncmaster_upgrade"));
		finding->left = "an upgrade is a decision of its own";
	}
	if (strcmp(extension->version, SYNCMASTER_VERSION) != 0)
	{
		finding = syncmaster_add_difference(
			context,
			schema->number > installed ? SEVERITY_WARNING : SEVERITY_INFO,
			"extension", "syncmaster",
			schema->number > installed ? "is behind the schema"
									   : "is older than the library");
		finding->expected = schema->number > installed
								? syncmaster_revision_version(schema->number)
								: SYNCMASTER_VERSION;
		finding->actual = extension->version;
		finding->fix = psprintf("ALTER EXTENSION syncmaster UPDATE TO %s",
								quote_literal_cstr(finding->expected));
		finding->left = "an upgrade is a decision of its own";
	}
}

/*
 * Choose the revision to compare with if alembic_version has none, or several:
 * the one that the tables seem to be at.
 */
static void
guess_revision(CheckContext *context, const SchemaRevision *schema,
			   Finding *finding)
{
	const char *table = syncmaster_qualify(context, "alembic_version");
	const char *id;

	context->unsettled = true;
	context->revision = syncmaster_likely_revision(context->namespace);
	finding->expected = syncmaster_revision_id(context->revision);
	id = quote_literal_cstr(finding->expected);
	if (schema->state == REVISION_MANY_ROWS)
		finding->fix = psprintf("DELETE FROM %s WHERE version_num "
								"OPERATOR(pg_catalog.<>) %s",
								table, id);
	else
		finding->fix = psprintf(
			"%sINSERT INTO %s (version_num) VALUES (%s)",
			schema->state == REVISION_NO_ROW
				? ""
				: psprintf("%s; ", syncmaster_make_relation(
									   context, &syncmaster_version_relation)),
			table, id);
}

/*
 * List what a later release has added.
 */
static void
list_unknown(CheckContext *context)
{
	ListCell *lc;

	foreach (lc, syncmaster_unknown_objects(context->namespace))
	{
		const Finding *object = lfirst(lc);

		syncmaster_add_difference(context, SEVERITY_INFO, object->kind,
								  object->subject, object->message)
			->left = "install a newer package of syncmaster";
	}
}

/*
 * Report a row that does not name a known revision.
 */
static void
check_row(CheckContext *context, const SchemaRevision *schema)
{
	bool	 empty = syncmaster_first_relation(context->namespace) == NULL;
	Finding *finding;

	switch (schema->state)
	{
		case REVISION_KNOWN:
			return;
		case REVISION_NO_TABLE:
		case REVISION_NO_ROW:
			finding = syncmaster_add_difference(
				context, SEVERITY_ERROR, empty ? "schema" : "revision",
				empty ? context->schema : "alembic_version",
				empty ? "has no tables of SyncMaster" : "names no revision");
			if (empty)
				finding->fix =
					psprintf("SELECT %s('head')",
							 syncmaster_qualify(context, "syncmaster_upgrade"));
			else
				guess_revision(context, schema, finding);
			break;
		case REVISION_NEWER:
			finding = syncmaster_add_difference(
				context, SEVERITY_WARNING, "revision", "alembic_version",
				"is newer than the library, which cannot compare it");
			finding->expected = psprintf("at most %s",
										 syncmaster_revision_id(REVISION_HEAD));
			finding->actual = schema->rows == NULL ? schema->id : schema->rows;
			finding->left = syncmaster_newer_advice(schema);
			list_unknown(context);
			return;
		case REVISION_BAD_TABLE:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"is not Alembic's table");
			break;
		case REVISION_DISTRIBUTED:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"is distributed by Citus");
			finding->fix = syncmaster_undistribute(context->namespace,
												   "alembic_version");
			finding->left = "it copies rows between servers";
			return;
		case REVISION_MANY_ROWS:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"has more than one row");
			if (!empty)
				guess_revision(context, schema, finding);
			break;
		case REVISION_LEGACY:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"is of SyncMaster 0.1.x");
			break;
		case REVISION_UNKNOWN:
		default:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"is no revision of SyncMaster");
			break;
	}
	finding->actual = schema->id;
	finding->left = "which revision the tables are at is for you to say";
}

/*
 * Check the versions, and set the revision to compare with.
 */
void
syncmaster_check_versions(CheckContext *context)
{
	ExtensionEntry extension;
	SchemaRevision schema;

	syncmaster_get_extension(&extension);
	syncmaster_read_revision(context->namespace, &schema);
	context->revision = schema.number;
	check_row(context, &schema);
	check_extension(context, &extension, &schema);
	if (schema.state == REVISION_KNOWN)
		syncmaster_check_apparent_revision(context);
}

/*
 * Return whether this revision or an earlier one creates the extension.
 */
static bool
needs_extension(int revision, const char *name)
{
	for (int i = REVISION_BASE + 1; i <= revision; i++)
	{
		const char *extension = syncmaster_revision_info(i)->extension;

		if (extension != NULL && strcmp(extension, name) == 0)
			return true;
	}
	return false;
}

/*
 * Check that services find pg_trgm: SyncMaster's search for users uses an
 * operator of it without a schema.
 */
void
syncmaster_check_trgm(CheckContext *context)
{
	ExtensionEntry trgm;
	Finding		  *finding;

	if (!syncmaster_find_extension("pg_trgm", &trgm))
	{
		if (!needs_extension(context->revision, "pg_trgm"))
			return;
		finding = syncmaster_add_difference(context, SEVERITY_ERROR,
											"extension", "pg_trgm",
											"is missing");
		finding->fix = psprintf("CREATE EXTENSION pg_trgm SCHEMA %s",
								quote_identifier(context->schema));
		return;
	}
	if (trgm.namespace == context->namespace ||
		trgm.namespace == PG_CATALOG_NAMESPACE ||
		syncmaster_is_searched(syncmaster_searched_schemas(context->owner),
							   trgm.namespace))
		return;
	finding = syncmaster_add_difference(
		context, SEVERITY_WARNING, "extension", "pg_trgm",
		"is in a schema that the tables' owner does not search");
	finding->expected = context->schema;
	finding->actual = trgm.namespace_name;
	finding->fix = psprintf("ALTER EXTENSION pg_trgm SET SCHEMA %s",
							quote_identifier(context->schema));
	finding->left = "another application may rely on where it is";
}

/*
 * Check the search_path, because SyncMaster names its tables without a schema.
 * Its services may set another one, so this is for information.
 */
void
syncmaster_check_search_path(CheckContext *context)
{
	Finding *finding;

	if (syncmaster_is_searched(syncmaster_searched_schemas(context->owner),
							   context->namespace))
		return;
	finding = syncmaster_add_difference(
		context, SEVERITY_INFO, "schema", context->schema,
		"is not searched by default by the tables' owner");
	finding->fix =
		psprintf("ALTER ROLE %s IN DATABASE %s SET search_path = %s%s",
				 syncmaster_quoted_role(context->owner),
				 quote_identifier(current_database_name()),
				 quote_identifier(context->schema),
				 strcmp(context->schema, "public") == 0 ? "" : ", public");
	finding->left = "other applications of that role may rely on it";
}
