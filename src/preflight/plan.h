/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  What an upgrade will do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PLAN_H
#define SYNCMASTER_PLAN_H

#include "migrate.h"
#include "revision.h"

typedef struct PlanStep
{
	char *name;	   /* revision that it makes; "indexes" for the extra ones */
	char *heading; /* a line about it */
	List *effects; /* of StatementEffect, in the order of running */
	char *stamp;   /* statement that writes the revision; or NULL */
} PlanStep;

typedef struct UpgradePlan
{
	List *steps;	   /* of PlanStep */
	List *effects;	   /* of all steps */
	List *problems;	   /* what is in the way of extra indexes */
	Oid version_table; /* alembic_version; invalid if it is yet to be made */
} UpgradePlan;

extern UpgradePlan *syncmaster_make_plan(const MigrationContext *context,
										 const SchemaRevision *revision,
										 int target);
extern int64 syncmaster_relation_bytes(Oid relid);

#endif /* SYNCMASTER_PLAN_H */
