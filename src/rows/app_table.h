/*-------------------------------------------------------------------------
 *
 * app_table.h
 *	  A table of the application, opened by those who only look.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_APP_TABLE_H
#define SYNCMASTER_APP_TABLE_H

#include "postgres.h"

#include "access/attnum.h"
#include "utils/rel.h"

#define MAX_APP_COLUMNS 5

typedef enum AppTableState
{
	APP_TABLE_OPEN,
	APP_TABLE_MISSING,
	APP_TABLE_LOCKED,	 /* whoever reads it would have to wait */
	APP_TABLE_UNREADABLE /* it is not the table that it should be */
} AppTableState;

typedef struct AppTable
{
	Relation rel;
	AttrNumber columns[MAX_APP_COLUMNS]; /* in the order asked for */
} AppTable;

extern AppTableState syncmaster_open_app_table(AppTable *table, Oid namespace,
											   const char *name,
											   const char *const *columns);
extern void syncmaster_close_app_table(AppTable *table);

#endif /* SYNCMASTER_APP_TABLE_H */
