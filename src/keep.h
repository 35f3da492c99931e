/*-------------------------------------------------------------------------
 *
 * keep.h
 *	  The last runs of each transfer, which a purge keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_KEEP_H
#define SYNCMASTER_KEEP_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/hsearch.h"

extern HTAB *syncmaster_create_keep_limits(void);
extern ArrayType *syncmaster_find_kept(HTAB *limits, const char *relation,
									   const char *condition, int keep_last,
									   Datum *range, int64 *nsuperfluous,
									   int64 *nkept);

#endif /* SYNCMASTER_KEEP_H */
