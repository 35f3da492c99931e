/*-------------------------------------------------------------------------
 *
 * credential.h
 *	  Fernet tokens, the keys that they are under, and their rotation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CREDENTIAL_H
#define SYNCMASTER_CREDENTIAL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "credential/fernet.h"
#include "rows/rows.h"

/* checksum.c: A checksum over a set of credentials, in whatever order they come. */

typedef struct Checksum
{
	uint64 rows;
	uint64 sum;
} Checksum;

extern uint64 syncmaster_make_checksum_seed(void);
extern void	  syncmaster_add_to_checksum(Checksum *checksum, uint64 seed,
										 const int64 *id, const char *token,
										 Size length);

/* keyfile.c: The files that hold SyncMaster's secret keys. */

/* The keys in the order in which they are tried; the first is primary. */
typedef struct KeyRing
{
	int			count;
	int			size;
	int			last; /* the key under which the last token was read */
	FernetKey **keys;
	char *file; /* the settings and the command for which the files were read */
	char *previous_file;
	TimestampTz			  command_start;
	MemoryContextCallback callback;
} KeyRing;

extern void		syncmaster_define_key_settings(void);
extern KeyRing *syncmaster_read_keys(void);
extern bool		syncmaster_keys_are_current(const KeyRing *ring);
extern bool		syncmaster_primary_key_is_public(const KeyRing *ring);

/* secret.c: Memory that is wiped before it is given back. */

/* A token of this size is a text that PostgreSQL can still store. */
#define MAX_SECRET_MB 256
#define MAX_SECRET_SIZE ((Size) MAX_SECRET_MB * 1024 * 1024)

/* Bytes that grow, for content that must not stay in memory afterwards. */
typedef struct Secret
{
	unsigned char		 *data;
	Size				  length;
	Size				  size;
	MemoryContextCallback callback;
} Secret;

extern Secret *syncmaster_make_secret(Size size);
extern void	   syncmaster_reserve_secret(Secret *secret, Size size);
extern void	   syncmaster_append_secret(Secret *secret, const void *data,
										Size length);
extern void	   syncmaster_adopt_secret(void *data, Size length);
extern void	   syncmaster_wipe_secret(Secret *secret);

/* credentials.c: Single tokens. */

/* A reader of stored tokens, one after the other. */
typedef struct TokenReader
{
	KeyRing		  *ring;
	unsigned char *data; /* the binary form of the token that was read last */
	size_t		   length;
	size_t		   size;
	Secret		  *plaintext;
	int			   key; /* number of the key that the token is under */
	MemoryContext  context;
} TokenReader;

extern TokenReader *syncmaster_make_token_reader(void);
extern bool			syncmaster_read_token(TokenReader		   *reader,
										  const struct varlena *value);
extern text		   *syncmaster_make_token_text(const unsigned char *data,
											   size_t length, MemoryContext context);

/* credential_check.c: Which key each of the stored credentials is under. */

typedef struct CredentialCheck
{
	TokenReader *reader;
	int64		*tokens;   /* for each key, how many tokens are under it */
	int64		 previous; /* how many are not under the primary key */
	IdList		 all;
	IdList		 unreadable;
	IdList		 missing;  /* connections without credentials */
	IdList		 orphaned; /* credentials without a connection */
} CredentialCheck;

extern void syncmaster_check_credentials(CredentialCheck *check);

/* credential_update.c: Replacing the tokens in auth_data. */

/* Returns the new value in place of "value"; NULL leaves the row alone. */
typedef text *(*RowRewriter)(void *state, const int64 *id,
							 struct varlena *value);

extern void syncmaster_update_credentials(OwnedTable *table,
										  RowRewriter rewriter, void *state,
										  bool *alone);

/* payload.c: What a credential's token contains: JSON, as Python writes it. */

extern Secret *syncmaster_write_payload(Jsonb *jsonb);
extern Datum   syncmaster_parse_payload(Secret		 *payload,
										MemoryContext result_context);

#endif /* SYNCMASTER_CREDENTIAL_H */
