/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  One DDL statement of a migration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_STATEMENT_H
#define SYNCMASTER_STATEMENT_H

#include "migrate.h"
#include "nodes/parsenodes.h"

extern void syncmaster_require_schema_create(const MigrationContext *context,
											 Oid role);
extern void syncmaster_run_statement(const MigrationContext *context,
									 Node *stmt, const char *sql);

#endif /* SYNCMASTER_STATEMENT_H */
