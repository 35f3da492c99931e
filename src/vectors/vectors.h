/*-------------------------------------------------------------------------
 *
 * vectors.h
 *	  Search vectors, the generated columns that migrations add.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_VECTORS_H
#define SYNCMASTER_VECTORS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "schema/schema.h"

/* An ALTER TABLE of a migration, as far as this folder needs it. */
typedef struct TableStatement
{
	AlterTableStmt *stmt;
	const char	   *sql;
	int			location; /* of sql in the source that stmt was parsed from */
	const char *table;
	Oid			relid;
	Oid			role; /* role that runs it */
} TableStatement;

/* known_vector.c: Search vectors computed before the lock, and the statement that adds them. */

extern List *syncmaster_compute_vectors(const MigrationContext *context,
										List *statements, const char *activity);
extern void	 syncmaster_alter_table(const MigrationContext *context,
									const TableStatement   *statement,
									List				   *known_vectors);

/* long_vector.c: Rows with more text than a search vector can hold. */

extern void syncmaster_long_vector_problems(List				  **findings,
											const MigrationContext *context,
											const TableStatement   *statement);

/* vector_column.c: The search vector that a statement adds; for this folder. */

typedef struct VectorColumn
{
	const char *name;
	Node	   *raw_expr;  /* the column's expression */
	const char *expr;	   /* the expression as text */
	bool		not_null;  /* to be */
	const char *plain_sql; /* the statement without the column's clause */
} VectorColumn;

extern bool syncmaster_find_vector_column(const TableStatement *statement,
										  VectorColumn		   *column);

#endif /* SYNCMASTER_VECTORS_H */
