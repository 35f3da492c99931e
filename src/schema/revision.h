/*-------------------------------------------------------------------------
 *
 * revision.h
 *	  SyncMaster's schema revisions, the one that a database is at, and the
 *	  targets that people name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_REVISION_H
#define SYNCMASTER_REVISION_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "extension.h"

/* Revisions are numbered 0001, 0002, … without a gap; 0 is Alembic's "base". */
#define REVISION_BASE 0
#define REVISION_HEAD 13

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
	REVISION_NEWER,		/* numbered past what this library knows */
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

extern void syncmaster_read_revision(Oid namespace, SchemaRevision *revision);
extern List *syncmaster_revision_problems(Oid namespace,
										  const SchemaRevision *revision);
extern void syncmaster_newer_problem(List **problems, Oid namespace,
									 const SchemaRevision *revision);
extern void syncmaster_require_revision(Oid namespace,
										SchemaRevision *revision);
extern char *syncmaster_version_table_ddl(const char *schema);
extern char *syncmaster_stamp_sql(const char *schema, int from, int to);
extern void syncmaster_stamp_revision(Oid namespace, int from, int to);

extern bool syncmaster_is_in_step(const ExtensionEntry *extension,
								  const SchemaRevision *revision);

extern char *syncmaster_target_argument(FunctionCallInfo fcinfo);
extern void syncmaster_parse_target(const char *target, bool upgrade,
									int current, RevisionTarget *result);
extern char *syncmaster_version_to_install(const ExtensionEntry *extension,
										   const RevisionTarget *target);

#endif /* SYNCMASTER_REVISION_H */
