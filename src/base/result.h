/*-------------------------------------------------------------------------
 *
 * result.h
 *	  Set-returning functions that give all their rows at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_RESULT_H
#define SYNCMASTER_RESULT_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/execnodes.h"

extern ReturnSetInfo *syncmaster_begin_result(FunctionCallInfo fcinfo);
extern void syncmaster_put_texts(ReturnSetInfo *result, int natts,
								 const char *const *texts);

#endif /* SYNCMASTER_RESULT_H */
