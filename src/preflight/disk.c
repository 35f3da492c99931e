/*-------------------------------------------------------------------------
 *
 * disk.c
 *	  Free disk space, against what an upgrade's rewrites need.
 *
 * Until the transaction ends, a rewritten table is there twice, and its new
 * rows and indexes have gone through the WAL.  Everybody may know whether
 * there is room; how much is free, only those who may read all statistics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_tablespace.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "base/compat.h"
#include "engine/engine.h"
#include "preflight/preflight.h"

/* How much the rewrites add to one tablespace. */
typedef struct DiskNeed
{
	Oid	  tablespace;
	int64 bytes;
} DiskNeed;

static Oid
tablespace_of(Oid relid)
{
	Oid tablespace = get_rel_tablespace(relid);

	return OidIsValid(tablespace) ? tablespace : MyDatabaseTableSpace;
}

static void
add_need(List **needs, Oid relid)
{
	Oid		  tablespace = tablespace_of(relid);
	DiskNeed *need = NULL;
	ListCell *lc;

	foreach (lc, *needs)
	{
		if (((DiskNeed *) lfirst(lc))->tablespace == tablespace)
			need = lfirst(lc);
	}
	if (need == NULL)
	{
		need = palloc0(sizeof(DiskNeed));
		need->tablespace = tablespace;
		*needs = lappend(*needs, need);
	}
	need->bytes += syncmaster_relation_bytes(relid);
}

/*
 * Tables that the plan rewrites, once each, with what inherits from them.
 */
static List *
collect_needs(const UpgradePlan *plan)
{
	List	 *needs = NIL;
	List	 *seen = NIL;
	ListCell *lc;

	foreach (lc, plan->effects)
	{
		StatementEffect *effect = lfirst(lc);
		ListCell		*lock;

		if (!effect->rewrites)
			continue;
		foreach (lock, effect->locks)
		{
			Oid relid = ((TableLock *) lfirst(lock))->relid;

			/* the partitions are locked as well, and have the rows */
			if (list_member_oid(seen, relid) ||
				syncmaster_is_partitioned(relid))
				continue;
			seen = lappend_oid(seen, relid);
			add_need(&needs, relid);
		}
	}
	return needs;
}

static char *
pretty(int64 bytes)
{
	return TextDatumGetCString(
		DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes)));
}

/*
 * Free bytes and device of the file system that a directory is on; false if
 * the server cannot tell.  Paths are relative to the data directory, which is
 * where the server runs.
 */
static bool
free_space(const char *path, int64 *bytes, dev_t *device)
{
	struct statvfs fs;
	struct stat	   st;

	if (statvfs(path, &fs) != 0 || stat(path, &st) != 0)
		return false;
	*bytes = (int64) fs.f_bavail * (int64) fs.f_frsize;
	*device = st.st_dev;
	return true;
}

static void
report_space(Preflight *preflight, Severity severity, const char *what,
			 int64 need, int64 available)
{
	bool		may_know = has_privs_of_role(preflight->context.caller,
											 ROLE_PG_READ_ALL_STATS);
	const char *hint = severity == SEVERITY_INFO
						   ? "Nothing is to be done."
						   : "Free or add disk space before the upgrade.";

	syncmaster_report(preflight, severity, "disk",
					  psprintf("%s take about %s until the upgrade ends; %s "
							   "free",
							   what, pretty(need),
							   may_know ? psprintf("%s are", pretty(available))
							   : severity == SEVERITY_INFO ? "that much is"
														   : "less may be"),
					  hint);
}

void
syncmaster_check_disk(Preflight *preflight)
{
	List	 *needs = collect_needs(preflight->plan);
	int64	  total = 0;
	int64	  wal_free = 0;
	dev_t	  wal_device = 0;
	bool	  wal_known = free_space("pg_wal", &wal_free, &wal_device);
	bool	  wal_apart = wal_known;
	ListCell *lc;

	foreach (lc, needs)
	{
		total += ((DiskNeed *) lfirst(lc))->bytes;
	}

	foreach (lc, needs)
	{
		DiskNeed *need = lfirst(lc);
		char	 *name = get_tablespace_name(need->tablespace);
		char	 *what = psprintf("rewritten tables in tablespace \"%s\"",
							  name != NULL ? name : "?");
		int64	  available;
		dev_t	  device;

		if (!free_space(need->tablespace == DEFAULTTABLESPACE_OID
							? "base"
							: psprintf("pg_tblspc/%u", need->tablespace),
						&available, &device))
			syncmaster_report(preflight, SEVERITY_INFO, "disk",
							  psprintf("%s take about %s until the upgrade "
									   "ends; the server cannot tell how much "
									   "is free",
									   what, pretty(need->bytes)),
							  "Look for yourself.");
		else if (available < need->bytes)
			report_space(preflight, SEVERITY_ERROR, what, need->bytes,
						 available);
		else if (wal_known && device == wal_device)
		{
			wal_apart = false;
			report_space(preflight,
						 available < need->bytes + total ? SEVERITY_WARNING
														 : SEVERITY_INFO,
						 psprintf("%s, and WAL,", what), need->bytes + total,
						 available);
		}
		else
			report_space(preflight, SEVERITY_INFO, what, need->bytes,
						 available);
	}
	if (wal_apart && total > 0)
		report_space(preflight,
					 wal_free < total ? SEVERITY_WARNING : SEVERITY_INFO,
					 "rewritten tables in the WAL", total, wal_free);
}
