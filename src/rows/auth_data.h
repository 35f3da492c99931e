/*-------------------------------------------------------------------------
 *
 * auth_data.h
 *	  Reading the application's tables without trusting their owners.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_AUTH_DATA_H
#define SYNCMASTER_AUTH_DATA_H

#include "postgres.h"

#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* A table that is open, and whose owner is the current user meanwhile. */
typedef struct OwnedTable
{
	Relation relation;
	char *quoted_name;
	const char *id_name;
	const char *value_name; /* NULL for a table without credentials */
	AttrNumber id_column;
	AttrNumber value_column;
	bool distributed;
	Oid saved_user;
	int saved_security;
	int settings_level;
} OwnedTable;

/* A list of connection_ids. */
typedef struct IdList
{
	int64 count; /* nulls included */
	int64 nulls;
	int64 size;
	int64 *ids; /* the others */
	MemoryContext context;
} IdList;

/*
 * What is called for each row; "value" is NULL where the table has none, and
 * so is "id", which can happen only without the table's primary key.
 */
typedef void (*RowReader)(void *state, const int64 *id, struct varlena *value);

extern AttrNumber syncmaster_find_column(Relation relation, const char *name,
										 Oid type, Oid other_type);
extern void syncmaster_open_owned_table(OwnedTable *table, const char *name,
										LOCKMODE mode);
extern bool syncmaster_is_distributed(Oid relid);
extern void syncmaster_open_auth_data(OwnedTable *table, LOCKMODE mode);
extern void syncmaster_open_connection(OwnedTable *table, LOCKMODE mode);
extern void syncmaster_close_owned_table(OwnedTable *table);
extern void syncmaster_scan_table(OwnedTable *table, RowReader reader,
								  void *state);

extern void syncmaster_init_ids(IdList *list);
extern void syncmaster_add_id(IdList *list, const int64 *id);
extern char *syncmaster_ids_to_text(IdList *list, int64 most);
extern Datum syncmaster_ids_to_array(IdList *list);
extern void syncmaster_compare_ids(IdList *left, IdList *right,
								   IdList *only_left, IdList *only_right);

#endif /* SYNCMASTER_AUTH_DATA_H */
