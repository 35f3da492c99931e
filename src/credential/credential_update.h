/*-------------------------------------------------------------------------
 *
 * credential_update.h
 *	  Replacing the tokens in auth_data.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CREDENTIAL_UPDATE_H
#define SYNCMASTER_CREDENTIAL_UPDATE_H

#include "postgres.h"

#include "auth_data.h"

/* Says what is to be in the place of "value"; NULL leaves the row alone. */
typedef text *(*RowRewriter)(void *state, const int64 *id,
							 struct varlena *value);

extern void syncmaster_update_credentials(OwnedTable *table,
										  RowRewriter rewriter, void *state,
										  bool *alone);

#endif /* SYNCMASTER_CREDENTIAL_UPDATE_H */
