/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  How far a migration is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_PROGRESS_H
#define SYNCMASTER_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern void syncmaster_show_activity(const char *activity, const char *sql);
extern void syncmaster_report_progress(TimestampTz started, const char *format,
									   ...) pg_attribute_printf(2, 3);

#endif /* SYNCMASTER_PROGRESS_H */
