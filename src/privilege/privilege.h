/*-------------------------------------------------------------------------
 *
 * privilege.h
 *	  What each service needs, and what roles have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PRIVILEGE_H
#define SYNCMASTER_PRIVILEGE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/acl.h"

#include "service.h"

/* Something of the application's that privileges are granted on. */
typedef struct Securable
{
	const char *type;	/* "table", "column" and so on */
	const char *name;	/* for people; a column's with its table */
	const char *target; /* as GRANT names it; a column's is its table */
	const char *column; /* quoted; NULL if it is none */
	Oid owner;
	Acl *acl; /* NULL if nobody but the owner was granted anything */
	AclMode needed[NUM_SERVICES];
	bool pickled;	   /* a service unpickles, and so runs, what is in it */
	bool is_schema;	   /* which need not be SyncMaster's alone */
	bool of_extension; /* its owner is whoever installed that */
} Securable;

extern List *syncmaster_securables(Oid namespace);
extern AclMode syncmaster_needed(const Securable *object, int services);
extern AclMode syncmaster_held(const Securable *object, Oid role);
extern void syncmaster_append_privileges(StringInfo text, AclMode privileges,
										 const char *column,
										 const char *suffix);

#endif /* SYNCMASTER_PRIVILEGE_H */
