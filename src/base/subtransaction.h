/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *	  Trying what may fail, and looking without holding on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SUBTRANSACTION_H
#define SYNCMASTER_SUBTRANSACTION_H

#include "postgres.h"

typedef void (*SubtransactionBody)(void *argument);

extern ErrorData *syncmaster_try(SubtransactionBody body, void *argument);
extern void syncmaster_look(SubtransactionBody body, void *argument);

#endif /* SYNCMASTER_SUBTRANSACTION_H */
