/*-------------------------------------------------------------------------
 *
 * trusted.c
 *	  What of the application's tables a role cannot trust.
 *
 * The rule itself is base/trust.c's.  Here is what the library does with each
 * table: a trigger matters only where the library writes rows, for the events
 * that it causes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "schema/schema.h"

static const struct
{
	const char *table;
	int			events;
} written[] = {
	{"alembic_version", EVENT_ANY},		   /* stamps */
	{"user", EVENT_INSERT | EVENT_UPDATE}, /* SyncMaster's superusers */
	{"auth_data", EVENT_UPDATE},		   /* rotation */
	{"run", EVENT_UPDATE},				   /* ends of runs */
};

/*
 * What a role could not trust if it owned a table of the application, as a
 * list of findings.
 */
List *
syncmaster_distrusted_in(Oid relid, const char *table, Oid role)
{
	const RelationInfo *relation = syncmaster_find_relation(table);
	int					events = 0;

	for (int i = 0; i < (int) lengthof(written); i++)
	{
		if (strcmp(written[i].table, table) == 0)
			events = written[i].events;
	}
	if (relation != NULL && relation->purge != NULL)
		events |= EVENT_DELETE;
	return syncmaster_distrusted(relid, role, events);
}

/*
 * Refuse an alembic_version of a doubtful owner.  If it is the only table, new
 * tables get its owner; and any role that may create tables in the schema may
 * have created it to get all the others.
 */
void
syncmaster_require_known_owner(const MigrationContext *context)
{
	Oid relid = get_relname_relid("alembic_version", context->namespace);
	Oid owner;

	if (!OidIsValid(relid) ||
		syncmaster_first_relation(context->namespace) != NULL)
		return;
	owner = syncmaster_relation_owner(relid);
	if (has_privs_of_role(owner, context->caller) ||
		has_privs_of_role(owner, syncmaster_database_owner()) ||
		has_privs_of_role(owner, syncmaster_schema_owner(context->namespace)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s.alembic_version\" belongs to role \"%s\", who "
					"would get all of SyncMaster's tables",
					context->schema, GetUserNameFromId(owner, false)),
			 errdetail("That role has none of the rights of the owners of "
					   "database and schema, and of whoever runs the command, "
					   "and there is no other table yet."),
			 errhint("Drop the table, which holds nothing but a revision. If "
					 "the tables shall be that role's, run the command as "
					 "that role.")));
}
