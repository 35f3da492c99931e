/*-------------------------------------------------------------------------
 *
 * expected.h
 *	  What belongs to the application's tables at each revision, beside their
 *	  columns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_EXPECTED_H
#define SYNCMASTER_EXPECTED_H

#include "relation.h"

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

#endif /* SYNCMASTER_EXPECTED_H */
