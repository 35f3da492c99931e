/*-------------------------------------------------------------------------
 *
 * keyfile.h
 *	  The files that hold SyncMaster's secret keys.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_KEYFILE_H
#define SYNCMASTER_KEYFILE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "fernet.h"

/* The keys in the order in which they are tried; the first is primary. */
typedef struct KeyRing
{
	int count;
	int size;
	int last; /* the key that a token was last read under */
	FernetKey **keys;
	char *file; /* the settings, and the command, that it was read for */
	char *previous_file;
	TimestampTz command_start;
	MemoryContextCallback callback;
} KeyRing;

extern void syncmaster_define_key_settings(void);
extern KeyRing *syncmaster_read_keys(void);
extern bool syncmaster_keys_are_current(const KeyRing *ring);

#endif /* SYNCMASTER_KEYFILE_H */
