/*-------------------------------------------------------------------------
 *
 * checksum.c
 *	  A checksum over a set of credentials, in whatever order they come.
 *
 * It is the number of rows and the sum of 64-bit hashes of all rows, so it
 * needs no memory, however large the table is.  The hashes depend on a random
 * seed that never leaves this process: nobody can aim at two sets of rows
 * with the same sum, and the odds that they occur are one in 2^64.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "checksum.h"

uint64
syncmaster_make_checksum_seed(void)
{
	uint64 seed;

	if (!pg_strong_random(&seed, sizeof(seed)))
		elog(ERROR, "could not generate a random number");
	return seed;
}

void
syncmaster_add_to_checksum(Checksum *checksum, uint64 seed, int64 id,
						   const char *token, Size length)
{
	uint64 row_seed = hash_bytes_extended((const unsigned char *) &id,
										  sizeof(id), seed);

	checksum->sum += hash_bytes_extended((const unsigned char *) token,
										 (int) length, row_seed);
	checksum->rows++;
}
