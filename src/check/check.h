/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Differences between the schema and its revision, and their repair.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_CHECK_H
#define SYNCMASTER_CHECK_H

#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "base/base.h"
#include "schema/schema.h"

/* difference.c: Differences between a schema and what its revision should be. */

/* The input of a comparison, and the differences that it found. */
typedef struct CheckContext
{
	Oid namespace;
	char *schema;
	Oid	  owner;	 /* owner of the tables */
	int	  revision;	 /* revision that the schema is compared with */
	bool  unsettled; /* may the tables be at another revision? */
	bool  repairs;	 /* are fixes run at once, by a role that may migrate? */
	List *findings;
} CheckContext;

/* Why repair leaves differences of some kinds. */
#define LEFT_FOREIGN \
	"it was made by somebody who may still want it; drop it yourself if not"
#define LEFT_NAME \
	"its name belongs to something else, which you may want to name yourself"
#define LEFT_TYPE "a conversion may lose data; look at the rows first"

extern void syncmaster_begin_check(CheckContext *context);
extern void syncmaster_check_schema(CheckContext *context);
extern void syncmaster_check_tables_at(CheckContext *context, int revision);
extern bool syncmaster_try_check_tables(CheckContext *context, int revision,
										const char **locked);

extern Finding *syncmaster_add_difference(CheckContext *context,
										  Severity		severity,
										  const char   *object_type,
										  const char   *object_name,
										  const char   *message);
extern void		syncmaster_withhold_fixes(CheckContext *context);
extern void		syncmaster_fix_by_rewrite(Finding *finding, Oid relid,
										  const char *fix);
extern bool		syncmaster_contradicts(const Finding *finding);
extern char	   *syncmaster_name_differences(List *findings);
extern char *syncmaster_qualify(const CheckContext *context, const char *name);
extern char *syncmaster_column_name(const char *table, const char *column);

extern char *syncmaster_make_relation(const CheckContext *context,
									  const RelationInfo *relation);
extern char *syncmaster_free_name(const CheckContext *context,
								  const char		 *name);
extern char *syncmaster_set_value(const CheckContext *context,
								  const char *sequence, const char *table,
								  const char *column);

/* One part of the comparison each. */
extern void	 syncmaster_check_columns(CheckContext		 *context,
									  const RelationInfo *relation, Oid relid);
extern bool	 syncmaster_check_generated(CheckContext	   *context,
										const RelationInfo *relation,
										Relation rel, const ColumnInfo *column,
										Form_pg_attribute att);
extern void	 syncmaster_check_constraints(CheckContext		 *context,
										  const RelationInfo *relation,
										  Oid				  relid);
extern bool	 syncmaster_is_constraint(const char *table, const char *name);
extern void	 syncmaster_check_indexes(CheckContext		 *context,
									  const RelationInfo *relation, Oid relid);
extern void	 syncmaster_check_extra_indexes(CheckContext *context);
extern void	 syncmaster_check_serial(CheckContext		*context,
									 const RelationInfo *relation, Oid relid);
extern char *syncmaster_make_serial(const CheckContext *context,
									const RelationInfo *relation,
									const ColumnInfo *column, const char *name);
extern bool	 syncmaster_next_value(Oid sequence, int64 *next);
extern void	 syncmaster_check_sequence(CheckContext *context, const char *name,
									   Oid table, const char *column,
									   bool owned);
extern void	 syncmaster_check_relation(CheckContext *context, const char *name,
									   Oid relid);
extern void	 syncmaster_check_rights(CheckContext *context, const char *name,
									 Oid relid);
extern void	 syncmaster_check_grants(CheckContext *context, const char *name,
									 Oid relid);
extern void	 syncmaster_check_names(CheckContext *context);
extern void	 syncmaster_check_schema_usage(CheckContext *context);
extern void	 syncmaster_check_extras(CheckContext		*context,
									 const RelationInfo *relation, Oid relid);
extern void	 syncmaster_add_distrust(CheckContext *context, List *findings);
extern void	 syncmaster_check_other_relations(CheckContext *context);
extern void	 syncmaster_check_versions(CheckContext *context);
extern void	 syncmaster_check_apparent_revision(CheckContext *context);
extern void	 syncmaster_check_extension_members(CheckContext *context);
extern void	 syncmaster_check_trgm(CheckContext *context);
extern void	 syncmaster_check_search_path(CheckContext *context);

#endif /* SYNCMASTER_CHECK_H */
