/*-------------------------------------------------------------------------
 *
 * revision_0010.c
 *	  Extension pg_trgm, of which the search for users uses an operator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

DEFINE_REVISION(0010) = {
	.id = "0010",
	.description = "extension pg_trgm",
	.repeatable = true,
	.extension = "pg_trgm",
};
