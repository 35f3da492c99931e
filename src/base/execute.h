/*-------------------------------------------------------------------------
 *
 * execute.h
 *	  Running SQL as another role, out of reach of what that role planted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_EXECUTE_H
#define SYNCMASTER_EXECUTE_H

#include "postgres.h"

#include "tcop/dest.h"

extern Oid syncmaster_relation_owner(Oid relation);
extern Oid syncmaster_schema_owner(Oid namespace);

extern void syncmaster_refuse_triggers(Oid relid);
extern void syncmaster_call_as(Oid role, void (*function)(void *),
							   void *argument);
extern void syncmaster_execute_as(const char *sql, Oid role);
extern void syncmaster_execute_params(const char *sql, Oid role, int nargs,
									  Oid *types, Datum *values);
extern void syncmaster_execute_into(const char *sql, Oid role,
									DestReceiver *receiver);
extern int syncmaster_maintenance_memory(void);

extern int syncmaster_enter_safe_settings(void);
extern void syncmaster_leave_safe_settings(int save_nestlevel);
extern int syncmaster_begin_query(void);
extern void syncmaster_end_query(int save_nestlevel);

#endif /* SYNCMASTER_EXECUTE_H */
