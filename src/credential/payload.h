/*-------------------------------------------------------------------------
 *
 * payload.h
 *	  What a credential's token contains: JSON, as Python writes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PAYLOAD_H
#define SYNCMASTER_PAYLOAD_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "secret.h"

extern Secret *syncmaster_write_payload(Jsonb *jsonb);
extern Datum syncmaster_parse_payload(Secret *payload,
									  MemoryContext result_context);

#endif /* SYNCMASTER_PAYLOAD_H */
