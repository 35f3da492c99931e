/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  What SyncMaster's schema is: revisions, tables, scripts, the record of migrations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SCHEMA_H
#define SYNCMASTER_SCHEMA_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "base/base.h"

/* revision.c: SyncMaster's schema revisions, and the versions of the extension that install them. */

/* Revisions are numbered 0001, 0002, … without a gap; 0 is Alembic's "base". */
#define REVISION_BASE 0
#define REVISION_HEAD 13

/* The table in which Alembic keeps the revision. */
#define VERSION_TABLE "alembic_version"

/* The base script installs the revisions up to this one in one piece. */
#define REVISION_BASE_SCRIPT 11

typedef struct RevisionInfo
{
	const char *id;			 /* as in alembic_version */
	const char *releases;	 /* of SyncMaster that stop at this revision */
	const char *description; /* what it adds */
	bool repeatable;		 /* its objects may be missing later on */
} RevisionInfo;

/* What alembic_version says. */
typedef enum RevisionState
{
	REVISION_NO_TABLE,	/* there is no alembic_version */
	REVISION_BAD_TABLE, /* something of that name, but not Alembic's table */
	REVISION_NO_ROW,	/* Alembic went down to base */
	REVISION_MANY_ROWS, /* more than one head */
	REVISION_LEGACY,	/* SyncMaster 0.1.x */
	REVISION_UNKNOWN,	/* another application's */
	REVISION_NEWER,		/* SyncMaster's, of a release that is not known here */
	REVISION_KNOWN
} RevisionState;

typedef struct SchemaRevision
{
	RevisionState state;
	int number;		   /* valid when KNOWN; else REVISION_BASE */
	char *id;		   /* text of the row; NULL when there is not just one */
	Oid version_table; /* alembic_version, if there */
} SchemaRevision;

/* A parsed target of an upgrade or downgrade. */
typedef struct RevisionTarget
{
	int number;
	char *version; /* when the target names an extension version, else NULL */
} RevisionTarget;

extern const RevisionInfo *syncmaster_revision_info(int number);
extern char *syncmaster_revision_id(int number);
extern int syncmaster_revision_number(const char *id);
extern int syncmaster_version_revision(const char *version);
extern char *syncmaster_revision_version(int number);

/* version_table.c: The row of alembic_version, which says at which revision a database is. */

extern void syncmaster_read_revision(Oid namespace, SchemaRevision *revision);
extern List *syncmaster_revision_problems(Oid namespace,
										  const SchemaRevision *revision);
extern void syncmaster_refuse_newer(Oid namespace);
extern void syncmaster_warn_of_newer(Oid namespace);
extern void syncmaster_require_revision(Oid namespace,
										SchemaRevision *revision);
extern char *syncmaster_version_table_ddl(const char *schema);
extern char *syncmaster_stamp_sql(const char *schema, int from, int to);
extern void syncmaster_stamp_revision(Oid namespace, SchemaRevision *revision,
									  int to);

extern bool syncmaster_is_in_step(const ExtensionEntry *extension,
								  const SchemaRevision *revision);

extern char *syncmaster_target_argument(FunctionCallInfo fcinfo);
extern void syncmaster_parse_target(const char *target, bool upgrade,
									int current, RevisionTarget *result);
extern char *syncmaster_version_to_install(const ExtensionEntry *extension,
										   const RevisionTarget *target);

/* relation.c: The application's tables and free-standing sequences. */

/*
 * How a column is filled when an INSERT does not name it.
 */
typedef enum ColumnDefault
{
	DEFAULT_NONE,
	DEFAULT_SERIAL, /* nextval() of the sequence that the column owns */
	DEFAULT_NOW,	/* now() */
	DEFAULT_GENERATED
} ColumnDefault;

typedef struct ColumnInfo
{
	const char *name; /* NULL ends a list */
	Oid type;
	int length; /* of character varying; 0 for none */
	bool not_null;
	ColumnDefault filled_by;
} ColumnInfo;

typedef struct RelationInfo
{
	const char *name;
	char kind;				   /* relkind */
	int revision;			   /* that adds it */
	bool foreign_made;		   /* Celery or APScheduler makes it when missing */
	const ColumnInfo *columns; /* in their order; NULL for a sequence */
	int required; /* leading columns that must be there; 0 for all */
} RelationInfo;

extern const RelationInfo syncmaster_version_relation;
extern const RelationInfo syncmaster_relations[];
extern const int syncmaster_nrelations;

extern Oid syncmaster_relation_oid(const RelationInfo *relation, Oid namespace);
extern int syncmaster_columns_required(const RelationInfo *relation);

extern bool syncmaster_is_complete(Oid namespace, int revision);
extern List *syncmaster_shape_problems(Oid namespace,
									   const SchemaRevision *revision);
extern void syncmaster_report_lengths(Oid namespace, int revision);
extern const RelationInfo *syncmaster_first_relation(Oid namespace);
extern bool syncmaster_has_own_tables(Oid namespace);

/* newer.c: A schema that is newer than the library. */

extern List *syncmaster_unknown_objects(Oid namespace);
extern Finding *syncmaster_newer_problem(List **problems, Oid namespace,
										 const SchemaRevision *revision);

/* context.c: For whom and where a migration runs, and whether it may. */

/* For whom and where a migration runs. */
typedef struct MigrationContext
{
	Oid caller;	   /* role that gave the command */
	Oid namespace; /* schema of the application */
	char *schema;  /* its name */
	Oid owner;	   /* of the application's tables, present or to come */
	SchemaRevision revision; /* as last read */
} MigrationContext;

extern Oid syncmaster_database_owner(void);
extern bool syncmaster_may_migrate(Oid caller, Oid owner);
extern void syncmaster_fill_context(MigrationContext *context, Oid caller);
extern List *syncmaster_caller_problems(const MigrationContext *context);
extern void syncmaster_begin_migration(MigrationContext *context, Oid caller);
extern void syncmaster_report_name(List **findings, const char *schema);
extern void syncmaster_require_writable(const char *command);
extern void syncmaster_begin_command(MigrationContext *context,
									 const char *command);
extern bool syncmaster_lock_version(const MigrationContext *context);
extern void syncmaster_read_checked_revision(MigrationContext *context);
extern void syncmaster_warn_owner(const MigrationContext *context);

/* expected.c: What belongs to the application's tables at each revision, beside their columns. */

typedef struct ExpectedConstraint
{
	const char *table;
	const char *name;
	char type;			 /* contype */
	const char *columns; /* as in the definition */
	const char *parent;	 /* table that a foreign key refers to, or NULL */
	bool by_name;		 /* the application recognizes violations by name */
} ExpectedConstraint;

typedef struct ExpectedIndex
{
	const char *table;
	const char *name;
	int revision;		/* that adds it */
	bool unique;		/* then the application knows it by name */
	const char *method; /* from USING on, as pg_get_indexdef() writes it */
} ExpectedIndex;

extern const ExpectedConstraint syncmaster_constraints[];
extern const int syncmaster_nconstraints;
extern const ExpectedIndex syncmaster_indexes[];
extern const int syncmaster_nindexes;

extern const char *syncmaster_generated_expression(const char *table,
												   int revision);
extern bool syncmaster_generated_input(const char *table, const char *column);
extern const char *syncmaster_sequence_table(const char *sequence);

extern char *syncmaster_constraint_definition(const ExpectedConstraint *con,
											  const char *schema);
extern char *syncmaster_index_definition(const ExpectedIndex *index,
										 const char *name, const char *schema);
extern char *syncmaster_column_type(const ColumnInfo *column);
extern char *syncmaster_column_definition(const RelationInfo *relation,
										  const ColumnInfo *column,
										  int revision);
extern char *syncmaster_table_definition(const RelationInfo *relation,
										 const char *schema, int revision);

/* history.c: The record of migrations. */

#define HISTORY_SCHEMA "syncmaster_history"
#define HISTORY_TABLE "migration"
#define HISTORY_NAME HISTORY_SCHEMA "." HISTORY_TABLE

extern Oid syncmaster_find_history(void);
extern Oid syncmaster_require_history_schema(const MigrationContext *context);
extern bool syncmaster_is_history(Oid relid);
extern void syncmaster_history_errors(List **findings, Oid relid, Oid owner);
extern void syncmaster_record_migration(const MigrationContext *context,
										int from, int to, TimestampTz started);

/* member.c: The functions and views of the extension, and who may use them. */

typedef enum MemberKind
{
	MEMBER_FUNCTION, /* or a procedure */
	MEMBER_VIEW
} MemberKind;

typedef enum Audience
{
	FOR_EVERYBODY,
	FOR_ADMINISTRATORS, /* owners of tables, database and extension */
	FOR_SUPERUSERS
} Audience;

typedef struct MemberInfo
{
	const char *name;
	MemberKind kind;
	Audience audience; /* of EXECUTE, or of SELECT */
} MemberInfo;

extern const MemberInfo syncmaster_members[];
extern const int syncmaster_nmembers;

/* namesake.c: Functions of others with the names of ours. */

/* A function that may be called in place of one of ours. */
typedef struct Namesake
{
	const char *signature; /* schema.name(types) */
	const char *drop;	   /* the command */
} Namesake;

extern List *syncmaster_namesakes(void);
extern void syncmaster_warn_of_namesakes(void);

/* script.c: The migration steps in the installed extension scripts. */

/* One call of syncmaster_migrate() in a script. */
typedef struct MigrationStep
{
	int from; /* revision numbers; from > to is a downgrade */
	int to;
	char *ddl;
} MigrationStep;

extern List *syncmaster_read_steps(Oid namespace);
extern MigrationStep *syncmaster_find_step(List *steps, int from, int to);

/* setting.c: Settings of this extension that last longer than a session. */

extern void syncmaster_report_settings(List **findings);

/* trusted.c: What of the application's tables a role cannot trust. */

extern List *syncmaster_distrusted_in(Oid relid, const char *table, Oid role);
extern void syncmaster_require_known_owner(const MigrationContext *context);

/* version.c: Which version of what is in use. */

extern void syncmaster_require_library(void);

#endif /* SYNCMASTER_SCHEMA_H */
