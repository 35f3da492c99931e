/*-------------------------------------------------------------------------
 *
 * hand_over.c
 *	  Giving what a service owns to another role.
 *
 * Whoever owns a table needs no grant on it, so a service that made its own
 * tables, as Celery and APScheduler do, has none: with the ownership it would
 * lose everything.  Whatever changes or suggests to change an owner gets its
 * commands here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/acl.h"

#include "base/base.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * Return whether this is a table or a sequence that services create themselves.
 */
static bool
is_made_by_services(const GrantableObject *object)
{
	const RelationInfo *relation = syncmaster_find_relation(object->name);

	return relation != NULL &&
		   syncmaster_revision_info(relation->revision)->repeatable;
}

/*
 * The services that an object's owner runs: those that were granted to the
 * role or, if there are none and "presume" allows it, those that need what the
 * role made.
 */
static int
services_of_owner(const MigrationContext *context,
				  const GrantableObject *object, Oid role, bool presume)
{
	int services = syncmaster_services_of(syncmaster_service_roles(context),
										  object->owner);

	if (services != 0 || !presume || !is_made_by_services(object) ||
		object->owner == context->owner ||
		has_privs_of_role(object->owner, role))
		return services;
	return (1 << NUM_SERVICES) - 1;
}

static void
append_grant(StringInfo sql, const GrantableObject *object,
			 const char *privileges, Oid role)
{
	if (privileges[0] != '\0')
		appendStringInfo(sql, "; GRANT %s ON %s TO %s", privileges,
						 object->target, syncmaster_quoted_role(role));
}

/*
 * The commands that give an object to a role, and that grant its former owner
 * what its services need.  "parts" begins with the object; columns follow
 * their table, and so do its sequences, whose owner changes with the table's.
 */
char *
syncmaster_hand_over(const MigrationContext *context, List *parts, Oid role,
					 bool presume)
{
	const GrantableObject *object = linitial(parts);
	const GrantableObject *target = object;
	int			   services = services_of_owner(context, object, role, presume);
	StringInfoData sql;
	StringInfoData privileges;
	ListCell	  *lc;

	initStringInfo(&sql);
	initStringInfo(&privileges);
	appendStringInfo(&sql, "ALTER %s OWNER TO %s", object->target,
					 syncmaster_quoted_role(role));
	foreach (lc, parts)
	{
		const GrantableObject *part = lfirst(lc);

		if (strcmp(part->target, target->target) != 0)
		{
			append_grant(&sql, target, privileges.data, object->owner);
			resetStringInfo(&privileges);
			target = part;
		}
		syncmaster_append_privileges(&privileges,
									 syncmaster_needed(part, services),
									 part->column, "");
	}
	append_grant(&sql, target, privileges.data, object->owner);
	return sql.data;
}
