/*-------------------------------------------------------------------------
 *
 * growth.h
 *	  The tables that grow with every run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_GROWTH_H
#define SYNCMASTER_GROWTH_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "app_table.h"

#define NGROWING_TABLES 3

typedef struct GrowingTable
{
	const char *name;
	const char *time_column; /* tells a row's age */
	const char *purge;		 /* the procedure that deletes old rows */
} GrowingTable;

/* What became of the search for the oldest row. */
typedef enum OldestRow
{
	OLDEST_ROW_FOUND,
	OLDEST_ROW_NONE,
	OLDEST_ROW_UNKNOWN, /* no index helps, or not in so few steps */
	OLDEST_ROW_LOCKED	/* an index that may help is locked */
} OldestRow;

extern const GrowingTable syncmaster_growing_tables[NGROWING_TABLES];

extern AppTableState syncmaster_open_growing(int i, AppTable *table,
											 Oid namespace);
extern OldestRow syncmaster_oldest_row(const AppTable *table, int64 max_entries,
									   Timestamp *oldest);
extern double syncmaster_estimate_rows(Relation rel);
extern bool syncmaster_table_bytes(Relation table, double *bytes);

#endif /* SYNCMASTER_GROWTH_H */
