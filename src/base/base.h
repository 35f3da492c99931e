/*-------------------------------------------------------------------------
 *
 * base.h
 *	  What the library needs of PostgreSQL, with nothing of SyncMaster in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_BASE_H
#define SYNCMASTER_BASE_H

#include "postgres.h"

#include "access/genam.h"
#include "access/sdir.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* The compiler warns about a caller that ignores the result. */
#define MUST_BE_ASKED __attribute__((warn_unused_result))

/* act_as.c: Acting as another role, out of reach of what that role planted. */

/* What syncmaster_end_acting() restores. */
typedef struct ActingScope
{
	Oid	 user;
	int	 security;
	int	 settings;
	bool creating_extension;
	Oid	 extension;
} ActingScope;

extern void syncmaster_begin_acting(ActingScope *scope, Oid role);
extern void syncmaster_end_acting(const ActingScope *scope);

extern int	syncmaster_enter_settings(void);
extern int	syncmaster_enter_safe_settings(void);
extern void syncmaster_set_locally(const char *name, const char *value);
extern void syncmaster_set_locally_int(const char *name, int value);
extern void syncmaster_switch_off(const char *name);
extern void syncmaster_set_deadlock_timeout(int milliseconds);
extern void syncmaster_leave_settings(int level);
extern bool syncmaster_is_setting_value(const char *name, const char *value);
extern int	syncmaster_maintenance_memory(void);

/* dependency.c: What depends on a column. */

extern List *syncmaster_column_indexes(Oid relid, const char *column);

/*
 * Columns of tables that hold rows of table $1, or arrays, domains and the like
 * of them: PostgreSQL does not rewrite such a table.
 */
#define SYNCMASTER_ROW_HOLDERS \
	"SELECT format('column \"%s\" of table %s', a.attname, " \
	"    a.attrelid::regclass) AS holder FROM (" \
	"    WITH RECURSIVE held(type) AS (" \
	"        SELECT c.reltype FROM (WITH RECURSIVE tree(id) AS (" \
	"            SELECT $1 UNION SELECT i.inhrelid FROM tree t " \
	"            JOIN pg_inherits i ON i.inhparent = t.id) " \
	"            SELECT id FROM tree) t JOIN pg_class c ON c.oid = t.id " \
	"        UNION " \
	"        SELECT coalesce(t.oid, k.reltype) FROM held h " \
	"        JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass " \
	"             AND d.refobjid = h.type " \
	"        LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass " \
	"             AND t.oid = d.objid " \
	"        LEFT JOIN pg_class k ON d.classid = 'pg_class'::regclass " \
	"             AND k.oid = d.objid " \
	"             AND k.relkind NOT IN ('r', 'm', 'p', 'i', 'I')) " \
	"    SELECT type FROM held) h " \
	"JOIN pg_attribute a ON a.atttypid = h.type " \
	"JOIN pg_class u ON u.oid = a.attrelid " \
	"WHERE a.attnum > 0 AND NOT a.attisdropped " \
	"AND u.relkind IN ('r', 'm', 'p', 'i', 'I')"

/* extension.c: Entries in pg_extension, above all this extension's own. */

typedef struct ExtensionEntry
{
	Oid oid;
	Oid owner;
	Oid namespace;
	char *namespace_name;
	char *version;
} ExtensionEntry;

extern bool	 syncmaster_find_extension(const char *name, ExtensionEntry *entry);
extern void	 syncmaster_get_extension(ExtensionEntry *entry);
extern char *syncmaster_default_version(const char *extension);

/* finding.c: What a check found: to be listed, raised as an error or reported. */

/* From the gravest to the least grave. */
typedef enum Severity
{
	SEVERITY_ERROR,	  /* a command or service fails, or data is at risk */
	SEVERITY_WARNING, /* it may fail, wait or behave differently */
	SEVERITY_INFO,	  /* no service notices */
	SEVERITY_NONE	  /* all is well; listed for completeness */
} Severity;

typedef struct Finding
{
	Severity	severity;
	int			sqlerrcode; /* if it is raised; 0 if it is only listed */
	const char *kind;		/* of the subject, or of the check; or NULL */
	const char *subject;	/* what it is about, in a word or two */
	const char *message;	/* what is wrong */
	const char *detail;		/* NULL if there is no more to say */
	const char *hint;		/* what to do, for people; or NULL */
	const char *expected;	/* NULL when nothing is expected */
	const char *actual;		/* NULL when there is nothing */
	const char *fix;		/* SQL, NULL when none can repair it */
	const char *left;		/* why repair leaves it, NULL when it need not */
	bool		of_rows;	/* found in the rows, not in the definitions */
	bool of_extension; /* a member's privilege, which its owner can grant */
	bool of_new_owner; /* what would run as whom the SQL gives a table to */
	bool of_owner;	   /* says only whose a table is */
} Finding;

/* Fills in the columns of a finding's row. */
typedef void (*FindingColumns)(const Finding *finding, const char **texts);

/* Marks the finding's text that is the error's message when it is raised. */
#define finding_message psprintf

extern Finding	  *syncmaster_add_finding(List **findings, Severity severity,
										  const char *kind, const char *subject,
										  const char *message, const char *hint);
extern Finding	  *syncmaster_add_error(List **findings, int sqlerrcode,
										const char *subject, const char *message,
										const char *hint);
extern const char *syncmaster_severity_name(Severity severity);
extern Severity	   syncmaster_parse_severity(const char *name);
extern void		   syncmaster_report_findings(List *findings, int elevel);
extern void		   syncmaster_raise_error(List *findings);
extern void syncmaster_put_findings(ReturnSetInfo *result, List *findings,
									int natts, FindingColumns columns);

/* owner.c: Owners, and the names of roles and relations. */

extern Oid		   syncmaster_find_owner(Oid relation);
extern Oid		   syncmaster_relation_owner(Oid relation);
extern Oid		   syncmaster_schema_owner(Oid namespace);
extern bool		   syncmaster_can_log_in(Oid role);
extern const char *syncmaster_role_name(Oid role);
extern const char *syncmaster_quoted_role(Oid role);
extern const char *syncmaster_quoted_relation(Oid relation);

/* lock.c: Locking a table with a bounded wait; keeping a schema's name. */

/* A lock to take on a table that exists. */
typedef struct TableLock
{
	Oid			relid;
	const char *name; /* set if the table may be gone when it is locked */
	LOCKMODE	mode;
	const char *action; /* purpose, in words; NULL: as the statement says */
} TableLock;

extern char *syncmaster_describe_blockers(Oid relation, LOCKMODE mode);
extern List *syncmaster_add_lock(List *locks, Oid relid, LOCKMODE mode);
extern void	 syncmaster_lock_together(List *locks);
extern bool	 syncmaster_lock_if_there(Oid relation, LOCKMODE mode);
extern void	 syncmaster_lock_relation(Oid relation, LOCKMODE mode);
extern char *syncmaster_hold_schema(Oid namespace);

/* partition.c: Partitioned tables, and the tables that have their rows. */

/* The rows of one of them, as the partitioned table has them. */
typedef struct LeafRows
{
	Relation			leaf;
	TupleTableSlot	   *slot; /* a row with the leaf's order of columns */
	TupleConversionMap *map;
	TupleTableSlot	   *converted;
} LeafRows;

extern bool	 syncmaster_is_partitioned(Oid relid);
extern bool	 syncmaster_is_partitioned_by(Oid relid, const char *column);
extern List *syncmaster_partitions(Oid relid);
extern void	 syncmaster_lock_partitions(Oid relid, LOCKMODE mode);
extern bool	 syncmaster_try_lock(Oid relid, LOCKMODE mode) MUST_BE_ASKED;
extern List *syncmaster_open_leaves(Relation rel, bool *locked);
extern void	 syncmaster_close_leaves(List *leaves);
extern void	 syncmaster_begin_leaf(LeafRows *rows, Relation leaf, Relation rel);
extern TupleTableSlot *syncmaster_leaf_row(LeafRows *rows);
extern void			   syncmaster_end_leaf(LeafRows *rows);
extern double		   syncmaster_table_blocks(Relation rel, bool *locked);

/* ordered_scan.c: Reading a table directly, in the order of an index. */

struct OrderedLeaf;

/* How many index entries a scan may visit. */
#define NO_ENTRY_LIMIT PG_INT64_MAX

typedef struct OrderedScan
{
	TupleTableSlot *slot;		  /* the current row */
	int64			entries_left; /* 0 after a scan that used up its visits */
	bool			locked; /* if it was not begun: a locked index may help */
	Relation		rel;
	AttrNumber		attnum;
	bool			equal; /* are all rows the same in the column? */
	ScanDirection	direction;
	Snapshot		snapshot;
	List		   *leaves; /* the tables that have the rows */
	int				nscans;
	struct OrderedLeaf *scans;	 /* one of each */
	struct OrderedLeaf *current; /* whose row is in the slot */
} OrderedScan;

extern bool syncmaster_begin_ordered_scan(OrderedScan *scan, Relation rel,
										  AttrNumber attnum, const Datum *equal,
										  ScanDirection direction,
										  int64 max_entries) MUST_BE_ASKED;
extern bool syncmaster_next_ordered(OrderedScan *scan);
extern void syncmaster_end_ordered_scan(OrderedScan *scan);

/* progress.c: How far a migration is. */

extern void syncmaster_show_activity(const char *activity, const char *sql);
extern void syncmaster_report_progress(TimestampTz started, const char *format,
									   ...) pg_attribute_printf(2, 3);

/* replication.c: What other servers confirm, and what they send. */

extern bool syncmaster_is_commit_confirmed(void);
extern bool syncmaster_is_subscribed(Oid relid);

/* result.c: Set-returning functions that give all their rows at once. */

extern TypeFuncClass  syncmaster_result_type(FunctionCallInfo fcinfo, Oid *type,
											 TupleDesc *desc);
extern ReturnSetInfo *syncmaster_begin_result(FunctionCallInfo fcinfo);
extern void			  syncmaster_put_row(ReturnSetInfo *result, Datum *values,
										 bool *nulls);
extern void			  syncmaster_put_texts(ReturnSetInfo *result, int natts,
										   const char *const *texts);

/* same_index.c: Whether an index is the one that a statement makes. */

extern bool syncmaster_is_index(Oid indexid, Oid relid, const IndexStmt *stmt);

/* scan.c: Reading a table directly, without SQL. */

typedef struct DirectScan
{
	TupleTableSlot *slot; /* the current row */
	Relation		rel;
	Snapshot		snapshot;
	List		   *leaves;	 /* the tables that have the rows */
	int				nleaves; /* begun so far */
	LeafRows		rows;	 /* the last one of "leaves" that was begun */
	TableScanDesc	scan;
} DirectScan;

extern Snapshot syncmaster_scan_snapshot(void);
extern bool		syncmaster_has_rows_here(Relation rel);
extern bool syncmaster_begin_scan(DirectScan *scan, Relation rel) MUST_BE_ASKED;
extern bool syncmaster_begin_scan_at(DirectScan *scan, Relation rel,
									 Snapshot snapshot) MUST_BE_ASKED;
extern bool syncmaster_next_row(DirectScan *scan);
extern void syncmaster_end_scan(DirectScan *scan);

/* sql.c: The one door to SQL. */

/* Called for each row; it returns false if no more rows are needed. */
typedef bool (*RowReceiver)(void *state, TupleTableSlot *slot);

extern int64 syncmaster_run(const char *sql, int nargs, Oid *types,
							const Datum *values);
extern int64 syncmaster_each_row(const char *sql, int nargs, Oid *types,
								 const Datum *values, RowReceiver receive,
								 void *state);
extern int64 syncmaster_query_int8(const char *sql, int nargs, Oid *types,
								   const Datum *values, bool *isnull);

extern void	 syncmaster_execute_as(const char *sql, Oid role);
extern int64 syncmaster_query_int8_as(const char *sql, Oid role, bool *isnull);
extern void	 syncmaster_execute_params(const char *sql, Oid role, int nargs,
									   Oid *types, const Datum *values);

/* of the catalogues: a list of arrays of C strings, NULL for null */
extern List *syncmaster_query(const char *sql, int nargs, Oid *types,
							  const Datum *values);
extern List *syncmaster_query_oid(const char *sql, Oid argument);
extern List *syncmaster_query_text(const char *sql, const char *argument);

extern void syncmaster_begin_procedure(void);
extern void syncmaster_commit(void);
extern void syncmaster_end_procedure(void);

/* subtransaction.c: Trying what may fail, and looking without holding on. */

typedef void (*SubtransactionBody)(void *argument);

extern ErrorData *syncmaster_try(SubtransactionBody body, void *argument);
extern ErrorData *syncmaster_look(SubtransactionBody body, void *argument);
extern char *syncmaster_ask_elsewhere(SubtransactionBody body, void *argument);

/* trust_function.c: The rule of trust for functions. */

/* Events of the rows of a relation. */
#define EVENT_OF_COMMAND(command) (1 << (int) (command))
#define EVENT_INSERT EVENT_OF_COMMAND(CMD_INSERT)
#define EVENT_UPDATE EVENT_OF_COMMAND(CMD_UPDATE)
#define EVENT_DELETE EVENT_OF_COMMAND(CMD_DELETE)
#define EVENT_KEY (1 << 8) /* an UPDATE that changes a key */
#define EVENT_ANY (EVENT_INSERT | EVENT_UPDATE | EVENT_DELETE | EVENT_KEY)

/* One question under way, and what the role cannot trust. */
typedef struct TrustQuestion TrustQuestion;

struct TrustQuestion
{
	Oid	  role;
	List *findings;
	List *relations; /* OIDs of the relations that have been visited... */
	List *scopes;	 /* ...and how much of each, see trust.c */
	List *types;	 /* OIDs of the types that have been visited */
	List *operators; /* OIDs of the operators that have been visited */
	bool  locks;	 /* lock what the statement does not lock by itself */
	Oid	  given; /* table that will be the role's, with the partitions of... */
	Oid	  given_by;	  /* ...its owner; or InvalidOid */
	bool  any_owner;  /* only the code counts, not whose the tables are */
	bool  inner;	  /* asked to answer another question */
	Oid	  losing;	  /* table of which the statement drops a column, or... */
	const char *lost; /* ...InvalidOid; and the column */

	/* the object that is visited, and SQL that would drop it */
	Oid			relid; /* InvalidOid for the statement itself */
	const char *table; /* its name */
	const char *qualified_table;
	int			asked;		/* events of the rows of "relid" */
	const char *reached_by; /* foreign key whose action writes them, or NULL */
	bool open;	  /* may roles without the owner's rights create triggers? */
	bool anybody; /* may anybody have written the expression? */
	bool anew;	  /* does the statement resolve the names in it anew? */
	const char *object_type;
	const char *object_name;
	const char *fix;

	/* asks about the relations of a query within an expression */
	void (*ask_relation)(TrustQuestion *question, Oid relid, int events,
						 bool children);
};

extern bool syncmaster_has_rights(Oid owner, Oid role);
extern void syncmaster_distrust(TrustQuestion *question, const char *detail,
								const char *way_out);
extern void syncmaster_ask_call(TrustQuestion *question, Oid function);
extern void syncmaster_ask_support(TrustQuestion *question, Oid function);
extern void syncmaster_ask_trigger(TrustQuestion *question, Oid function,
								   int nargs);

/*
 * trust_opclass.c: The rule of trust for operator classes, and for rows of
 * catalogues.
 */

/* Called for each row of a catalogue. */
typedef void (*RowVisitor)(TrustQuestion *question, Relation catalog,
						   HeapTuple tuple);

extern void syncmaster_visit_rows(TrustQuestion *question, Relation rel,
								  Oid index, AttrNumber column, Oid object,
								  RowVisitor visitor);
extern void syncmaster_ask_operator_classes(TrustQuestion *question,
											Relation catalog, HeapTuple tuple,
											AttrNumber column);
extern bool syncmaster_does_nothing(Relation catalog, HeapTuple tuple);
extern bool syncmaster_has_subquery(Relation catalog, HeapTuple tuple);

/* trust_code.c: The rule of trust for types, operators and expressions. */

extern void syncmaster_ask_type(TrustQuestion *question, Oid type);
extern void syncmaster_ask_expression(TrustQuestion *question, Node *node);
extern void syncmaster_ask_text(TrustQuestion *question, Datum node_tree);

/* trust.c: The rule of trust: what may run with a role's rights. */

extern void	 syncmaster_begin_question(TrustQuestion *question, Oid role);
extern List *syncmaster_distrusted(Oid relid, Oid role, int events);
extern void	 syncmaster_require_trust(Oid relid, Oid role, int events);

/* trust_statement.c: The relations of a statement, for the rule of trust. */

extern List		  *syncmaster_require_trusted_query(Query *query, Oid role);
extern bool		   syncmaster_is_withheld(const char *sql);
extern const char *syncmaster_withheld(const char *sql);

/* vanished.c: Relations that another session may drop or rename at any time. */

/* each compiler's own attribute: the server's macro for it changed in 18 */
extern void syncmaster_raise_dropped(Oid relation, const char *name)
	__attribute__((noreturn));
extern Relation syncmaster_open_relation(Oid relation, LOCKMODE mode);
extern Relation syncmaster_open_named(const char *name, Oid namespace,
									  LOCKMODE	  mode);
extern bool		syncmaster_ask(PGFunction function, Oid object, Datum *answer);

/* citus.c: Which node is this, and where are the rows of a table? */

extern bool	 syncmaster_is_citus_worker(void);
extern bool	 syncmaster_has_citus(void);
extern bool	 syncmaster_is_distributed(Oid relid);
extern bool	 syncmaster_uses_distributed(Query *query);
extern char *syncmaster_undistribute(Oid namespace, const char *table);
extern void	 syncmaster_refuse_distributed(Oid relid);

/* array.c: Arrays as parameters of queries. */

extern Datum syncmaster_text_array(List *texts);
extern Datum syncmaster_oid_array(List *oids);

/* ids.c: Lists of ids of rows. */

/* A list of connection_ids. */
typedef struct IdList
{
	int64		  count; /* nulls included */
	int64		  nulls;
	int64		  size;
	int64		 *ids; /* the others */
	MemoryContext context;
} IdList;

extern void	 syncmaster_init_ids(IdList *list);
extern void	 syncmaster_add_id(IdList *list, const int64 *id);
extern bool	 syncmaster_has_id(const IdList *list, int64 id);
extern char *syncmaster_ids_to_text(IdList *list, int64 most);
extern Datum syncmaster_ids_to_array(IdList *list);
extern void	 syncmaster_compare_ids(IdList *left, IdList *right,
									IdList *only_left, IdList *only_right);

#endif /* SYNCMASTER_BASE_H */
