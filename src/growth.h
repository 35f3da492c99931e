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

extern const GrowingTable syncmaster_growing_tables[NGROWING_TABLES];

extern AppTableState syncmaster_open_growing(int i, AppTable *table,
											 Oid namespace);
extern bool syncmaster_oldest_row(const AppTable *table, Timestamp *oldest);
extern double syncmaster_estimate_rows(Relation rel);

#endif /* SYNCMASTER_GROWTH_H */
