/*-------------------------------------------------------------------------
 *
 * member.c
 *	  The functions, procedures and views of the extension, and who may use
 *	  them.
 *
 * This is the only place that says so: the scripts, syncmaster_check(),
 * syncmaster_privileges() and syncmaster_preflight() go by it, and tests compare
 * the reference with what they make of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

const MemberInfo syncmaster_members[] = {
	{"syncmaster_add_superusers", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_check", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_create_indexes", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_decrypt", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_downgrade", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_drop_indexes", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_encrypt", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_end_runs", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_finish_script", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_full_version", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_generate_key", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_grant", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_health", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_history", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_library_version", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_migrate", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_preflight", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_privileges", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_purge_partitions", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_purge_runs", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_purge_task_results", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	/* returns rows only to those who may read the view syncmaster_metrics */
	{"syncmaster_read_metrics", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_remove_superusers", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_repair", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_revoke", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_rotate_credentials", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_schema_version", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_set_owner", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_stamp", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_superusers", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_tsquery", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_upgrade", MEMBER_FUNCTION, FOR_ADMINISTRATORS},
	{"syncmaster_upgrade_plan", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_upgrade_sql", MEMBER_FUNCTION, FOR_EVERYBODY},
	{"syncmaster_verify_credentials", MEMBER_FUNCTION, FOR_SUPERUSERS},
	{"syncmaster_versions", MEMBER_FUNCTION, FOR_EVERYBODY},

	{"syncmaster_metrics", MEMBER_VIEW, FOR_ADMINISTRATORS},
};

const int syncmaster_nmembers = lengthof(syncmaster_members);
