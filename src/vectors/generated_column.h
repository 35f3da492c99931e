/*-------------------------------------------------------------------------
 *
 * generated_column.h
 *	  A generated column that a statement of a migration adds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_GENERATED_COLUMN_H
#define SYNCMASTER_GENERATED_COLUMN_H

#include "statement.h"

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

extern bool syncmaster_find_generated_column(const StatementEffect *effect,
											 GeneratedColumn *column);
extern bool syncmaster_may_rephrase(const StatementEffect *effect);
extern bool syncmaster_add_to_empty_table(const StatementEffect *effect,
										  const GeneratedColumn *column);
extern bool syncmaster_has_dependents(Oid function);
extern void syncmaster_unwrap_expression(Oid relid, const char *column,
										 Oid function);

#endif /* SYNCMASTER_GENERATED_COLUMN_H */
