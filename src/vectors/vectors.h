/*-------------------------------------------------------------------------
 *
 * vectors.h
 *	  Search vectors that are computed before their table is locked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_VECTORS_H
#define SYNCMASTER_VECTORS_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "tsearch/ts_type.h"

#include "schema/schema.h"

/* An ALTER TABLE of a migration: what of it matters here. */
typedef struct TableStatement
{
	AlterTableStmt *stmt;
	const char *sql;
	int location; /* of that in the source */
	const char *table;
	Oid relid;
	Oid role; /* as whom it runs */
} TableStatement;

/* generated_column.c: A generated column that a statement of a migration adds. */

/* As the statement defines it; pointers are into the statement's text. */
typedef struct GeneratedColumn
{
	const char *name;
	const char *type;	/* its last name */
	Node *raw_expr;		/* that computes it */
	const char *clause; /* GENERATED ALWAYS AS (...) STORED */
	const char *after;	/* what follows that */
	const char *expr;	/* what is in its parentheses */
	int expr_length;
} GeneratedColumn;

extern bool syncmaster_find_generated_column(const TableStatement *statement,
											 GeneratedColumn *column);
extern bool syncmaster_may_rephrase(const TableStatement *statement);
extern bool syncmaster_add_to_empty_table(const TableStatement *statement,
										  const GeneratedColumn *column);
extern bool syncmaster_has_dependents(Oid function);
extern void syncmaster_unwrap_expression(Oid relid, const char *column,
										 Oid function);

/* known_vector.c: Search vectors that are computed before a migration locks their table. */

typedef struct KnownVectors KnownVectors;

extern KnownVectors *syncmaster_compute_vectors(const MigrationContext *context,
												const TableStatement *statement,
												Size *memory_left);
extern long syncmaster_count_vectors(const KnownVectors *known);
extern bool syncmaster_run_shorter(const MigrationContext *context,
								   const TableStatement *statement,
								   List *known_vectors);
extern void syncmaster_forget_vectors(List *known_vectors);

/* vector_chain.c: Search vectors in a chain: a || b || c ... */

extern List *syncmaster_split_chain(const TableStatement *statement,
									const GeneratedColumn *column);
extern TSVector syncmaster_join_vectors(const TSVector *vectors, int count);

#endif /* SYNCMASTER_VECTORS_H */
