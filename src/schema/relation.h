/*-------------------------------------------------------------------------
 *
 * relation.h
 *	  The application's tables and free-standing sequences.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_RELATION_H
#define SYNCMASTER_RELATION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "revision.h"

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

#endif /* SYNCMASTER_RELATION_H */
