/*-------------------------------------------------------------------------
 *
 * service.h
 *	  SyncMaster's services, and which roles they log in with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_SERVICE_H
#define SYNCMASTER_SERVICE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "context.h"
#include "history.h"

/* in the schema of the record of migrations */
#define SERVICE_TABLE "service"
#define SERVICE_NAME HISTORY_SCHEMA "." SERVICE_TABLE

/* Sets of services are sums of these. */
#define SERVICE_SERVER 0x01
#define SERVICE_SCHEDULER 0x02
#define SERVICE_WORKER 0x04
#define SERVICE_MONITOR 0x08

#define NUM_SERVICES 4

/* A role that was granted services. */
typedef struct ServiceRole
{
	Oid role;
	int services;
} ServiceRole;

extern int syncmaster_parse_service(const char *name);
extern const char *syncmaster_services_text(int services);

extern Oid syncmaster_find_service_table(void);
extern const char *syncmaster_service_distrust(const MigrationContext *context,
											   Oid relid);
extern List *syncmaster_service_roles(const MigrationContext *context);
extern int syncmaster_services_of(List *service_roles, Oid role);
extern char *syncmaster_remember_service(const MigrationContext *context,
										 Oid role, int service);
extern char *syncmaster_forget_service(const MigrationContext *context,
									   Oid role, int service);

#endif /* SYNCMASTER_SERVICE_H */
