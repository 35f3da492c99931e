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

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/* What the tables show, whatever alembic_version says. */
typedef struct Shape
{
	int own_table; /* revision of the last of SyncMaster's own tables; 0: none */
	int latest;	   /* latest revision of which there is something */
	List *
		vectors; /* for each search_vector that is known, since when it is so */
} Shape;

/*
 * Since which revision is the table's search_vector as it is?  0 if it is that of
 * no revision.
 */
static int
vector_revision(const RelationInfo *relation, Oid relid)
{
	for (int i = syncmaster_nsearch_vectors - 1; i >= 0; i--)
	{
		const SearchVector *vector = &syncmaster_search_vectors[i];

		if (strcmp(vector->table, relation->name) == 0 &&
			syncmaster_search_vector_is(relation, relid, vector->revision))
			return vector->revision;
	}
	return 0;
}

static void
read_shape(const CheckContext *context, Shape *shape)
{
	memset(shape, 0, sizeof(*shape));
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, context->namespace);
		int vector;

		if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
			continue;
		shape->latest = Max(shape->latest, relation->revision);
		if (!relation->foreign_made)
			shape->own_table = relation->revision;
		vector = vector_revision(relation, relid);
		if (vector == 0)
			continue;
		shape->latest = Max(shape->latest, vector);
		shape->vectors = lappend_int(shape->vectors, vector);
	}
}

/*
 * Revision of the first of SyncMaster's own tables that comes after that
 * revision, or past the last one if none does.
 */
static int
next_own_table(int revision)
{
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		if (!syncmaster_relations[i].foreign_made &&
			syncmaster_relations[i].revision > revision)
			return syncmaster_relations[i].revision;
	}
	return REVISION_HEAD + 1;
}

/*
 * Does the revision change the search vectors of tables of earlier ones?
 */
static bool
replaces_vectors(int revision)
{
	const SearchVector *vector =
		syncmaster_revision_info(revision)->search_vectors;

	for (; vector != NULL && vector->table != NULL; vector++)
	{
		for (int i = 0; i < syncmaster_nrelations; i++)
		{
			if (strcmp(syncmaster_relations[i].name, vector->table) == 0 &&
				syncmaster_relations[i].revision < revision)
				return true;
		}
	}
	return false;
}

/*
 * How many of the search vectors are as they are since that revision or later?
 */
static int
count_vectors(const Shape *shape, int revision)
{
	int count = 0;
	ListCell *lc;

	foreach (lc, shape->vectors)
	{
		count += lfirst_int(lc) >= revision;
	}
	return count;
}

static bool
has_relation(const CheckContext *context, const char *name)
{
	return OidIsValid(get_relname_relid(name, context->namespace));
}

/*
 * Is there what the revision adds: its extension, one of its tables and
 * sequences, or else all of its columns and indexes?
 */
static bool
is_seen(const CheckContext *context, int revision)
{
	const RevisionInfo *info = syncmaster_revision_info(revision);
	const RelationInfo *relation = info->relations;
	const ColumnChange *change = info->columns;
	const ExpectedIndex *index = info->indexes;
	ExtensionEntry extension;

	if (info->extension != NULL)
		return syncmaster_find_extension(info->extension, &extension);
	for (; relation != NULL && relation->name != NULL; relation++)
	{
		if (has_relation(context, relation->name))
			return true;
	}
	if (info->relations != NULL || (change == NULL && index == NULL))
		return false;
	for (; change != NULL && change->table != NULL; change++)
	{
		Oid relid = get_relname_relid(change->table, context->namespace);
		AttrNumber attnum = get_attnum(relid, change->column.name);

		if (attnum <= 0 || get_atttype(relid, attnum) != change->column.type)
			return false;
	}
	for (; index != NULL && index->name != NULL; index++)
	{
		if (!has_relation(context, index->name))
			return false;
	}
	return true;
}

/*
 * The likely revision of tables of this shape, if alembic_version says nothing
 * about it.
 */
static int
likely_revision(const CheckContext *context, const Shape *shape)
{
	int first = shape->own_table;
	int last = next_own_table(first) - 1;
	int known = list_length(shape->vectors);

	for (int i = first + 1; i <= last; i++)
	{
		if (!replaces_vectors(i))
			continue;
		if (2 * count_vectors(shape, i) > known)
			first = i;
		else
			last = i - 1;
	}
	for (int i = last; i > first; i--)
	{
		if (is_seen(context, i))
			return i;
	}
	return first;
}

/*
 * A revision that tables of this shape could be at: the given one unless they
 * contradict it.
 */
static int
apparent_revision(const CheckContext *context, const Shape *shape, int revision)
{
	int due = 0;
	int known = list_length(shape->vectors);

	/* the last of SyncMaster's own tables that should be there */
	for (int i = next_own_table(0); i <= revision; i = next_own_table(i))
		due = i;
	if (shape->own_table < due && shape->latest < due)
		return likely_revision(context, shape);
	if (shape->own_table > revision)
		return shape->own_table;

	/* all search vectors together are older, or newer */
	for (int i = REVISION_BASE + 1; i <= REVISION_HEAD && known > 0; i++)
	{
		if (!replaces_vectors(i))
			continue;
		if (i <= revision && count_vectors(shape, i) == 0)
			return i - 1;
		if (i > revision && count_vectors(shape, i) == known)
			return i;
	}
	return revision;
}

/*
 * Do the tables contradict the revision that they are compared with?
 */
void
syncmaster_check_apparent_revision(CheckContext *context)
{
	Shape shape;
	int apparent;
	Finding *finding;

	read_shape(context, &shape);
	apparent = apparent_revision(context, &shape, context->revision);
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
 * Extension, library and schema out of step, as after a restore of an older
 * dump or after an upgrade of the package only.
 */
static void
check_extension(CheckContext *context, const ExtensionEntry *extension,
				const SchemaRevision *schema)
{
	int installed = syncmaster_version_revision(extension->version);
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
		/* no version of the extension stands for less than the base script */
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
 * Tables about which alembic_version says nothing, or too much, are compared
 * with the revision that they seem to be at.
 */
static void
guess_revision(CheckContext *context, const SchemaRevision *schema,
			   Finding *finding)
{
	const char *table = syncmaster_qualify(context, "alembic_version");
	Shape shape;
	const char *id;

	context->unsettled = true;
	read_shape(context, &shape);
	context->revision = likely_revision(context, &shape);
	finding->expected = syncmaster_revision_id(context->revision);
	id = quote_literal_cstr(finding->expected);
	if (schema->state == REVISION_MANY_ROWS)
		finding->fix = psprintf("DELETE FROM %s WHERE version_num <> %s", table,
								id);
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
 * What a later release made, as far as it shows.
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
 * The row itself, when it does not name a revision that we know.
 */
static void
check_row(CheckContext *context, const SchemaRevision *schema)
{
	bool empty = syncmaster_first_relation(context->namespace) == NULL;
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
			finding->actual = schema->id;
			finding->left = "install a newer package of syncmaster";
			list_unknown(context);
			return;
		case REVISION_BAD_TABLE:
			finding = syncmaster_add_difference(context, SEVERITY_ERROR,
												"revision", "alembic_version",
												"is not Alembic's table");
			break;
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
 * Sets the revision to compare with.
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
 * Does this revision, or an earlier one, create the extension?
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
 * SyncMaster's search for users uses an operator of pg_trgm without a schema.
 */
void
syncmaster_check_trgm(CheckContext *context)
{
	ExtensionEntry trgm;
	Finding *finding;

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
 * SyncMaster names its tables without a schema.  Its services may bring a
 * search_path of their own, so this is for information.
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
				 quote_identifier(GetUserNameFromId(context->owner, false)),
				 quote_identifier(get_database_name(MyDatabaseId)),
				 quote_identifier(context->schema),
				 strcmp(context->schema, "public") == 0 ? "" : ", public");
	finding->left = "other applications of that role may rely on it";
}
