/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL majors, in one place.
 *
 * No other file of this extension looks at PG_VERSION_NUM.  Include it after
 * PostgreSQL's own headers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_COMPAT_H
#define SYNCMASTER_COMPAT_H

#if PG_VERSION_NUM < 130000
#error "syncmaster needs PostgreSQL 13 or later; set PG_CONFIG to its pg_config"
#endif

#include "access/genam.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parse_relation.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* 19 renames the header of CLUSTER. */
#if PG_VERSION_NUM >= 190000
#include "commands/repack.h"
#else
#include "commands/cluster.h"
#endif

/*
 * 16 moved VARSIZE, VARDATA, VARSIZE_ANY, VARDATA_ANY, VARSIZE_ANY_EXHDR,
 * SET_VARSIZE, VARATT_IS_EXTENDED and VARATT_IS_EXTERNAL out of postgres.h.
 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * 15 reserves an extension's prefix for its own settings; earlier majors can
 * only warn about unknown ones.
 */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* Where a setting has its value from.  16 finds the setting itself. */
static inline GucSource
setting_source(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, false, ERROR)->source;
#else
	struct config_generic **settings = get_guc_variables();
	int						count = GetNumConfigOptions();

	for (int i = 0; i < count; i++)
	{
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i]->source;
	}
	elog(ERROR, "unrecognized configuration parameter \"%s\"", name);
#endif
}

/* 15 renames the analysis with parameters of known types. */
static inline Query *
analyze(RawStmt *raw, const char *sql, Oid *types, int ntypes)
{
#if PG_VERSION_NUM >= 150000
	return parse_analyze_fixedparams(raw, sql, types, ntypes, NULL);
#else
	return parse_analyze(raw, sql, types, ntypes, NULL);
#endif
}

/* 19 tells the planner for which EXPLAIN it works. */
static inline PlannedStmt *
plan_query(Query *query, const char *sql, ParamListInfo params)
{
#if PG_VERSION_NUM >= 190000
	return pg_plan_query(query, sql, CURSOR_OPT_PARALLEL_OK, params, NULL);
#else
	return pg_plan_query(query, sql, CURSOR_OPT_PARALLEL_OK, params);
#endif
}

/* 19 moves the function to another header. */
static inline char *
current_database_name(void)
{
	return get_database_name(MyDatabaseId);
}

/* 18 runs every plan once only, and need not be told. */
static inline void
run_executor(QueryDesc *query)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(query, ForwardScanDirection, 0);
#else
	ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
}

/* 14 asks whether the statement may be changed. */
static inline void
process_utility(PlannedStmt *plan, const char *sql, ParamListInfo params,
				DestReceiver *dest)
{
#if PG_VERSION_NUM >= 140000
	ProcessUtility(plan, sql, true, PROCESS_UTILITY_QUERY, params, NULL, dest,
				   NULL);
#else
	ProcessUtility(plan, sql, PROCESS_UTILITY_QUERY, params, NULL, dest, NULL);
#endif
}

/* 14 renames the kind of object that ALTER TABLE and its kin name. */
static inline bool
alters_table(const AlterTableStmt *stmt)
{
#if PG_VERSION_NUM >= 140000
	return stmt->objtype == OBJECT_TABLE;
#else
	return stmt->relkind == OBJECT_TABLE;
#endif
}

/* 14 has statistics on expressions. */
#if PG_VERSION_NUM >= 140000
#define HAVE_EXPRESSION_STATISTICS
#endif

/* 14 has multiranges; InvalidOid for another type. */
static inline Oid
range_of_multirange(Oid type)
{
#if PG_VERSION_NUM >= 140000
	return get_typtype(type) == TYPTYPE_MULTIRANGE ? get_multirange_range(type)
												   : InvalidOid;
#else
	return InvalidOid;
#endif
}

/* 15 has MERGE.  Return what each of its actions does, as a query of its own. */
static inline List *
merge_queries(const Query *query)
{
	List *queries = NIL;
#if PG_VERSION_NUM >= 150000
	ListCell *lc;

	foreach (lc, query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, lc);
		Query			  *part = makeNode(Query);

		part->commandType = action->commandType;
		part->targetList = action->targetList;
		part->resultRelation = query->resultRelation;
		part->rtable = query->rtable;
		queries = lappend(queries, part);
	}
#else
	(void) query;
#endif
	return queries;
}

/* 17 has expressions that make SQL values of JSON. */
static inline bool
is_json_expression(const Node *node)
{
#if PG_VERSION_NUM >= 170000
	return IsA(node, JsonExpr);
#else
	(void) node;
	return false;
#endif
}

/* 14 names functions as SQL does. */
#if PG_VERSION_NUM < 140000
#define F_TSVECTOR_UPDATE_TRIGGER F_TSVECTOR_UPDATE_TRIGGER_BYID
#define F_TSVECTOR_UPDATE_TRIGGER_COLUMN F_TSVECTOR_UPDATE_TRIGGER_BYCOLUMN
#endif

/* 14 renames the predefined roles. */
#if PG_VERSION_NUM < 140000
#define ROLE_PG_READ_ALL_SETTINGS DEFAULT_ROLE_READ_ALL_SETTINGS
#define ROLE_PG_READ_ALL_STATS DEFAULT_ROLE_READ_ALL_STATS
#endif

/* ACL_DAT() mixes signed and unsigned numbers, which -Wextra complains of. */
static inline const AclItem *
acl_items(const Acl *acl)
{
	return (const AclItem *) ((const char *) acl + ARR_OVERHEAD_NONULLS(1));
}

/* 17 adds a privilege. */
#if PG_VERSION_NUM < 170000
#define ACL_MAINTAIN 0
#endif

/* 18 searches control files and scripts along a path. */
#if PG_VERSION_NUM >= 180000
#define HAVE_EXTENSION_CONTROL_PATH
#endif

/* 19 lets the caller of a scan choose its options. */
static inline TableScanDesc
begin_table_scan(Relation rel, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan(rel, snapshot, 0, NULL, 0);
#else
	return table_beginscan(rel, snapshot, 0, NULL);
#endif
}

/*
 * Make a new file for a table that is written anew, and put it in the table's
 * place, as ALTER TABLE does.  15 lets that change the access method; 19 lets
 * it leave the indexes out.
 */
static inline Oid
make_heap(Relation rel)
{
#if PG_VERSION_NUM >= 150000
	return make_new_heap(RelationGetRelid(rel), rel->rd_rel->reltablespace,
						 rel->rd_rel->relam, rel->rd_rel->relpersistence,
						 AccessExclusiveLock);
#else
	return make_new_heap(RelationGetRelid(rel), rel->rd_rel->reltablespace,
						 rel->rd_rel->relpersistence, AccessExclusiveLock);
#endif
}

static inline void
swap_heap(Oid relid, Oid new_relid, char persistence)
{
#if PG_VERSION_NUM >= 190000
	finish_heap_swap(relid, new_relid, false, false, true, true, true,
					 RecentXmin, ReadNextMultiXactId(), persistence);
#else
	finish_heap_swap(relid, new_relid, false, false, true, true, RecentXmin,
					 ReadNextMultiXactId(), persistence);
#endif
}

/* 18 counts an index scan's searches; 19 lets the caller choose its options. */
static inline IndexScanDesc
begin_index_scan(Relation rel, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0, 0);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(rel, index, snapshot, nkeys, 0);
#endif
}

/* 15 keeps a string constant of the parse tree in a union of its own. */
static inline const char *
const_string(const A_Const *con)
{
#if PG_VERSION_NUM >= 150000
	if (!con->isnull && IsA(&con->val.node, String))
		return con->val.sval.sval;
#else
	if (IsA(&con->val, String))
		return con->val.val.str;
#endif
	return NULL;
}

/* 16 checks rights on every kind of object through one function. */
#if PG_VERSION_NUM < 160000
static inline AclResult
object_aclcheck(Oid class, Oid object, Oid role, AclMode mode)
{
	switch (class)
	{
		case NamespaceRelationId:
			return pg_namespace_aclcheck(object, role, mode);
		case DatabaseRelationId:
			return pg_database_aclcheck(object, role, mode);
		case LanguageRelationId:
			return pg_language_aclcheck(object, role, mode);
		default:
			Assert(class == ProcedureRelationId);
			return pg_proc_aclcheck(object, role, mode);
	}
}
#endif

static inline bool
has_schema_create(Oid namespace, Oid role)
{
	return object_aclcheck(NamespaceRelationId, namespace, role, ACL_CREATE) ==
		   ACLCHECK_OK;
}

static inline bool
has_schema_usage(Oid namespace, Oid role)
{
	return object_aclcheck(NamespaceRelationId, namespace, role, ACL_USAGE) ==
		   ACLCHECK_OK;
}

static inline bool
has_database_create(Oid database, Oid role)
{
	return object_aclcheck(DatabaseRelationId, database, role, ACL_CREATE) ==
		   ACLCHECK_OK;
}

static inline bool
may_execute(Oid function, Oid role)
{
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) ==
		   ACLCHECK_OK;
}

static inline bool
may_use_language(Oid language, Oid role)
{
	return object_aclcheck(LanguageRelationId, language, role, ACL_USAGE) ==
		   ACLCHECK_OK;
}

static inline bool
owns_extension(Oid extension, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, role);
#else
	return pg_extension_ownercheck(extension, role);
#endif
}

/* 16 tells the right to become a role from the right to use its rights. */
static inline bool
can_act_as(Oid member, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return member_can_set_role(member, role);
#else
	return is_member_of_role(member, role);
#endif
}

/* 14 has a role that the database's owner is a member of without a grant. */
#if PG_VERSION_NUM >= 140000
#define DATABASE_OWNER_ROLE ROLE_PG_DATABASE_OWNER
#else
#define DATABASE_OWNER_ROLE InvalidOid
#endif

/* 16 has options for each grant of a role; before, a member may do all. */
static inline bool
grant_inherits(Form_pg_auth_members grant)
{
#if PG_VERSION_NUM >= 160000
	return grant->inherit_option;
#else
	(void) grant;
	return true;
#endif
}

static inline bool
grant_allows_set(Form_pg_auth_members grant)
{
#if PG_VERSION_NUM >= 160000
	return grant->set_option;
#else
	(void) grant;
	return true;
#endif
}

static inline bool
grant_allows_granting(Form_pg_auth_members grant)
{
	return grant->admin_option;
}

/*
 * 18 runs AFTER triggers as the role that was at work when they were queued,
 * which in the cascade of a foreign key is the owner of the referring table.
 * Before, it is whoever deletes from the table that is referred to.
 */
static inline bool
cascades_run_as_caller(void)
{
	return PG_VERSION_NUM < 180000;
}

/* 16 keeps grants of a role by different grantors apart. */
#define GRANTS_HAVE_GRANTORS (PG_VERSION_NUM >= 160000)

/* rights on settings, in pg_parameter_acl */
#define SETTINGS_HAVE_RIGHTS (PG_VERSION_NUM >= 150000)

/*
 * Up to 15, a role with CREATEROLE can grant itself all roles but superusers;
 * from 16 on, those that it was granted WITH ADMIN OPTION.
 */
#define CREATEROLE_GRANTS_ALL (PG_VERSION_NUM < 160000)

/*
 * Tell the executor of the one table that is updated, and of the columns.
 * Permissions, with those columns, moved out of the entry in 16; 18 asks
 * which entries survive pruning.
 */
static inline void
init_range_table(EState *estate, RangeTblEntry *entry, Bitmapset *updated)
{
#if PG_VERSION_NUM >= 160000
	List *permissions = NIL;

	addRTEPermissionInfo(&permissions, entry)->updatedCols = updated;
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(entry), permissions,
					   bms_make_singleton(1));
#else
	ExecInitRangeTable(estate, list_make1(entry), permissions);
#endif
#else
	entry->updatedCols = updated;
	ExecInitRangeTable(estate, list_make1(entry));
#endif
}

static inline void
init_eval_plan_qual(EPQState *epq, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	EvalPlanQualInit(epq, estate, NULL, NIL, -1, NIL);
#else
	EvalPlanQualInit(epq, estate, NULL, NIL, -1);
#endif
}

/*
 * The table in which AFTER triggers find the one that is updated; they open
 * other tables themselves.
 */
static inline void
set_update_target(EState *estate, ResultRelInfo *target)
{
#if PG_VERSION_NUM >= 140000
	estate->es_opened_result_relations =
		lappend(estate->es_opened_result_relations, target);
#else
	estate->es_result_relations = target;
	estate->es_num_result_relations = 1;
	estate->es_result_relation_info = target;
#endif
}

/*
 * Close what AFTER triggers opened: the tables that foreign keys update.
 */
static inline void
close_trigger_targets(EState *estate)
{
#if PG_VERSION_NUM >= 140000
	ListCell *cell;

	foreach (cell, estate->es_trig_target_relations)
		table_close(((ResultRelInfo *) lfirst(cell))->ri_RelationDesc, NoLock);
#else
	ExecCleanUpTriggerState(estate);
#endif
}

static inline void
update_row(ResultRelInfo *target, EState *estate, EPQState *epq,
		   TupleTableSlot *old_row, TupleTableSlot *new_row)
{
#if PG_VERSION_NUM >= 140000
	ExecSimpleRelationUpdate(target, estate, epq, old_row, new_row);
#else
	(void) target;
	ExecSimpleRelationUpdate(estate, epq, old_row, new_row);
#endif
}

/*
 * Update a row of a table without triggers and constraints.
 *
 * Indexes are not told that their keys stay the same, as 14 and later could
 * be.  They would look for old row versions to remove whenever a page is full,
 * in vain because this transaction has only just replaced these versions.
 */
static inline void
update_plain_row(ResultRelInfo *target, EState *estate, TupleTableSlot *old_row,
				 TupleTableSlot *new_row)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update_indexes;
#else
	bool update_indexes;
#endif

	simple_table_tuple_update(target->ri_RelationDesc, &old_row->tts_tid,
							  new_row, estate->es_snapshot, &update_indexes);
#if PG_VERSION_NUM >= 190000
	if (update_indexes != TU_None)
		ExecInsertIndexTuples(target, estate,
							  update_indexes == TU_Summarizing
								  ? EIIT_IS_UPDATE | EIIT_ONLY_SUMMARIZING
								  : 0,
							  new_row, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	if (update_indexes != TU_None)
		ExecInsertIndexTuples(target, new_row, estate, false, false, NULL, NIL,
							  update_indexes == TU_Summarizing);
#elif PG_VERSION_NUM >= 140000
	if (update_indexes)
		ExecInsertIndexTuples(target, new_row, estate, false, false, NULL, NIL);
#else
	if (update_indexes)
		ExecInsertIndexTuples(new_row, estate, false, NULL, NIL);
#endif
}

#endif /* SYNCMASTER_COMPAT_H */
