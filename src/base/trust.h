/*-------------------------------------------------------------------------
 *
 * trust.h
 *	  What the three files of the rule of trust share: trust.c has the rule
 *	  for relations, trust_code.c for functions, types and expressions, and
 *	  trust_statement.c finds the relations of a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_TRUST_H
#define SYNCMASTER_TRUST_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* One question under way: what of it may a role not trust? */
typedef struct TrustQuestion
{
	Oid role;
	List *findings;
	List *relations; /* OIDs of those that have been looked at... */
	List *events;	 /* ...and for which events */
	List *types;	 /* the same of types */

	/* the object that is being looked at, and what would drop it */
	Oid relid; /* InvalidOid for the statement itself */
	int asked; /* events of its rows */
	const char *object_type;
	const char *object_name;
	const char *fix;
} TrustQuestion;

extern bool syncmaster_has_rights(Oid owner, Oid role);
extern void syncmaster_distrust(TrustQuestion *question, const char *detail,
								const char *way_out);
extern void syncmaster_ask_function(TrustQuestion *question, Oid function);
extern void syncmaster_ask_support(TrustQuestion *question, Oid function);
extern void syncmaster_ask_trigger(TrustQuestion *question, Oid function,
								   int nargs);
extern void syncmaster_ask_type(TrustQuestion *question, Oid type);
extern void syncmaster_ask_expression(TrustQuestion *question, Node *node);
extern void syncmaster_ask_text(TrustQuestion *question, Datum node_tree);
extern void syncmaster_ask_relation(TrustQuestion *question, Oid relid,
									int events, bool children);

#endif /* SYNCMASTER_TRUST_H */
