/*-------------------------------------------------------------------------
 *
 * checksum.c
 *	  A checksum over a set of credentials, in any order.
 *
 * It is the number of rows and the sum of 64-bit hashes of all rows, each of
 * connection_id and token, so it needs no memory, however large the table is.
 * Two sets of rows that differ, because a token was lost, changed, doubled or
 * given to another connection, have the same checksum with a probability of
 * one in 2^64.
 *
 * That is enough against accidents.  The hash is not cryptographic, but its
 * seed is random and never leaves this process, so nobody can search for
 * collisions.  An attacker would gain nothing by one: a role whose trigger
 * runs here can as well change the rows a moment later.  The checksum says
 * that the table holds what was written; fernet.c is responsible for what was
 * written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "credential/credential.h"

uint64
syncmaster_make_checksum_seed(void)
{
	uint64 seed;

	if (!pg_strong_random(&seed, sizeof(seed)))
		elog(ERROR, "could not generate a random number");
	return seed;
}

void
syncmaster_add_to_checksum(Checksum *checksum, uint64 seed, const int64 *id,
						   const char *token, Size length)
{
	uint64 row_seed = hash_bytes_extended((const unsigned char *) id,
										  id == NULL ? 0 : sizeof(*id), seed);

	checksum->sum += hash_bytes_extended((const unsigned char *) token,
										 (int) length, row_seed);
	checksum->rows++;
}
