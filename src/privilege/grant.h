/*-------------------------------------------------------------------------
 *
 * grant.h
 *	  Giving services their rights.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_GRANT_H
#define SYNCMASTER_GRANT_H

#include "context.h"

extern void syncmaster_extend_grants(const MigrationContext *context);

#endif /* SYNCMASTER_GRANT_H */
