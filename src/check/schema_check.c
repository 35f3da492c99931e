/*-------------------------------------------------------------------------
 *
 * schema_check.c
 *	  syncmaster_check(): every difference between this schema and what its
 *	  revision should be.
 *
 * It reads catalogues, and of the tables only the highest ids, so that it
 * works on a standby, for any role, in no time on any size.  Whatever the
 * tables' owner planted is looked at and never run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "schema/schema.h"

#define CHECK_NATTS 7

/*
 * Milliseconds that a comparison may wait for a lock if it is meant not to
 * wait.
 */
#define BRIEF_WAIT 100

PG_FUNCTION_INFO_V1(syncmaster_check);

/*
 * Find the schema and the owner of the tables.  Every role may do that.
 */
void
syncmaster_begin_check(CheckContext *context)
{
	ExtensionEntry		extension;
	const RelationInfo *first;
	Oid					relid;

	memset(context, 0, sizeof(*context));
	syncmaster_get_extension(&extension);
	context->namespace = extension.namespace;
	context->schema = extension.namespace_name;
	first = syncmaster_first_relation(extension.namespace);
	relid = first != NULL
				? syncmaster_relation_oid(first, extension.namespace)
				: syncmaster_relation_oid(&syncmaster_version_relation,
										  extension.namespace);
	context->owner = OidIsValid(relid) ? syncmaster_relation_owner(relid)
									   : extension.owner;
}

/*
 * Another table of the schema that has the primary key, by name, of one that
 * is missing; NULL if there is none.
 */
static char *
find_renamed(const CheckContext *context, const RelationInfo *relation)
{
	for (int i = 0; i < syncmaster_nconstraints; i++)
	{
		const ExpectedConstraint *con = &syncmaster_constraints[i];
		Oid indexid = get_relname_relid(con->name, context->namespace);
		Oid relid;

		if (con->type != CONSTRAINT_PRIMARY ||
			strcmp(con->table, relation->name) != 0 || !OidIsValid(indexid) ||
			get_rel_relkind(indexid) != RELKIND_INDEX)
			continue;
		relid = IndexGetRelation(indexid, true);
		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION &&
			get_rel_namespace(relid) == context->namespace)
			return get_rel_name(relid);
	}
	return NULL;
}

static void
report_missing_relation(CheckContext *context, const RelationInfo *relation)
{
	Finding *finding = syncmaster_add_difference(
		context, SEVERITY_ERROR,
		relation->kind == RELKIND_SEQUENCE ? "sequence" : "table",
		relation->name, "is missing");
	char *other;

	finding->fix = syncmaster_make_relation(context, relation);
	if (relation->kind == RELKIND_SEQUENCE)
	{
		const char *table = relation->ids_of;

		if (OidIsValid(get_relname_relid(table, context->namespace)))
			finding->fix = psprintf(
				"%s; %s", finding->fix,
				syncmaster_set_value(context, relation->name, table, "id"));
	}
	if (!relation->foreign_made)
		finding->left = "its rows are gone; restore them from a backup";
	other = find_renamed(context, relation);
	if (other == NULL)
		return;
	finding->message = "is missing, but seems to have another name";
	finding->expected = relation->name;
	finding->actual = other;
	finding->fix = psprintf("ALTER TABLE %s RENAME TO %s",
							syncmaster_qualify(context, other),
							quote_identifier(relation->name));
	finding->left = "whether it is the same table is for you to say";
}

static void
report_other_kind(CheckContext *context, const RelationInfo *relation)
{
	Finding *finding = syncmaster_add_difference(
		context, SEVERITY_ERROR,
		relation->kind == RELKIND_SEQUENCE ? "sequence" : "table",
		relation->name,
		relation->kind == RELKIND_SEQUENCE ? "is not a sequence"
										   : "is not an ordinary table");

	finding->left = "nobody but you knows where its rows are";
}

static void
check_table(CheckContext *context, const RelationInfo *relation, Oid relid)
{
	syncmaster_check_relation(context, relation->name, relid);
	syncmaster_check_serial(context, relation, relid);
	syncmaster_check_columns(context, relation, relid);
	syncmaster_check_constraints(context, relation, relid);
	syncmaster_check_indexes(context, relation, relid);
	syncmaster_check_extras(context, relation, relid);
}

/*
 * Lock a table against changes until the transaction ends, and return its OID;
 * if the name means another table by then, the OID of that one.  Sequences are
 * not locked.
 */
static Oid
lock_table(const CheckContext *context, const RelationInfo *relation)
{
	Oid relid = syncmaster_relation_oid(relation, context->namespace);
	Oid locked = InvalidOid;

	while (relation->kind == RELKIND_RELATION && OidIsValid(relid) &&
		   relid != locked)
	{
		syncmaster_lock_relation(relid, AccessShareLock);
		syncmaster_lock_partitions(relid, AccessShareLock);
		locked = relid;
		relid = syncmaster_relation_oid(relation, context->namespace);
	}
	return relid;
}

static void
check_relation(CheckContext *context, const RelationInfo *relation)
{
	Oid relid = lock_table(context, relation);

	if (relation->revision > context->revision)
	{
		/* Celery and APScheduler may have created it already */
		if (!relation->foreign_made || !OidIsValid(relid))
			return;
	}
	if (!OidIsValid(relid))
	{
		report_missing_relation(context, relation);
		return;
	}
	if (!syncmaster_is_of_kind(relation, relid))
	{
		report_other_kind(context, relation);
		return;
	}
	if (relation->kind == RELKIND_SEQUENCE)
	{
		Oid table = get_relname_relid(relation->ids_of, context->namespace);

		syncmaster_check_relation(context, relation->name, relid);
		syncmaster_check_sequence(context, relation->name, table, "id", false);
		return;
	}
	check_table(context, relation, relid);
}

/*
 * Lock the tables against changes until the transaction ends.  An upgrade
 * under way holds its locks until it is done; the wait for them is bounded
 * here, where later waits would not be.
 */
static void
lock_tables(const CheckContext *context)
{
	lock_table(context, &syncmaster_version_relation);
	for (int i = 0; i < syncmaster_nrelations; i++)
		lock_table(context, &syncmaster_relations[i]);
}

static void
check_relations(CheckContext *context)
{
	if (OidIsValid(syncmaster_relation_oid(&syncmaster_version_relation,
										   context->namespace)))
		check_relation(context, &syncmaster_version_relation);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_relation(context, &syncmaster_relations[i]);
	}
	syncmaster_check_trgm(context);
	syncmaster_check_schema_usage(context);
	syncmaster_check_search_path(context);
	syncmaster_check_extra_indexes(context);
	syncmaster_check_other_relations(context);
}

/*
 * Compare everything.  Tables come before those that refer to them, so that
 * differences can be repaired in the order of the list.
 */
static void
compare(CheckContext *context, void (*check_versions)(CheckContext *context))
{
	int level = syncmaster_enter_settings();

	/* definitions are compared as texts */
	syncmaster_set_locally("quote_all_identifiers", "off");
	lock_tables(context);
	check_versions(context);
	if (context->revision != REVISION_BASE)
		check_relations(context);
	syncmaster_leave_settings(level);
}

static void
check_extension(CheckContext *context)
{
	syncmaster_check_versions(context);
	syncmaster_check_extension_members(context);
	syncmaster_check_names(context);
}

/*
 * Compare with the revision in alembic_version, and look at the extension.
 */
void
syncmaster_check_schema(CheckContext *context)
{
	if (syncmaster_is_citus_worker())
	{
		syncmaster_add_difference(context, SEVERITY_INFO, "schema",
								  context->schema,
								  "was not compared, as this server is a Citus "
								  "worker: ask the coordinator");
		return;
	}
	compare(context, check_extension);
}

/*
 * Compare with a given revision, which need not be the one in alembic_version.
 */
void
syncmaster_check_tables_at(CheckContext *context, int revision)
{
	context->revision = revision;
	compare(context, syncmaster_check_apparent_revision);
}

/* Arguments of compare_briefly(). */
typedef struct Comparison
{
	CheckContext *context;
	int			  revision;
} Comparison;

/*
 * SubtransactionBody: compares, which asks for locks on sequences and on
 * whatever else belongs to the tables.
 */
static void
compare_briefly(void *argument)
{
	Comparison *comparison = argument;
	int			level = syncmaster_enter_settings();

	if (LockTimeout == 0 || LockTimeout > BRIEF_WAIT)
		syncmaster_set_locally_int("lock_timeout", BRIEF_WAIT);
	syncmaster_begin_check(comparison->context);
	syncmaster_check_tables_at(comparison->context, comparison->revision);
	syncmaster_leave_settings(level);
}

/*
 * Compare the tables with a revision, but do not wait for tables that other
 * sessions have locked; false if one is locked, whose name is in *locked then.
 */
bool
syncmaster_try_check_tables(CheckContext *context, int revision,
							const char **locked)
{
	Comparison comparison = {context, revision};
	ErrorData *error;

	syncmaster_begin_check(context);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		Oid relid = syncmaster_relation_oid(&syncmaster_relations[i],
											context->namespace);

		*locked = psprintf("table \"%s\"", syncmaster_relations[i].name);
		if (OidIsValid(relid) && !syncmaster_try_lock(relid, AccessShareLock))
			return false;
	}
	*locked = "something that belongs to the tables";
	error = syncmaster_try(compare_briefly, &comparison);
	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	return false;
}

static void
put_columns(const Finding *finding, const char **texts)
{
	texts[0] = syncmaster_severity_name(finding->severity);
	texts[1] = finding->kind;
	texts[2] = finding->subject;
	texts[3] = finding->message;
	texts[4] = finding->expected;
	texts[5] = finding->actual;
	texts[6] = finding->fix;
}

/*
 * syncmaster_check() returns the differences, the gravest first.
 */
Datum
syncmaster_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	CheckContext   context;

	syncmaster_begin_check(&context);
	syncmaster_check_schema(&context);
	syncmaster_withhold_fixes(&context);
	context.findings = list_concat(context.findings,
								   syncmaster_other_places(context.namespace));
	syncmaster_put_findings(result, context.findings, CHECK_NATTS, put_columns);

	return (Datum) 0;
}
