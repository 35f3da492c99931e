/*-------------------------------------------------------------------------
 *
 * credential_check.h
 *	  Which key each of the stored credentials is under.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CREDENTIAL_CHECK_H
#define SYNCMASTER_CREDENTIAL_CHECK_H

#include "postgres.h"

#include "auth_data.h"
#include "credentials.h"

typedef struct CredentialCheck
{
	TokenReader *reader;
	int64 *tokens;	/* how many are under which key */
	int64 previous; /* how many are not under the primary one */
	IdList all;
	IdList unreadable;
	IdList missing;	 /* connections without credentials */
	IdList orphaned; /* credentials without a connection */
} CredentialCheck;

extern void syncmaster_check_credentials(CredentialCheck *check);

#endif /* SYNCMASTER_CREDENTIAL_CHECK_H */
