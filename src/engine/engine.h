/*-------------------------------------------------------------------------
 *
 * engine.h
 *	  What moves the schema from one revision to another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_ENGINE_H
#define SYNCMASTER_ENGINE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "schema/schema.h"

/* migrate.c: The migration engine. */

extern void syncmaster_migrate_to(MigrationContext *context, int to,
								  bool upgrade);
extern int	syncmaster_end_script(const char *version);

/* upgrade.c: Schema and version, moved together. */

extern int syncmaster_upgrade_to(const char *target);

/* caller.c: For whom a script of the extension runs. */

extern Oid	syncmaster_script_caller(void);
extern bool syncmaster_is_updating(void);
extern void syncmaster_update_extension(const char *version);

/* guard.c: Who else is at work, and whether a migration may start meanwhile. */

extern void syncmaster_enforce_guard(const MigrationContext *context);

/* indexes.c: The extra indexes. */

extern List *syncmaster_missing_indexes(const MigrationContext *context,
										List *earlier, bool waits,
										List **problems);
/* The state of an extra index. */
typedef enum ExtraIndexState
{
	EXTRA_INDEX_PRESENT,
	EXTRA_INDEX_MISSING,
	EXTRA_INDEX_OTHER,		 /* a relation of that name is something else */
	EXTRA_INDEX_LOCKED,		 /* its table is locked, and was not waited for */
	EXTRA_INDEX_NOT_POSSIBLE /* its table or pg_trgm is missing */
} ExtraIndexState;

extern int			   syncmaster_extra_index_count(void);
extern bool			   syncmaster_is_extra_index(const char *name);
extern ExtraIndexState syncmaster_extra_index(int		   i, Oid namespace,
											  const char  *schema,
											  const char **name,
											  char		 **definition);
extern void			   syncmaster_build_indexes(const MigrationContext *context,
												int						elevel);
extern void syncmaster_remove_indexes(const MigrationContext *context);

/* statement.c: One DDL statement of a migration. */

/* A statement and the role that runs it. */
typedef struct RoleStatement
{
	const char *sql;
	Oid			role;
} RoleStatement;

/*
 * What a statement does, as far as it can be told without running it.  The
 * engine acts on it and the plan shows it.
 */
typedef struct StatementEffect
{
	Node	   *stmt;
	const char *sql;
	int			location; /* position of "sql" in the source */

	/* in words */
	const char *object_type;
	const char *object; /* name of what it creates, changes or drops */
	char	   *action;

	/* the table that it changes or builds an index on */
	const char *table;		  /* NULL if there is no table */
	Oid			relid;		  /* invalid if an earlier statement creates it */
	List	   *locks;		  /* of TableLock, in the order to take them */
	bool		rewrites;	  /* the table and its indexes are rewritten */
	bool		builds_index; /* reads the table and blocks its writers */
	List	   *dropped;	  /* OIDs of the indexes dropped with a column */
	List	   *afterwards;	  /* of RoleStatement, run after it */

	Oid	 role;		   /* role that runs it; invalid if nobody here may */
	bool needs_create; /* that role needs CREATE on the schema */
	bool skipped;	   /* nothing is left to do */
	bool name_taken;   /* another object has its name */
} StatementEffect;

extern StatementEffect				*
syncmaster_describe_statement(const MigrationContext *context,
										   const RawStmt *raw, const char *source,
										   List *earlier);
extern void	 syncmaster_skip_effect(StatementEffect *effect);
extern bool	 syncmaster_is_made(List *effects, const char *object);
extern bool	 syncmaster_is_dropped(List *effects, Oid indexid);
extern void	 syncmaster_effect_problems(List				  **problems,
										const MigrationContext *context,
										const StatementEffect  *effect);
extern void	 syncmaster_keep_columns(StatementEffect *effect);
extern void	 syncmaster_partition_problems(List					**problems,
										   const StatementEffect *effect);
extern void	 syncmaster_row_problems(List				   **problems,
									 const MigrationContext *context,
									 const StatementEffect	*effect);
extern List *syncmaster_statement_locks(const MigrationContext *context,
										List				   *effects);
extern void	 syncmaster_require_schema_create(const MigrationContext *context,
											  Oid					  role);
extern void	 syncmaster_run_statements(const MigrationContext *context,
									   const char *ddl, const char *activity);
extern void	 syncmaster_repeat_statements(const MigrationContext *context,
										  const char *ddl, const char *activity);

/* upgrade_plan.c: What an upgrade will do, described before it begins. */

typedef struct PlanStep
{
	char *name;	   /* revision that it makes; "indexes" for the extra ones */
	char *heading; /* a line about it */
	List *effects; /* of StatementEffect, in the order of running */
	char *stamp;   /* statement that writes the revision; or NULL */
} PlanStep;

typedef struct UpgradePlan
{
	List *steps;		 /* of PlanStep */
	List *effects;		 /* of all steps */
	List *problems;		 /* why some extra indexes are not built */
	Oid	  version_table; /* alembic_version; invalid if it does not exist */
} UpgradePlan;

extern UpgradePlan *syncmaster_make_plan(const MigrationContext *context,
										 int					 target);
extern void syncmaster_try_locks(const MigrationContext *context, int target);

#endif /* SYNCMASTER_ENGINE_H */
