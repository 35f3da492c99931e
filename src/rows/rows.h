/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  SyncMaster's tables, read without trusting their owners.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_ROWS_H
#define SYNCMASTER_ROWS_H

#include "postgres.h"

#include "access/attnum.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "storage/block.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/base.h"
#include "schema/schema.h"

/*
 * app_table.c: A table of the application, opened by a reader that neither
 * waits nor fails.
 */

#define MAX_APP_COLUMNS 8

typedef enum AppTableState
{
	APP_TABLE_OPEN,
	APP_TABLE_MISSING,
	APP_TABLE_LOCKED,	   /* reading it would have to wait for a lock */
	APP_TABLE_DISTRIBUTED, /* Citus has its rows */
	APP_TABLE_UNREADABLE   /* it is not the table that it should be */
} AppTableState;

typedef struct AppTable
{
	Relation   rel;
	AttrNumber columns[MAX_APP_COLUMNS]; /* in the order of the argument */
} AppTable;

extern AppTableState syncmaster_open_app_table(AppTable	  *table, Oid namespace,
											   const char *name,
											   const char *const *columns);
extern bool			 syncmaster_may_know(Oid relid, AttrNumber attnum);
extern void			 syncmaster_close_app_table(AppTable *table);

/* highest_value.c: The highest id of a table. */

/* What reading a table directly tells of the highest value in a column. */
typedef enum HighestValue
{
	HIGHEST_FOUND,
	HIGHEST_NONE,	/* the table is empty */
	HIGHEST_UNKNOWN /* there is no index to find it by, or no rows are here */
} HighestValue;

extern bool			syncmaster_has_ids(Oid relid);
extern HighestValue syncmaster_highest_value(Oid relid, AttrNumber attnum,
											 int64 *value, char **reason);
extern HighestValue syncmaster_scan_highest_value(Oid relid, AttrNumber attnum,
												  int64 *value);

/* run_status.c: The statuses of runs. */

#define NACTIVE_STATUSES 3
#define NRUN_STATUSES 6

extern const char *const syncmaster_run_statuses[NRUN_STATUSES];

extern int	 syncmaster_find_status(Datum status);
extern int	 syncmaster_find_active_status(Datum status);
extern bool	 syncmaster_is_final_status(Datum status);
extern bool	 syncmaster_is_scheduled_type(Datum type);
extern char *syncmaster_list_statuses(int first);
extern char *syncmaster_list_active_statuses(void);

/* active_run.c: Runs that a service is at work on, or will be. */

/* Columns of the table as opened by syncmaster_open_runs(). */
typedef enum RunColumn
{
	RUN_STATUS,
	RUN_ID,
	RUN_CREATED_AT,
	RUN_STARTED_AT,
	RUN_UPDATED_AT,
	RUN_ENDED_AT,
	RUN_TRANSFER_ID,
	RUN_TYPE
} RunColumn;

/*
 * Called for each active run, with the number of its status; returns false if
 * no more runs of that status are needed.
 */
typedef bool (*RunReader)(void *state, int status, const AppTable *runs,
						  TupleTableSlot *slot);

/* The result of reading runs. */
typedef enum RunReadResult
{
	RUN_READ_DONE,
	RUN_READ_NO_INDEX,
	RUN_READ_LOCKED /* an index that may help is locked */
} RunReadResult;

/*
 * Largest table, in blocks, that is read from end to end if it has no index.
 */
#define MAX_BLOCKS_READ 10000

extern AppTableState syncmaster_open_runs(AppTable *runs, Oid namespace);
extern RunReadResult syncmaster_read_active_runs(const AppTable *runs,
												 int64			 max_entries,
												 BlockNumber	 max_blocks,
												 RunReader reader, void *state,
												 bool *complete);

/* recent_run.c: The newest runs. */

/*
 * Called for each run, the newest first; returns false if no more are needed.
 */
typedef bool (*RecentRunReader)(void *state, const AppTable *runs,
								TupleTableSlot *slot, TimestampTz created_at);

extern RunReadResult syncmaster_read_recent_runs(const AppTable *runs,
												 int64			 max_runs,
												 int64			 max_entries,
												 RecentRunReader reader,
												 void			*state);

/* activity.c: Who else is at work in this database: sessions, and runs of transfers. */

/* A session of another client in this database. */
typedef struct OtherSession
{
	char *description; /* process, user, application, state */
	int64 age;		   /* age of its transaction, in ms; 0 if there is none */
	bool  in_transaction; /* as far as the caller may see */
	bool  may_write;	  /* some table of the application */
	bool  between_nodes;  /* kept open by Citus, and idle */
} OtherSession;

typedef enum ActiveRuns
{
	RUNS_NONE,		/* no table, or no active run in it */
	RUNS_ACTIVE,	/* described */
	RUNS_LOCKED,	/* the table is locked */
	RUNS_EXPENSIVE, /* it would have to be read from end to end */
	RUNS_UNREADABLE /* it is not the table that it should be, or, as described,
					 * Citus could not be asked for its rows */
} ActiveRuns;

extern List		 *syncmaster_other_sessions(Oid namespace);
extern ActiveRuns syncmaster_active_runs(Oid namespace, bool at_any_cost,
										 char **description);

/*
 * owned_table.c: Reading the application's tables without trusting their
 * owners.
 */

/* An open table whose owner is the current user until it is closed. */
typedef struct OwnedTable
{
	Relation	relation;
	char	   *quoted_name;
	const char *id_name;
	const char *value_name; /* NULL for a table without credentials */
	AttrNumber	id_column;
	AttrNumber	value_column;
	bool		distributed;
	ActingScope acting;
} OwnedTable;

/*
 * Called for each row.  "value" is NULL if the column is null, and so is "id",
 * which can happen only without the table's primary key.
 */
typedef void (*RowReader)(void *state, const int64 *id, struct varlena *value);

extern AttrNumber syncmaster_find_column(Relation relation, const char *name,
										 Oid type, Oid other_type);
extern void syncmaster_open_owned_table(OwnedTable *table, const char *name,
										LOCKMODE mode);
extern void syncmaster_open_auth_data(OwnedTable *table, LOCKMODE mode);
extern void syncmaster_open_connection(OwnedTable *table, LOCKMODE mode);
extern void syncmaster_close_owned_table(OwnedTable *table);
extern void syncmaster_scan_table(OwnedTable *table, RowReader reader,
								  void *state);

/* growth.c: The tables that grow with every run. */

/* The result of the search for the oldest row. */
typedef enum OldestRow
{
	OLDEST_ROW_FOUND,
	OLDEST_ROW_NONE,
	OLDEST_ROW_UNKNOWN, /* no index helps, or not in so few steps */
	OLDEST_ROW_LOCKED	/* an index that may help is locked */
} OldestRow;

extern AppTableState syncmaster_open_growing(const RelationInfo *growing,
											 AppTable *table, Oid namespace);
extern OldestRow	 syncmaster_oldest_row(const AppTable *table, int keep_last,
										   int64 max_entries, Timestamp before,
										   Timestamp *oldest);
extern int64		 syncmaster_rows_without_time(const AppTable *table,
												  Timestamp before, IdList *ids);
extern double		 syncmaster_estimate_rows(Relation rel);
extern bool			 syncmaster_table_bytes(Relation table, double *bytes);

#endif /* SYNCMASTER_ROWS_H */
