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

#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "base/base.h"

/* Revisions are numbered 0001, 0002, … without a gap; 0 is Alembic's "base". */
#define REVISION_BASE 0
#define REVISION_HEAD syncmaster_nrevisions

/* The table in which Alembic keeps the revision. */
#define VERSION_TABLE "alembic_version"

/* The base script installs the revisions up to this one in one piece. */
#define REVISION_BASE_SCRIPT 11

/* revision_NNNN.c: What a revision adds.  revision_list.c: All revisions. */

/*
 * SyncMaster's services, whose names are in privilege/service.c.  Sets of
 * them are sums of these.
 */
#define SERVICE_SERVER 0x01
#define SERVICE_SCHEDULER 0x02
#define SERVICE_WORKER 0x04
#define SERVICE_MONITOR 0x08

#define NUM_SERVICES 4

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
	const char	 *name; /* NULL ends a list */
	Oid			  type;
	int			  length; /* length of character varying; 0 for none */
	bool		  not_null;
	ColumnDefault filled_by;
} ColumnInfo;

/* The columns that several tables have. */
#define SERIAL_ID \
	{ \
		"id", INT8OID, 0, true, DEFAULT_SERIAL \
	}
#define TIMESTAMPS \
	{"created_at", TIMESTAMPTZOID, 0, true, DEFAULT_NOW}, \
	{ \
		"updated_at", TIMESTAMPTZOID, 0, true, DEFAULT_NOW \
	}
#define SEARCH_VECTOR \
	{ \
		"search_vector", TSVECTOROID, 0, true, DEFAULT_GENERATED \
	}
#define END_OF_COLUMNS \
	{ \
		NULL, InvalidOid, 0, false, DEFAULT_NONE \
	}

/* A table or a free-standing sequence. */
typedef struct RelationInfo
{
	const char *name; /* NULL ends a list, as in all lists of a revision */
	int	 revision;	  /* revision that adds it; revision_list.c fills it in */
	char kind;		  /* relkind */
	const char
		*partitioned_by; /* column by whose ranges it may be partitioned */
	bool foreign_made;	 /* Celery or APScheduler makes it when missing */
	const ColumnInfo *columns; /* in the table's order; NULL for a sequence */
	int			required; /* how many leading columns are required; 0 for all */
	const char *ids_of;	  /* table whose column "id" a sequence is for */

	/* for tables that grow with each run */
	const char *time_column; /* tells how old a row is */
	const char *purge;		 /* procedure that deletes old rows */

	/* a column that services unpickle, which runs code in it */
	const char *pickle;
	int			unpickled_by;
} RelationInfo;

/*
 * A column that a revision adds to a table of an earlier revision.  If the
 * table has a column of that name already, this one replaces it.
 */
typedef struct ColumnChange
{
	const char *table;
	ColumnInfo	column;
} ColumnChange;

typedef struct ExpectedConstraint
{
	const char *table;
	int revision; /* revision that adds it; revision_list.c fills it in */
	const char *name;
	char		type;	 /* contype */
	const char *columns; /* as in the definition */
	const char *parent;	 /* table that a foreign key refers to, or NULL */
	bool		by_name; /* the application recognizes violations by name */
} ExpectedConstraint;

#define PRIMARY_KEY(on_table, on_columns, known_by_name) \
	{ \
		.table = #on_table, .name = "pk__" #on_table, \
		.type = CONSTRAINT_PRIMARY, .columns = on_columns, \
		.by_name = known_by_name \
	}
#define FOREIGN_KEY(on_table, column, to_table, known_by_name) \
	{ \
		.table = #on_table, \
		.name = "fk__" #on_table "__" #column "__" #to_table, \
		.type = CONSTRAINT_FOREIGN, .columns = #column, .parent = #to_table, \
		.by_name = known_by_name \
	}
#define UNIQUE_KEY(on_table, with_name, on_columns) \
	{ \
		.table = #on_table, .name = with_name, .type = CONSTRAINT_UNIQUE, \
		.columns = on_columns, .by_name = true \
	}

typedef struct ExpectedIndex
{
	const char *table;
	int revision; /* revision that adds it; revision_list.c fills it in */
	const char *name;
	bool		unique; /* then the application knows it by name */
	const char *method; /* from USING on, as pg_get_indexdef() writes it */
} ExpectedIndex;

#define MAX_VECTOR_INPUTS 4

/* The columns that the search_vector of a table is computed from. */
typedef struct SearchVector
{
	const char *table;
	int revision; /* first revision with it; revision_list.c fills it in */
	const char *inputs[MAX_VECTOR_INPUTS]; /* columns */
	const char *expression;
} SearchVector;

#define MAX_UPDATED_COLUMNS 5

/*
 * What services need on a table or sequence, in addition to what earlier
 * revisions say.
 *
 * Roles that insert into a table with a serial id need its sequence as well,
 * and all services need USAGE on the schema: both are added without an entry
 * here.  Cascades and checks of foreign keys run as the tables' owner.  UPDATE
 * is for single columns where the service may not delete: elsewhere it could
 * delete the row and insert it again anyway.
 */
typedef struct ServiceNeed
{
	const char *relation;
	int			services;
	AclMode		privileges;
	const char *updated[MAX_UPDATED_COLUMNS]; /* columns that they may update */
} ServiceNeed;

typedef struct RevisionInfo
{
	const char *id;			 /* as in alembic_version */
	const char *version;	 /* of the extension, whose script adds it; NULL for
						   * those before the base script's */
	const char *releases;	 /* of SyncMaster that stop at this revision;
						   * NULL if none does */
	const char *description; /* what it adds */
	bool		repeatable;	 /* its objects may be missing later */
	const char *extension;	 /* extension that it creates */
	const RelationInfo		 *relations;
	const ColumnChange		 *columns; /* of tables of earlier revisions */
	const ExpectedConstraint *constraints;
	const ExpectedIndex		 *indexes;
	const SearchVector		 *search_vectors;
	const ServiceNeed		 *needs;
} RevisionInfo;

extern const int				 syncmaster_nrevisions;
extern const RelationInfo		*syncmaster_relations;
extern int						 syncmaster_nrelations;
extern const ExpectedConstraint *syncmaster_constraints;
extern int						 syncmaster_nconstraints;
extern const ExpectedIndex		*syncmaster_indexes;
extern int						 syncmaster_nindexes;
extern const SearchVector		*syncmaster_search_vectors;
extern int						 syncmaster_nsearch_vectors;

extern void syncmaster_load_revisions(void);
/* The head of the definition in a revision's file. */
#define DEFINE_REVISION(id) \
	extern const RevisionInfo syncmaster_revision_##id; \
	const RevisionInfo		  syncmaster_revision_##id

extern const RevisionInfo *syncmaster_revision_info(int number);

/*
 * revision.c: SyncMaster's schema revisions, and the versions of the extension
 * that install them.
 */

/* What alembic_version says. */
typedef enum RevisionState
{
	REVISION_NO_TABLE,	  /* there is no alembic_version */
	REVISION_BAD_TABLE,	  /* a relation of that name, but not Alembic's */
	REVISION_DISTRIBUTED, /* Citus has its rows */
	REVISION_NO_ROW,	  /* Alembic went down to base */
	REVISION_MANY_ROWS,	  /* more than one head */
	REVISION_LEGACY,	  /* SyncMaster 0.1.x */
	REVISION_UNKNOWN,	  /* another application's */
	REVISION_NEWER,		  /* SyncMaster's, of an unknown release */
	REVISION_KNOWN
} RevisionState;

typedef struct SchemaRevision
{
	RevisionState state;
	int			  number; /* valid when KNOWN; else REVISION_BASE */
	char		 *id;	/* text of the row; NULL unless there is exactly one */
	char		 *rows; /* texts of the rows when there are several */
	Oid			  version_table; /* alembic_version, if there */
} SchemaRevision;

/* A parsed target of an upgrade or downgrade. */
typedef struct RevisionTarget
{
	int	  number;
	char *version; /* when the target names an extension version, else NULL */
} RevisionTarget;

extern char *syncmaster_revision_id(int number);
extern int	 syncmaster_revision_number(const char *id);
extern int	 syncmaster_version_revision(const char *version);
extern char *syncmaster_revision_version(int number);

/* version_table.c: The row of alembic_version, which says at which revision a database is. */

extern void	 syncmaster_read_revision(Oid namespace, SchemaRevision *revision);
extern List *syncmaster_revision_problems(Oid namespace,
										  const SchemaRevision *revision);
extern void	 syncmaster_refuse_newer(Oid namespace);
extern void	 syncmaster_warn_of_newer(Oid namespace);
extern void	 syncmaster_require_revision(Oid namespace,
										 SchemaRevision *revision);
extern char *syncmaster_version_table_ddl(const char *schema);
extern char *syncmaster_stamp_sql(const char *schema, int from, int to);
extern void	 syncmaster_stamp_revision(Oid namespace, SchemaRevision *revision,
									   int to);

extern bool syncmaster_is_in_step(const ExtensionEntry *extension,
								  const SchemaRevision *revision);

extern char *syncmaster_target_argument(FunctionCallInfo fcinfo);
extern void	 syncmaster_parse_target(const char *target, bool upgrade,
									 int current, RevisionTarget *result);
extern char *syncmaster_version_to_install(const ExtensionEntry *extension,
										   const RevisionTarget *target);

/* relation.c: Do relations of a database have the shape that a migration relies on? */

extern const RelationInfo syncmaster_version_relation;

extern Oid syncmaster_relation_oid(const RelationInfo *relation, Oid namespace);
extern const RelationInfo *syncmaster_find_relation(const char *name);
extern bool	 syncmaster_is_of_kind(const RelationInfo *relation, Oid relid);
extern List *syncmaster_present_tables(Oid namespace);
extern bool	 syncmaster_is_required(const RelationInfo *relation, int column);
extern const ColumnInfo *syncmaster_columns_at(const RelationInfo *relation,
											   int				   revision);

extern bool	 syncmaster_is_complete(Oid namespace, int revision);
extern List *syncmaster_shape_problems(Oid namespace,
									   const SchemaRevision *revision);
extern void	 syncmaster_report_lengths(Oid namespace, int revision);
extern const RelationInfo *syncmaster_first_relation(Oid namespace);
extern bool				   syncmaster_has_own_tables(Oid namespace);

/* newer.c: A schema that is newer than the library. */

extern List	   *syncmaster_unknown_objects(Oid namespace);
extern char	   *syncmaster_newer_advice(const SchemaRevision *revision);
extern Finding *syncmaster_newer_problem(List **problems, Oid namespace,
										 const SchemaRevision *revision);

/* command.c: The command of the client that runs a script of the extension. */

extern bool syncmaster_command_is_update(void);
extern bool syncmaster_command_names_schema(void);
extern bool syncmaster_is_last_version(const char *version);
extern bool syncmaster_may_be_last_version(const char *version);
extern int	syncmaster_last_revision(void);

/* context.c: For whom and where a migration runs, and whether it may. */

/* For whom and where a migration runs. */
typedef struct MigrationContext
{
	Oid caller;	   /* role that gave the command */
	Oid namespace; /* schema of the application */
	char *schema;  /* its name */
	Oid	  owner;   /* owner of the application's tables, present or future */
	SchemaRevision revision; /* as last read */
} MigrationContext;

extern Oid		   syncmaster_database_owner(void);
extern const char *syncmaster_lacking_on_schema(Oid namespace, Oid role);
extern bool		   syncmaster_may_migrate(Oid caller, Oid owner);
extern void	 syncmaster_fill_context(MigrationContext *context, Oid caller);
extern void	 syncmaster_fill_context_to_change(MigrationContext *context,
											   Oid				 caller);
extern void	 syncmaster_report_kept_ddl(List				  **problems,
										const MigrationContext *context);
extern List *syncmaster_caller_problems(const MigrationContext *context);
extern void	 syncmaster_begin_migration(MigrationContext *context, Oid caller);
extern void	 syncmaster_report_name(List **findings, const char *schema);
extern void	 syncmaster_refuse_citus_worker(const char *command);
extern void	 syncmaster_require_writable(const char *command);
extern void	 syncmaster_begin_command(MigrationContext *context,
									  const char	   *command);
extern bool	 syncmaster_lock_version_table(const MigrationContext *context);
extern List *syncmaster_require_shape(Oid namespace,
									  const SchemaRevision *revision);
extern List *syncmaster_read_checked_revision(MigrationContext *context);
extern void	 syncmaster_warn_owner(const MigrationContext *context);

/* expected.c: Definitions of what belongs to the application's tables at each revision. */

extern const char *syncmaster_generated_expression(const char *table,
												   int		   revision);
extern bool syncmaster_generated_input(const char *table, const char *column);

extern char *syncmaster_constraint_definition(const ExpectedConstraint *con,
											  const char			   *schema);
extern char *syncmaster_index_definition(const ExpectedIndex *index,
										 const char *name, const char *schema);
extern char *syncmaster_column_type(const ColumnInfo *column);
extern char *syncmaster_qualified_type(const ColumnInfo *column);
extern char *syncmaster_column_definition(const RelationInfo *relation,
										  const ColumnInfo	 *column,
										  int				  revision);
extern char *syncmaster_table_definition(const RelationInfo *relation,
										 const char *schema, int revision);

/* expression.c: Expressions that the catalogue holds for columns. */

extern Node *syncmaster_stored_expression(Relation rel, AttrNumber attnum);
extern char *syncmaster_expression_text(Relation rel, Node *expression);
extern bool	 syncmaster_is_call_of(Node *expression, const char *function);

/* search_vector.c: The generated columns: of which revision are they? */

extern Node *syncmaster_analyze_expression(Relation rel, Form_pg_attribute att,
										   const char *text, char generated);
extern bool	 syncmaster_inputs_are_right(const RelationInfo *relation,
										 Relation rel, int revision);
extern bool	 syncmaster_generated_is(const RelationInfo *relation, Relation rel,
									 Form_pg_attribute att, int revision);
extern bool syncmaster_search_vector_is(const RelationInfo *relation, Oid relid,
										int revision);

/* apparent.c: The revision that the tables seem to be at, whatever alembic_version says. */

extern int	 syncmaster_apparent_revision(Oid namespace, int revision);
extern int	 syncmaster_likely_revision(Oid namespace);
extern List *syncmaster_vector_problems(Oid namespace,
										const SchemaRevision *revision,
										bool				  wait);

/* history.c: The record of migrations. */

#define HISTORY_SCHEMA "syncmaster_history"
#define HISTORY_TABLE "migration"
#define HISTORY_NAME HISTORY_SCHEMA "." HISTORY_TABLE

/*
 * A part of the record that belongs to a role without the rights of the
 * tables' owner.
 */
typedef struct ForeignPart
{
	const char *kind; /* "schema" or "table" */
	const char *name;
	Oid			holder;
} ForeignPart;

extern Oid	 syncmaster_find_history(void);
extern Oid	 syncmaster_require_history_schema(const MigrationContext *context);
extern bool	 syncmaster_is_history(Oid relid);
extern List *syncmaster_foreign_history(Oid relid, Oid owner, Oid new_owner);
extern void	 syncmaster_history_errors(List **findings, Oid relid, Oid owner,
									   Oid new_owner);
extern const char *syncmaster_rename_foreign_schema(Oid owner);
extern void		   syncmaster_record_migration(const MigrationContext *context,
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
	MemberKind	kind;
	Audience	audience; /* roles with EXECUTE, or with SELECT */
} MemberInfo;

extern const MemberInfo syncmaster_members[];
extern const int		syncmaster_nmembers;

/* namesake.c: Functions of other roles with the names of the library's. */

/* A function that may be called in place of one of the library's. */
typedef struct Namesake
{
	const char *signature; /* schema.name(types) */
	const char *drop;	   /* the command */
} Namesake;

extern List *syncmaster_namesakes(void);
extern void	 syncmaster_warn_of_namesakes(void);

/* place.c: Tables of SyncMaster in other schemas than the extension's. */

extern List *syncmaster_other_places(Oid namespace);
extern char *syncmaster_describe_places(Oid namespace);
extern void	 syncmaster_place_problems(List					 **problems,
									   const MigrationContext *context,
									   bool					   meant);

/* script.c: The migration steps in the installed extension scripts. */

/* One call of syncmaster_migrate() in a script. */
typedef struct MigrationStep
{
	int	  from; /* revision numbers; from > to is a downgrade */
	int	  to;
	char *ddl;
} MigrationStep;

extern List			 *syncmaster_read_steps(Oid namespace);
extern MigrationStep *syncmaster_find_step(List *steps, int from, int to);

/* setting.c: Settings of this extension that last longer than a session. */

extern void syncmaster_report_settings(List **findings);

/* trusted.c: What of the application's tables a role cannot trust. */

extern List *syncmaster_distrusted_in(Oid relid, const char *table, Oid role);
extern void	 syncmaster_require_known_owner(const MigrationContext *context);

/* version.c: Which version of what is in use. */

extern void syncmaster_require_library(void);

#endif /* SYNCMASTER_SCHEMA_H */
