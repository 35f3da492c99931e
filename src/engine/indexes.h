/*-------------------------------------------------------------------------
 *
 * indexes.h
 *	  The extra indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_INDEXES_H
#define SYNCMASTER_INDEXES_H

#include "migrate.h"

extern List *syncmaster_missing_indexes(const MigrationContext *context,
										List *earlier, List **problems);
/* How an extra index stands. */
typedef enum ExtraIndexState
{
	EXTRA_INDEX_PRESENT,
	EXTRA_INDEX_MISSING,
	EXTRA_INDEX_OTHER,		 /* a relation of that name is something else */
	EXTRA_INDEX_NOT_POSSIBLE /* its table or pg_trgm is not there */
} ExtraIndexState;

extern int syncmaster_extra_index_count(void);
extern bool syncmaster_is_extra_index(const char *name);
extern ExtraIndexState syncmaster_extra_index(int i, Oid namespace,
											  const char *schema,
											  const char **name,
											  char **definition);
extern void syncmaster_build_indexes(const MigrationContext *context,
									 int elevel);
extern void syncmaster_remove_indexes(const MigrationContext *context);

#endif /* SYNCMASTER_INDEXES_H */
