/*-------------------------------------------------------------------------
 *
 * known_vector.h
 *	  Search vectors that are computed before a migration locks their table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_KNOWN_VECTOR_H
#define SYNCMASTER_KNOWN_VECTOR_H

#include "generated_column.h"

typedef struct KnownVectors KnownVectors;

extern KnownVectors *syncmaster_compute_vectors(const MigrationContext *context,
												const StatementEffect *effect,
												Size *memory_left);
extern long syncmaster_count_vectors(const KnownVectors *known);
extern bool syncmaster_add_known_vectors(const MigrationContext *context,
										 const StatementEffect *effect,
										 const GeneratedColumn *column,
										 List *known_vectors);
extern void syncmaster_forget_vectors(List *known_vectors);

#endif /* SYNCMASTER_KNOWN_VECTOR_H */
