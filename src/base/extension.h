/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Entries in pg_extension, above all this extension's own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_EXTENSION_H
#define SYNCMASTER_EXTENSION_H

#include "postgres.h"

typedef struct ExtensionEntry
{
	Oid oid;
	Oid owner;
	Oid namespace;
	char *namespace_name;
	char *version;
} ExtensionEntry;

extern bool syncmaster_find_extension(const char *name, ExtensionEntry *entry);
extern void syncmaster_get_extension(ExtensionEntry *entry);
extern void syncmaster_require_library(void);
extern char *syncmaster_default_version(const char *extension);

#endif /* SYNCMASTER_EXTENSION_H */
