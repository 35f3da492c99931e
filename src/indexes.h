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
extern void syncmaster_build_indexes(const MigrationContext *context,
									 int elevel);
extern void syncmaster_remove_indexes(const MigrationContext *context);

#endif /* SYNCMASTER_INDEXES_H */
