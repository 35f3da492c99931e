/*-------------------------------------------------------------------------
 *
 * vector_chain.h
 *	  Search vectors in a chain: a || b || c ...
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_VECTOR_CHAIN_H
#define SYNCMASTER_VECTOR_CHAIN_H

#include "tsearch/ts_type.h"

#include "generated_column.h"

extern List *syncmaster_split_chain(const StatementEffect *effect,
									const GeneratedColumn *column);
extern TSVector syncmaster_join_vectors(const TSVector *vectors, int count);

#endif /* SYNCMASTER_VECTOR_CHAIN_H */
