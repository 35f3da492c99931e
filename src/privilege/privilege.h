/*-------------------------------------------------------------------------
 *
 * privilege.h
 *	  Who may do what: services, rights, SyncMaster's superusers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PRIVILEGE_H
#define SYNCMASTER_PRIVILEGE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/acl.h"

#include "base/base.h"
#include "schema/schema.h"

/* grant.c: Giving services their rights. */

extern void syncmaster_extend_grants(const MigrationContext *context);

/* member_acl.c: The rights on the extension's own functions and views. */

/* A privilege that a role lacks, or has although it is not meant to. */
typedef struct MemberRight
{
	const char *kind; /* "function", "procedure" or "view" */
	const char *name; /* with the types of its arguments */
	Audience	audience;
	const char *privilege;
	Oid			role; /* or ACL_ID_PUBLIC */
	bool		missing;
	const char *fix;
} MemberRight;

extern void		   syncmaster_settle_members(void);
extern void		   syncmaster_complete_members(void);
extern void		   syncmaster_complete_member(const char *fix);
extern void		   syncmaster_hand_over_members(Oid former);
extern List		  *syncmaster_member_rights(void);
extern const char *syncmaster_lacking_execute(const char *function, Oid role);

/* service.c: SyncMaster's services, and which roles they log in with. */

/* in the schema of the record of migrations */
#define SERVICE_TABLE "service"
#define SERVICE_NAME HISTORY_SCHEMA "." SERVICE_TABLE

/* services that unpickle the contents of tables */
#define UNPICKLING_SERVICES (SERVICE_SCHEDULER | SERVICE_WORKER)

/* A role that was granted services. */
typedef struct ServiceRole
{
	Oid role;
	int services;
} ServiceRole;

extern int		   syncmaster_parse_service(const char *name);
extern const char *syncmaster_services_text(int services);

extern Oid		   syncmaster_find_service_table(void);
extern const char *syncmaster_service_distrust(const MigrationContext *context,
											   Oid					   relid);
extern const char *syncmaster_service_remedy(const MigrationContext *context);
extern List		  *syncmaster_service_roles(const MigrationContext *context);
extern int		   syncmaster_services_of(List *service_roles, Oid role);
extern char		  *syncmaster_remember_service(const MigrationContext *context,
											   Oid role, int service);
extern char		  *syncmaster_forget_service(const MigrationContext *context,
											 Oid role, int service);

/* membership.c: As which roles a role can act. */

extern List *syncmaster_settable_roles(Oid role);
extern List *syncmaster_usable_roles(Oid role);
extern int	 syncmaster_usable_services(List *service_roles, Oid role);
extern char *syncmaster_revoke_membership(Oid role, Oid member);

/* resolve.c: What names without a schema mean to a role. */

typedef struct SearchedSchema
{
	const char *name;
	Oid			oid;	/* invalid if it does not exist */
	bool		usable; /* by the role */
} SearchedSchema;

/* An object that a service uses in place of SyncMaster's. */
typedef struct MisledService
{
	Oid			role;	  /* role that the service logs in with */
	const char *type;	  /* table, sequence, view, function, operator... */
	const char *expected; /* NULL for what is not SyncMaster's by its name */
	const char *actual;
	const char *fix;
} MisledService;

extern Oid		   syncmaster_acting_role(Oid role);
extern List		  *syncmaster_searched_schemas(Oid role);
extern bool		   syncmaster_is_searched(List *path, Oid namespace);
extern List		  *syncmaster_service_logins(const MigrationContext *context,
											 List					*service_roles);
extern char		  *syncmaster_set_search_path(const MigrationContext *context,
											  Oid					  role);
extern List		  *syncmaster_misled_services(const MigrationContext *context,
											  List					 *service_roles);
extern const char *syncmaster_misled_text(const MisledService *entry);

/* privilege.c: What each service needs, and what roles have. */

#define METRICS_VIEW "syncmaster_metrics"

/* An object that services need privileges on. */
typedef struct GrantableObject
{
	const char *type;	/* "table", "column" and so on */
	const char *name;	/* for people; a column's with its table */
	const char *target; /* as GRANT names it; a column's is its table */
	const char *column; /* quoted; NULL if it is none */
	Oid			relid;	/* of the relation, if it is one */
	Oid			owner;
	Acl		   *acl; /* NULL if nobody but the owner was granted anything */
	AclMode		needed[NUM_SERVICES];
	int unpickled_by;	/* services that unpickle, and so run, what is in it */
	const char *pickle; /* column with the pickle; NULL if all of them count */
	const char *leads_to; /* table that is written through it, or NULL */
	AclMode leads_by; /* privileges that write that table, beside the owner's */
	bool	owner_leads;  /* its owner needs none of them */
	bool	is_table;	  /* or a column of one */
	bool	is_serial;	  /* a sequence that has its owner from its table */
	bool	is_schema;	  /* may be shared with other applications */
	bool	of_extension; /* belongs to the owner of an extension */
} GrantableObject;

/*
 * The privileges that put code behind a table: a trigger, or a table that
 * refers to it.
 */
#define RUNS_CODE (ACL_TRIGGER | ACL_REFERENCES)

extern GrantableObject *
syncmaster_relation_object(const char *type, const char *keyword, Oid relid);
extern void syncmaster_add_columns(List **objects, const GrantableObject *table,
								   Oid relid);
extern List	  *syncmaster_table_objects(Oid relid);
extern List	  *syncmaster_owned_objects(Oid relid);
extern List	  *syncmaster_grantable_objects(Oid namespace, int elevel);
extern AclMode syncmaster_needed(const GrantableObject *object, int services);
extern AclMode syncmaster_putting_in(const GrantableObject *object);
extern int	   syncmaster_services_open_to(const GrantableObject *object,
										   AclMode				  privileges);
extern AclMode syncmaster_granted(const GrantableObject *object, Oid role,
								  Oid grantor);
extern AclMode syncmaster_held(const GrantableObject *object, Oid role);
extern void	   syncmaster_append_privileges(StringInfo text, AclMode privileges,
											const char *column,
											const char *suffix);

/* passage.c: Other relations through which SyncMaster's tables are written. */

extern List *syncmaster_passages(Oid namespace);

/* hand_over.c: Giving what a service owns to another role. */

extern char *syncmaster_hand_over(const MigrationContext *context, List *parts,
								  Oid role, bool presume);

/* privilege_row.c: The rows of syncmaster_privileges(). */

/* in the order in which they are listed */
#define STATE_DANGEROUS SEVERITY_ERROR
#define STATE_MISSING SEVERITY_WARNING
#define STATE_EXCESS SEVERITY_INFO
#define STATE_GRANTED SEVERITY_NONE

#define UNPICKLED "a service unpickles what is in the table, which runs code"

typedef struct PrivilegeList
{
	MigrationContext context;
	Oid				 extension_owner;
	List			*roles; /* of ServiceRole */
	List			*objects;
	List *
		powers; /* of Power: what a role can do, and roles that can act as it */
	List *findings; /* of PrivilegeFinding */
} PrivilegeList;

extern void syncmaster_add_privilege(PrivilegeList *list, Severity state,
									 Oid role, const char *object_type,
									 const char *object_name,
									 const char *privilege, const char *reason,
									 const char *fix);
extern void syncmaster_put_privileges(ReturnSetInfo		  *result,
									  const PrivilegeList *list);

/* privilege_list.c: What roles have more, or less, than the services need. */

extern void syncmaster_list_privileges(PrivilegeList *list, int elevel);

/* power.c: What roles can do beyond a service's rights, and who can act as them. */

extern bool syncmaster_is_entitled(const MigrationContext *context,
								   List *service_roles, Oid role);
extern void syncmaster_add_power(PrivilegeList *list, Severity state, Oid role,
								 int services, bool attribute,
								 const char *reason);
extern void syncmaster_list_powers(PrivilegeList *list);

/* squatter.c: Who could make tables that services would find first. */

extern void syncmaster_list_squatters(PrivilegeList *list);

#endif /* SYNCMASTER_PRIVILEGE_H */
