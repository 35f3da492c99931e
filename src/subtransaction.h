/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *	  Trying what may fail.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SUBTRANSACTION_H
#define SYNCMASTER_SUBTRANSACTION_H

#include "postgres.h"

typedef void (*SubtransactionBody)(void *argument);

extern ErrorData *syncmaster_try(SubtransactionBody body, void *argument);

#endif /* SYNCMASTER_SUBTRANSACTION_H */
