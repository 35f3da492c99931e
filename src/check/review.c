/*-------------------------------------------------------------------------
 *
 * review.c
 *	  The comparison at the end of an upgrade, and the calls that end with it:
 *	  syncmaster_upgrade(), and the last one of each script.
 *
 * Tables that lost a constraint are upgraded all the same, as the constraint
 * may have been missing for years and no step needs it.  The comparison says
 * so, because whoever upgrades would believe otherwise that the tables are as
 * the revision makes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(syncmaster_finish_script);
PG_FUNCTION_INFO_V1(syncmaster_upgrade);

/* Transaction in which the warning was last given, and its revision. */
static FullTransactionId said_in = {0};
static int				 said_of;

/*
 * Warn of differences that are errors to syncmaster_check().  Tables that
 * other sessions have locked are not waited for; then there is no warning.
 */
static void
review_tables(int revision)
{
	FullTransactionId xid = GetTopFullTransactionId();
	CheckContext	  context;
	List			 *differences = NIL;
	const char		 *locked;
	ListCell		 *lc;

	if (!syncmaster_try_check_tables(&context, revision, &locked))
		return;
	foreach (lc, context.findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->severity == SEVERITY_ERROR)
			differences = lappend(differences, lfirst(lc));
	}
	if (differences == NIL ||
		(FullTransactionIdEquals(said_in, xid) && said_of == revision))
		return;
	said_in = xid;
	said_of = revision;
	ereport(WARNING, (errmsg("the tables are not all as revision %s makes them",
							 syncmaster_revision_id(revision)),
					  errdetail("Differences: %s.",
								syncmaster_name_differences(differences)),
					  errhint("SELECT * FROM syncmaster_check() lists all "
							  "differences, with SQL that repairs them.")));
}

/*
 * syncmaster_finish_script(version text)
 */
Datum
syncmaster_finish_script(PG_FUNCTION_ARGS)
{
	int revision = syncmaster_end_script(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	/* syncmaster_upgrade() compares at its own end */
	if (revision > REVISION_BASE && !syncmaster_is_updating())
		review_tables(revision);
	PG_RETURN_VOID();
}

/*
 * syncmaster_upgrade(target text) returns text: the revision reached
 */
Datum
syncmaster_upgrade(PG_FUNCTION_ARGS)
{
	int revision = syncmaster_upgrade_to(syncmaster_target_argument(fcinfo));

	if (revision > REVISION_BASE)
		review_tables(revision);
	PG_RETURN_TEXT_P(cstring_to_text(syncmaster_revision_id(revision)));
}
