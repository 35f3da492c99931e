/*-------------------------------------------------------------------------
 *
 * apparent.c
 *	  The revision that the tables seem to be at, whatever alembic_version says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "schema/schema.h"

/* What the tables show, whatever alembic_version says. */
typedef struct Shape
{
	int own_table; /* revision of the last of SyncMaster's own tables; 0: none */
	int latest;	   /* latest revision of which there is something */
	List *
		vectors; /* for each known search_vector, the revision that introduced its expression */
} Shape;

/*
 * Return the first revision whose search_vector the table has, or 0 if it is
 * that of no revision.
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
read_shape(Oid namespace, Shape *shape)
{
	memset(shape, 0, sizeof(*shape));
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, namespace);
		int vector;

		if (!OidIsValid(relid) || relation->kind != RELKIND_RELATION ||
			!syncmaster_is_of_kind(relation, relid))
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
 * Return the revision of the first of SyncMaster's own tables that a later
 * revision than this one adds, or a number past the last revision if there is
 * none.
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
 * Return whether the revision changes search vectors of tables of earlier
 * ones.
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
 * Count the search vectors that this revision or a later one introduced.
 */
static int
count_vectors(const Shape *shape, int revision)
{
	int		  count = 0;
	ListCell *lc;

	foreach (lc, shape->vectors)
	{
		count += lfirst_int(lc) >= revision;
	}
	return count;
}

static bool
has_relation(const char *name, Oid namespace)
{
	return OidIsValid(get_relname_relid(name, namespace));
}

/*
 * Return whether what the revision adds exists: its extension, one of its
 * tables or sequences, or else all of its columns and indexes.
 */
static bool
is_seen(Oid namespace, int revision)
{
	const RevisionInfo	*info = syncmaster_revision_info(revision);
	const RelationInfo	*relation = info->relations;
	const ColumnChange	*change = info->columns;
	const ExpectedIndex *index = info->indexes;
	ExtensionEntry		 extension;

	if (info->extension != NULL)
		return syncmaster_find_extension(info->extension, &extension);
	for (; relation != NULL && relation->name != NULL; relation++)
	{
		if (has_relation(relation->name, namespace))
			return true;
	}
	if (info->relations != NULL || (change == NULL && index == NULL))
		return false;
	for (; change != NULL && change->table != NULL; change++)
	{
		Oid		   relid = get_relname_relid(change->table, namespace);
		AttrNumber attnum = get_attnum(relid, change->column.name);

		if (attnum <= 0 || get_atttype(relid, attnum) != change->column.type)
			return false;
	}
	for (; index != NULL && index->name != NULL; index++)
	{
		if (!has_relation(index->name, namespace))
			return false;
	}
	return true;
}

/*
 * The likely revision of tables of this shape, if alembic_version says
 * nothing about it.
 */
static int
likely_revision(Oid namespace, const Shape *shape)
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
		if (is_seen(namespace, i))
			return i;
	}
	return first;
}

/*
 * A revision that tables of this shape could be at: the given one unless they
 * contradict it.
 */
static int
apparent_revision(Oid namespace, const Shape *shape, int revision)
{
	int due = 0;
	int known = list_length(shape->vectors);

	/* the last of SyncMaster's own tables that should exist */
	for (int i = next_own_table(0); i <= revision; i = next_own_table(i))
		due = i;
	if (shape->own_table < due && shape->latest < due)
		return likely_revision(namespace, shape);
	if (shape->own_table > revision)
		return shape->own_table;

	/* the tables have the search vectors of another revision */
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
 * Return the revision that the tables seem to be at, for an alembic_version
 * that does not say it.
 */
int
syncmaster_likely_revision(Oid namespace)
{
	Shape shape;

	read_shape(namespace, &shape);
	return likely_revision(namespace, &shape);
}

/*
 * A revision that the tables could be at: the given one unless they
 * contradict it.
 */
int
syncmaster_apparent_revision(Oid namespace, int revision)
{
	Shape shape;

	read_shape(namespace, &shape);
	return apparent_revision(namespace, &shape, revision);
}

/* What look_at_vector() is asked, and its answer. */
typedef struct VectorLook
{
	const RelationInfo *relation;
	Oid namespace;
	Oid relid;
	int revision; /* revision that was found; 0 for none, or if another table has the name now */
} VectorLook;

static void
look_at_vector(VectorLook *look)
{
	if (syncmaster_relation_oid(look->relation, look->namespace) == look->relid)
		look->revision = vector_revision(look->relation, look->relid);
}

static void
wait_and_look(void *argument)
{
	VectorLook *look = argument;

	syncmaster_lock_relation(look->relid, AccessShareLock);
	look_at_vector(look);
}

/*
 * Like vector_revision(), for a table that other sessions may have locked;
 * returns 0 also if it is locked and no lock is to be waited for.  The lock is
 * given back, because a migration takes its locks in an order of its own.  If
 * the lock was waited for, only a rollback gives it back: it then belongs to
 * the transaction, not to the statement under way.
 */
static int
locked_vector_revision(const RelationInfo *relation, Oid namespace, bool wait)
{
	VectorLook look = {relation, namespace,
					   syncmaster_relation_oid(relation, namespace), 0};

	if (!OidIsValid(look.relid) ||
		get_rel_relkind(look.relid) != RELKIND_RELATION)
		return 0;
	if (ConditionalLockRelationOid(look.relid, AccessShareLock))
	{
		look_at_vector(&look);
		UnlockRelationOid(look.relid, AccessShareLock);
	}
	else if (wait)
	{
		ErrorData *error = syncmaster_look(wait_and_look, &look);

		if (error != NULL)
			ReThrowError(error);
	}
	return look.revision;
}

/*
 * Return the revision that introduced the search_vector a table has at a
 * given revision, or 0 if it has none there.
 */
static int
expected_vector_revision(const RelationInfo *relation, int revision)
{
	int result = 0;

	for (int i = 0; i < syncmaster_nsearch_vectors; i++)
	{
		const SearchVector *vector = &syncmaster_search_vectors[i];

		if (strcmp(vector->table, relation->name) == 0 &&
			vector->revision <= revision)
			result = Max(result, vector->revision);
	}
	return result;
}

/* Tables whose search vectors are those of another revision. */
typedef struct OtherVectors
{
	StringInfoData names;
	int			   count;
	int			   revision;
} OtherVectors;

static void
add_other(OtherVectors *others, const RelationInfo *relation, int revision)
{
	if (others->count == 0)
		initStringInfo(&others->names);
	appendStringInfo(&others->names, "%s\"%s\"",
					 others->count++ > 0 ? ", " : "", relation->name);
	others->revision = Max(others->revision, revision);
}

static Finding *
report_vectors(List **problems, const OtherVectors *others, Oid namespace,
			   const SchemaRevision *revision, const char *hint)
{
	return syncmaster_add_error(
		problems, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "schema",
		finding_message("the search vectors of %s are those of revision %s, "
						"although schema \"%s\" is at revision %s",
						others->names.data,
						syncmaster_revision_id(others->revision),
						get_namespace_name(namespace), revision->id),
		hint);
}

/*
 * Report search vectors older than those of the revision that alembic_version
 * names, as a step leaves that was stamped and not run.  Newer ones do no
 * harm.
 */
List *
syncmaster_vector_problems(Oid namespace, const SchemaRevision *revision,
						   bool wait)
{
	OtherVectors older = {0};
	OtherVectors newer = {0};
	List		*problems = NIL;
	int			 due = 0;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		int expected = expected_vector_revision(relation, revision->number);
		int found;

		if (expected == 0)
			continue;
		due++;
		found = locked_vector_revision(relation, namespace, wait);
		if (found > expected)
			add_other(&newer, relation, found);
		else if (found > 0 && found < expected)
			add_other(&older, relation, expected - 1);
	}
	if (older.count > 0)
		report_vectors(
			&problems, &older, namespace, revision,
			older.count == due
				? psprintf("If the migration was not run, write the revision "
						   "that the tables are at with \"syncmaster-db stamp "
						   "%s\", and run the command again.",
						   syncmaster_revision_id(older.revision))
				: "\"syncmaster-db check\" lists SQL that makes them anew. "
				  "Run the command again after it.");
	if (newer.count > 0)
		report_vectors(
			&problems, &newer, namespace, revision,
			psprintf("An upgrade makes them again, which rewrites the tables. "
					 "If it is the revision that is wrong, write the right one "
					 "with \"syncmaster-db stamp %s\" before.",
					 syncmaster_revision_id(newer.revision)))
			->severity = SEVERITY_WARNING;
	return problems;
}
