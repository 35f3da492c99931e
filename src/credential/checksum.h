/*-------------------------------------------------------------------------
 *
 * checksum.h
 *	  A checksum over a set of credentials, in whatever order they come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CHECKSUM_H
#define SYNCMASTER_CHECKSUM_H

#include "postgres.h"

typedef struct Checksum
{
	uint64 rows;
	uint64 sum;
} Checksum;

extern uint64 syncmaster_make_checksum_seed(void);
extern void syncmaster_add_to_checksum(Checksum *checksum, uint64 seed,
									   const int64 *id, const char *token,
									   Size length);

#endif /* SYNCMASTER_CHECKSUM_H */
