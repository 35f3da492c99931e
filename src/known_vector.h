/*-------------------------------------------------------------------------
 *
 * known_vector.h
 *	  Search vectors that are computed before a migration locks their table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_KNOWN_VECTOR_H
#define SYNCMASTER_KNOWN_VECTOR_H

#include "statement.h"

extern bool syncmaster_compute_vectors(const MigrationContext *context,
									   const StatementEffect *effect);
extern void syncmaster_execute_with_vectors(const MigrationContext *context,
											const StatementEffect *effect);
extern void syncmaster_forget_vectors(void);

#endif /* SYNCMASTER_KNOWN_VECTOR_H */
