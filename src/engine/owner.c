/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  Handing the application's tables and sequences to a role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "engine/engine.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(syncmaster_set_owner);

/*
 * Change one relation's owner, with the caller's own rights.  A service that
 * owned it keeps what it needs.
 */
static void
change_owner(const MigrationContext *context, Oid relid, Oid role)
{
	if (syncmaster_relation_owner(relid) == role)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_lock_relation(relid, AccessExclusiveLock);
	syncmaster_execute_as(syncmaster_hand_over(context,
											   syncmaster_owned_objects(relid),
											   role, true),
						  GetUserId());
	CommandCounterIncrement();
}

/*
 * Lock all tables that change hands together: no lock is given back before the
 * transaction ends.
 */
static void
lock_tables(const MigrationContext *context, Oid role)
{
	List *locks = NIL;

	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		Oid		  relid = syncmaster_relation_oid(&syncmaster_relations[i],
												  context->namespace);
		ListCell *lc;

		if (!OidIsValid(relid))
			continue;
		foreach (lc, lcons_oid(relid, syncmaster_partitions(relid)))
		{
			if (syncmaster_relation_owner(lfirst_oid(lc)) != role)
				locks = syncmaster_add_lock(locks, lfirst_oid(lc),
											AccessExclusiveLock);
		}
	}
	if (locks == NIL)
		return;
	syncmaster_enforce_guard(context);
	syncmaster_lock_together(locks);
}

/*
 * Change the owner of a table or sequence of the application, with its
 * partitions.
 */
static void
change_owner_of_table(const MigrationContext *context, Oid relid, Oid role)
{
	ListCell *lc;

	change_owner(context, relid, role);
	foreach (lc, syncmaster_partitions(relid))
		change_owner(context, lfirst_oid(lc), role);
}

/*
 * Hand over the table of services; drop it if it is not trusted, because the
 * new owner's would be trusted, whatever is in it.
 */
static void
change_owner_of_services(const MigrationContext *context, Oid relid, Oid role)
{
	const char *distrust = syncmaster_service_distrust(context, relid);
	List	   *findings = syncmaster_distrusted(relid, role, 0);

	if (distrust == NULL && findings != NIL)
		distrust = ((Finding *) linitial(findings))->detail;
	if (distrust == NULL)
	{
		/* after its schema, in which the new owner may need CREATE */
		change_owner(context, relid, role);
		return;
	}
	if (get_rel_relkind(relid) != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is not a table", SERVICE_NAME),
				 errhint("Rename or drop it, and run the command again.")));
	ereport(NOTICE, (errmsg("table \"%s\" is dropped, as it is not trusted",
							SERVICE_NAME),
					 errdetail("%s", distrust)));
	syncmaster_enforce_guard(context);
	syncmaster_lock_relation(relid, AccessExclusiveLock);
	syncmaster_execute_as("DROP TABLE " SERVICE_NAME " CASCADE", GetUserId());
	CommandCounterIncrement();
}

/*
 * Why the record of migrations, and its schema, are not handed over: another
 * role may have created them, or code that they can call would run with the
 * rights of "role".
 */
static List *
history_findings(Oid history, Oid owner, Oid role)
{
	List *findings = NIL;

	if (OidIsValid(history))
		syncmaster_lock_relation(history, AccessShareLock);
	syncmaster_history_errors(&findings, history, owner, role);
	if (OidIsValid(history))
		findings = list_concat(findings,
							   syncmaster_distrusted(history, role, EVENT_ANY));
	return findings;
}

/*
 * Hand over the record of migrations and the table of services, in their
 * schema.  An empty schema stays with a role that has more rights than the
 * caller.
 *
 * Another role may have created them while this session waited for the locks
 * of the tables.  Once their schema is locked, no other schema can take its
 * place.
 */
static void
change_owner_of_history(const MigrationContext *context, Oid role)
{
	Oid namespace = get_namespace_oid(HISTORY_SCHEMA, true);
	Oid history = syncmaster_find_history();
	Oid services = syncmaster_find_service_table();

	if (!OidIsValid(namespace) ||
		(!OidIsValid(history) && !OidIsValid(services) &&
		 !has_privs_of_role(GetUserId(), syncmaster_schema_owner(namespace))))
		return;
	syncmaster_hold_schema(namespace);
	syncmaster_raise_error(history_findings(history, context->owner, role));
	syncmaster_execute_as(psprintf("ALTER SCHEMA " HISTORY_SCHEMA
								   " OWNER TO %s",
								   syncmaster_quoted_role(role)),
						  GetUserId());
	CommandCounterIncrement();
	if (OidIsValid(history))
		change_owner(context, history, role);
	if (OidIsValid(services))
		change_owner_of_services(context, services, role);
}

/*
 * Check everything for the new owner: code that the tables can call would run
 * with the new owner's rights.  The record of migrations has to belong to
 * "owner".
 */
static void
require_trust_of(const MigrationContext *context, Oid owner, Oid role)
{
	Oid	  version_table = context->revision.version_table;
	List *findings = NIL;

	if (OidIsValid(version_table))
		findings = syncmaster_distrusted_in(version_table, "alembic_version",
											role);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, context->namespace);

		if (OidIsValid(relid))
			findings = list_concat(findings, syncmaster_distrusted_in(
												 relid, relation->name, role));
	}

	/*
	 * a record or a schema that another role created first is not handed over
	 */
	findings = list_concat(findings, history_findings(syncmaster_find_history(),
													  owner, role));
	syncmaster_raise_error(findings);
}

/*
 * syncmaster_set_owner(role text)
 *
 * Hands all tables and sequences of the application, and the record of
 * migrations, to a role.  Sequences of serial columns go with their tables.
 *
 * The argument is text, although a role's name is meant: owners of the tables
 * may make functions in this schema, and a literal would rather be passed to
 * their function of this name with an argument of type text.
 */
Datum
syncmaster_set_owner(PG_FUNCTION_ARGS)
{
	MigrationContext context;
	Oid				 role;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("role must not be null"),
						errhint("Name the role that shall own the tables.")));
	role = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);

	syncmaster_begin_command(&context, "syncmaster_set_owner()");
	syncmaster_require_revision(context.namespace, &context.revision);
	syncmaster_require_schema_create(&context, role);
	require_trust_of(&context, context.owner, role);

	lock_tables(&context, role);
	if (OidIsValid(context.revision.version_table))
		change_owner(&context, context.revision.version_table, role);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, context.namespace);

		if (OidIsValid(relid))
			change_owner_of_table(&context, relid, role);
	}

	change_owner_of_history(&context, role);

	/*
	 * the owners may have added objects while this session waited for the
	 * locks
	 */
	require_trust_of(&context, role, role);
	syncmaster_hand_over_members(context.owner);
	PG_RETURN_VOID();
}
