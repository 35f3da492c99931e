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
#include "keyfile.h"
#include "secret.h"

typedef struct CredentialCheck
{
	KeyRing *ring;
	int64 *tokens; /* how many are under which key */
	IdList all;
	IdList unreadable;
	IdList missing;	 /* connections without credentials */
	IdList orphaned; /* credentials without a connection */
	Secret *plaintext;
} CredentialCheck;

extern void syncmaster_check_credentials(CredentialCheck *check);

#endif /* SYNCMASTER_CREDENTIAL_CHECK_H */
