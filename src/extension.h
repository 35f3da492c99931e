/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  This extension's own entry in pg_extension.
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

extern bool syncmaster_find_extension(ExtensionEntry *entry);
extern void syncmaster_get_extension(ExtensionEntry *entry);

#endif /* SYNCMASTER_EXTENSION_H */
