/*-------------------------------------------------------------------------
 *
 * trust.c
 *	  The rule of trust: what may run with a role's rights.
 *
 * Before a statement runs as a role, every relation that it reads, writes,
 * plans over or refers to must belong to that role, or to one that has its
 * rights; and so must everything that the statement can make these relations
 * call.  Functions of superusers are trusted as well, as far as they take no
 * code as an argument.  sql.c asks for every statement, so that no caller can
 * forget to.
 *
 * Only the catalogues are read here.  Locks keep away new triggers, the only
 * objects that somebody can add to another role's table: those of the statement,
 * and those that are taken here on the other tables whose rows it writes.
 *
 * PostgreSQL runs the checks and the actions of foreign keys as the owner of
 * the table that they read or change, so they are not asked about; but up to 17
 * the AFTER triggers that such an action fires run as whoever deletes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "rewrite/rewriteDefine.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"

/*
 * How much of a relation is asked about, beside the events of its rows.
 */
#define SCOPE_OWNER (1 << 16)
#define SCOPE_CHILDREN (1 << 17)

static void ask_scope(TrustQuestion *question, Oid relid, int scope);

/*
 * Ask about an expression that a row of a catalogue may have.
 */
static void
ask_column(TrustQuestion *question, Relation catalog, HeapTuple tuple,
		   AttrNumber column)
{
	bool  isnull;
	Datum value = heap_getattr(tuple, column, RelationGetDescr(catalog),
							   &isnull);

	if (!isnull)
		syncmaster_ask_text(question, value);
}

/*
 * Note which object of the table is visited next, and the SQL that would drop
 * it.
 */
static void
look_at(TrustQuestion *question, const char *type, const char *name,
		const char *fix)
{
	question->object_type = type;
	question->object_name = pstrdup(name);
	question->fix = fix;
}

/*
 * Return whether the statement drops that column before it evaluates anything.
 */
static bool
is_lost(const TrustQuestion *question, Oid relid, const char *column)
{
	return OidIsValid(question->losing) && relid == question->losing &&
		   strcmp(column, question->lost) == 0;
}

static void
visit_constraint(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

	if (constraint->contype != CONSTRAINT_CHECK)
		return;
	look_at(question, "constraint", NameStr(constraint->conname),
			psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
					 question->qualified_table,
					 quote_identifier(NameStr(constraint->conname))));
	ask_column(question, catalog, tuple, Anum_pg_constraint_conbin);
}

static void
visit_default(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_attrdef attrdef = (Form_pg_attrdef) GETSTRUCT(tuple);
	char *column = get_attname(attrdef->adrelid, attrdef->adnum, true);

	if (column == NULL || is_lost(question, attrdef->adrelid, column))
		return; /* dropped, or going to be */
	look_at(question, "column", column,
			get_attgenerated(attrdef->adrelid, attrdef->adnum) != '\0'
				? NULL
				: psprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT",
						   question->qualified_table,
						   quote_identifier(column)));
	ask_column(question, catalog, tuple, Anum_pg_attrdef_adbin);
}

static void
visit_attribute(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_attribute attribute = (Form_pg_attribute) GETSTRUCT(tuple);

	(void) catalog;
	if (attribute->attisdropped || attribute->attnum <= 0)
		return;
	look_at(question, "column", NameStr(attribute->attname), NULL);
	syncmaster_ask_type(question, attribute->atttypid);
}

static void
visit_index(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);
	char		 *name = get_rel_name(index->indexrelid);
	char		 *qualified;

	if (name == NULL)
		return; /* dropped meanwhile */
	qualified = quote_qualified_identifier(
		get_namespace_name(get_rel_namespace(index->indexrelid)), name);
	look_at(question, "index", name,
			OidIsValid(get_index_constraint(index->indexrelid))
				? NULL
				: psprintf("DROP INDEX %s", qualified));
	ask_column(question, catalog, tuple, Anum_pg_index_indexprs);
	ask_column(question, catalog, tuple, Anum_pg_index_indpred);
	syncmaster_ask_operator_classes(question, catalog, tuple,
									Anum_pg_index_indclass);
}

#ifdef HAVE_EXPRESSION_STATISTICS
static void
visit_statistics(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_statistic_ext statistics = (Form_pg_statistic_ext) GETSTRUCT(tuple);

	look_at(question, "statistics object", NameStr(statistics->stxname),
			psprintf("DROP STATISTICS %s",
					 quote_qualified_identifier(get_namespace_name(
													statistics->stxnamespace),
												NameStr(statistics->stxname))));
	ask_column(question, catalog, tuple, Anum_pg_statistic_ext_stxexprs);
}
#endif

static void
visit_policy(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_policy policy = (Form_pg_policy) GETSTRUCT(tuple);

	look_at(question, "policy", NameStr(policy->polname),
			psprintf("DROP POLICY %s ON %s",
					 quote_identifier(NameStr(policy->polname)),
					 question->qualified_table));
	ask_column(question, catalog, tuple, Anum_pg_policy_polqual);
	ask_column(question, catalog, tuple, Anum_pg_policy_polwithcheck);
}

/*
 * A rule has no owner: what a former owner of the table made it do runs with
 * the rights of the present owner.
 */
static void
visit_rule(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_rewrite rule = (Form_pg_rewrite) GETSTRUCT(tuple);
	CmdType			command = (CmdType) (rule->ev_type - '0');
	bool			selects = command == CMD_SELECT;

	if (rule->ev_enabled == RULE_DISABLED ||
		(!selects && (question->asked & EVENT_OF_COMMAND(command)) == 0))
		return;
	look_at(question, "rule", NameStr(rule->rulename),
			selects ? NULL
					: psprintf("DROP RULE %s ON %s",
							   quote_identifier(NameStr(rule->rulename)),
							   question->qualified_table));
	if (!selects && !syncmaster_does_nothing(catalog, tuple))
		syncmaster_distrust(question,
							"What a rule does runs with the rights of whoever "
							"uses the table, and nobody knows who made it.",
							NULL);
	else if (!selects && syncmaster_has_subquery(catalog, tuple))
		syncmaster_distrust(question,
							"The query in its condition has the rights of "
							"whoever uses the table, and nobody knows who "
							"made it.",
							NULL);
	question->anybody = true;
	ask_column(question, catalog, tuple, Anum_pg_rewrite_ev_qual);
	ask_column(question, catalog, tuple, Anum_pg_rewrite_ev_action);
	question->anybody = false;
}

static int
events_of_trigger(Form_pg_trigger trigger)
{
	int events = 0;

	if (TRIGGER_FOR_INSERT(trigger->tgtype))
		events |= EVENT_OF_COMMAND(CMD_INSERT);
	if (TRIGGER_FOR_UPDATE(trigger->tgtype))
		events |= EVENT_OF_COMMAND(CMD_UPDATE);
	if (TRIGGER_FOR_DELETE(trigger->tgtype))
		events |= EVENT_OF_COMMAND(CMD_DELETE);
	return events;
}

/*
 * Note a trigger that is deferred, which PostgreSQL fires in no
 * security-restricted operation, unless SET CONSTRAINTS has made it
 * immediate: purges do, and their events are deletions.  What a person runs is
 * no such operation.
 */
static void
note_deferred(TrustQuestion *question, Form_pg_trigger trigger)
{
	Finding *finding;

	if (question->any_owner || !trigger->tginitdeferred ||
		(question->asked & events_of_trigger(trigger) & ~EVENT_DELETE) == 0)
		return;
	finding = syncmaster_add_finding(
		&question->findings, SEVERITY_WARNING, "trigger",
		psprintf("%s.%s", question->table, NameStr(trigger->tgname)),
		psprintf("trigger \"%s\" of table \"%s\" is deferred, and fails where "
				 "a command writes the table",
				 NameStr(trigger->tgname), question->table),
		psprintf("Trigger \"%s\" of table \"%s\" is deferred. Run SET "
				 "CONSTRAINTS ALL IMMEDIATE before the command, in the same "
				 "transaction, or create the trigger again without INITIALLY "
				 "DEFERRED.",
				 NameStr(trigger->tgname), question->table));
	finding->left = "whether it is to be deferred is for you to say";
}

/*
 * A trigger, also one that is deferred: it fires before the role changes
 * back, or is made immediate.
 */
static void
visit_trigger(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

	if (trigger->tgenabled == TRIGGER_DISABLED ||
		(question->asked & events_of_trigger(trigger)) == 0 ||
		(trigger->tgisinternal && trigger->tgfoid < FirstNormalObjectId))
		return;
	look_at(question, "trigger", NameStr(trigger->tgname),
			psprintf("DROP TRIGGER %s ON %s",
					 quote_identifier(NameStr(trigger->tgname)),
					 question->qualified_table));
	syncmaster_ask_trigger(question, trigger->tgfoid, trigger->tgnargs);
	question->anybody = question->open || superuser_arg(question->role);
	ask_column(question, catalog, tuple, Anum_pg_trigger_tgqual);
	question->anybody = false;
	note_deferred(question, trigger);
}

static void
visit_partition_key(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	look_at(question, "partition key of table", question->table, NULL);
	ask_column(question, catalog, tuple, Anum_pg_partitioned_table_partexprs);
	syncmaster_ask_operator_classes(question, catalog, tuple,
									Anum_pg_partitioned_table_partclass);
}

static void
visit_parent(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	(void) catalog;
	question->ask_relation(question,
						   ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent, 0,
						   false);
}

static void
visit_child(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	(void) catalog;
	question->ask_relation(question,
						   ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid,
						   question->asked, true);
}

/*
 * Return whether the relation was already checked to this extent, and
 * remember that it is now.
 */
static bool
is_known(TrustQuestion *question, Oid relid, int scope)
{
	ListCell *relation;
	ListCell *known;

	forboth(relation, question->relations, known, question->scopes)
	{
		if (lfirst_oid(relation) == relid && (scope & ~lfirst_int(known)) == 0)
			return true;
	}
	question->relations = lappend_oid(question->relations, relid);
	question->scopes = lappend_int(question->scopes, scope);
	return false;
}

/*
 * What the action of a foreign key does to the rows that refer; 0 for
 * nothing.
 */
static int
event_of_action(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_CASCADE:
			return EVENT_DELETE;
		case FKCONSTR_ACTION_SETNULL:
		case FKCONSTR_ACTION_SETDEFAULT:
			return EVENT_UPDATE | EVENT_KEY;
		default:
			return 0;
	}
}

/*
 * The action of a foreign key runs as the owner of the table that refers, but
 * the AFTER triggers that it fires, by rules or in other partitions too, run
 * as whoever deletes.  Its code can create triggers in the middle, so the
 * owner has to be trusted.
 */
static void
visit_foreign_key(TrustQuestion *question, Relation catalog, HeapTuple tuple)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	int				   event = 0;

	(void) catalog;
	if (constraint->contype != CONSTRAINT_FOREIGN)
		return;
	if (question->asked & EVENT_DELETE)
		event |= event_of_action(constraint->confdeltype);
	if ((question->asked & EVENT_KEY) &&
		event_of_action(constraint->confupdtype) != 0)
		event |= EVENT_UPDATE | EVENT_KEY;
	if (event == 0)
		return;

	question->reached_by = NameStr(constraint->conname);
	ask_scope(question, constraint->conrelid,
			  event | SCOPE_OWNER | SCOPE_CHILDREN);
	question->reached_by = NULL;
}

/*
 * The triggers of a table whose rows the actions of foreign keys write, and
 * of those whose rows go along with these.
 */
static void
ask_triggers(TrustQuestion *question, Oid relid)
{
	syncmaster_visit_rows(question,
						  table_open(TriggerRelationId, AccessShareLock),
						  TriggerRelidNameIndexId, Anum_pg_trigger_tgrelid,
						  relid, visit_trigger);
	if (cascades_run_as_caller() &&
		(question->asked & (EVENT_KEY | EVENT_DELETE)) != 0)
		syncmaster_visit_rows(question,
							  table_open(ConstraintRelationId, AccessShareLock),
							  InvalidOid, Anum_pg_constraint_confrelid, relid,
							  visit_foreign_key);
}

/*
 * What can be called when rows of the relation, which the question is about,
 * are read or written, when it is planned over or its definition changes.
 */
static void
ask_contents(TrustQuestion *question, Form_pg_class relation, bool children)
{
	Oid relid = relation->oid;

	syncmaster_visit_rows(question,
						  table_open(AttributeRelationId, AccessShareLock),
						  AttributeRelidNumIndexId, Anum_pg_attribute_attrelid,
						  relid, visit_attribute);
	syncmaster_visit_rows(question,
						  table_open(ConstraintRelationId, AccessShareLock),
						  ConstraintRelidTypidNameIndexId,
						  Anum_pg_constraint_conrelid, relid, visit_constraint);
	syncmaster_visit_rows(question,
						  table_open(AttrDefaultRelationId, AccessShareLock),
						  AttrDefaultIndexId, Anum_pg_attrdef_adrelid, relid,
						  visit_default);
	syncmaster_visit_rows(question,
						  table_open(IndexRelationId, AccessShareLock),
						  IndexIndrelidIndexId, Anum_pg_index_indrelid, relid,
						  visit_index);
#ifdef HAVE_EXPRESSION_STATISTICS
	syncmaster_visit_rows(question,
						  table_open(StatisticExtRelationId, AccessShareLock),
						  StatisticExtRelidIndexId,
						  Anum_pg_statistic_ext_stxrelid, relid,
						  visit_statistics);
#endif
	if (relation->relrowsecurity)
		syncmaster_visit_rows(question,
							  table_open(PolicyRelationId, AccessShareLock),
							  PolicyPolrelidPolnameIndexId,
							  Anum_pg_policy_polrelid, relid, visit_policy);
	syncmaster_visit_rows(question,
						  table_open(RewriteRelationId, AccessShareLock),
						  RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class,
						  relid, visit_rule);
	ask_triggers(question, relid);
	syncmaster_visit_rows(question,
						  table_open(PartitionedRelationId, AccessShareLock),
						  PartitionedRelidIndexId,
						  Anum_pg_partitioned_table_partrelid, relid,
						  visit_partition_key);
	if (children)
		syncmaster_visit_rows(question,
							  table_open(InheritsRelationId, AccessShareLock),
							  InheritsParentIndexId, Anum_pg_inherits_inhparent,
							  relid, visit_child);
	if (relation->relispartition)
		syncmaster_visit_rows(question,
							  table_open(InheritsRelationId, AccessShareLock),
							  InheritsRelidSeqnoIndexId,
							  Anum_pg_inherits_inhrelid, relid, visit_parent);
}

/*
 * What the role would get with the table, but could not trust; NULL if nothing.
 */
static const Finding *
code_of_table(Oid relid, Oid role)
{
	TrustQuestion question;
	ListCell	 *lc;

	syncmaster_begin_question(&question, role);
	question.inner = true;
	question.given = relid;
	question.given_by = syncmaster_relation_owner(relid);
	ask_scope(&question, relid, EVENT_ANY | SCOPE_CHILDREN);
	foreach (lc, question.findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->severity == SEVERITY_ERROR && !finding->of_owner)
			return finding;
	}
	return NULL;
}

static void
ask_owner(TrustQuestion *question, Form_pg_class relation)
{
	char		  *owner = GetUserNameFromId(relation->relowner, false);
	char		  *role = GetUserNameFromId(question->role, false);
	const Finding *code = NULL;
	Finding		  *finding;

	look_at(question, "table", NameStr(relation->relname),
			question->reached_by == NULL
				? NULL
				: psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
						   question->qualified_table,
						   quote_identifier(question->reached_by)));
	if (syncmaster_has_rights(relation->relowner, question->role))
		return;
	if (!question->inner)
		code = code_of_table(relation->oid, question->role);
	syncmaster_distrust(
		question,
		psprintf("It belongs to role \"%s\", who lacks the rights of role "
				 "\"%s\".",
				 owner, role),
		code != NULL
			? NULL
			: psprintf("ALTER TABLE %s OWNER TO %s", question->qualified_table,
					   quote_identifier(role)));
	finding = llast(question->findings);
	finding->of_owner = true;
	if (code != NULL && question->fix == NULL)
		finding->hint = psprintf("It cannot be given to role \"%s\" either, as "
								 "%s. Drop or change that, give the table "
								 "to that role, and run the command again.",
								 role, code->message);
}

/*
 * Return whether the role would own this relation if it owned the table.  A
 * partition leads back to its table.
 */
static bool
would_be_owned(const TrustQuestion *question, Form_pg_class relation)
{
	return OidIsValid(question->given) &&
		   (relation->oid == question->given ||
			(relation->relispartition &&
			 relation->relowner == question->given_by));
}

/*
 * Return whether a role without the rights of the statement's role can create
 * triggers on the relation.
 */
static bool
is_open_to_triggers(const TrustQuestion *question, HeapTuple tuple)
{
	bool  isnull;
	Datum value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	bool  open = !syncmaster_has_rights(
		 ((Form_pg_class) GETSTRUCT(tuple))->relowner, question->role);
	Acl *acl;

	if (isnull)
		return open;
	acl = DatumGetAclP(value);
	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &acl_items(acl)[i];

		if ((ACLITEM_GET_PRIVS(*item) & ACL_TRIGGER) != 0 &&
			(item->ai_grantee == ACL_ID_PUBLIC ||
			 !syncmaster_has_rights(item->ai_grantee, question->role)))
			open = true;
	}
	return open;
}

/*
 * Ask about a relation, as much as "scope" says, for the events of its rows
 * that "scope" has.
 */
static void
ask_scope(TrustQuestion *question, Oid relid, int scope)
{
	HeapTuple	  tuple;
	Form_pg_class relation;
	TrustQuestion save;
	char		 *schema;

	check_stack_depth();

	/* superusers alone can put something there, or own it */
	if (get_rel_namespace(relid) == PG_CATALOG_NAMESPACE ||
		is_known(question, relid, scope))
		return;

	/*
	 * Partitions, and tables that a foreign key's action writes, are not locked
	 * by the statement yet: triggers that are being made there come first.
	 */
	if (question->locks && (scope & EVENT_ANY) != 0)
		LockRelationOid(relid, RowExclusiveLock);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return; /* dropped meanwhile: no statement can use it */
	relation = (Form_pg_class) GETSTRUCT(tuple);
	schema = get_namespace_name(relation->relnamespace);

	/* a query within an expression comes back to it */
	save = *question;
	question->relid = relid;
	question->table = pstrdup(NameStr(relation->relname));
	question->qualified_table = quote_qualified_identifier(schema,
														   question->table);
	question->asked = scope & EVENT_ANY;
	question->open = is_open_to_triggers(question, tuple);
	question->anybody = false;

	/*
	 * Whatever is written to a partitioned table is written to its partitions;
	 * a row that an UPDATE moves leaves one and enters another.
	 */
	if (relation->relkind == RELKIND_PARTITIONED_TABLE && question->asked != 0)
		scope |= SCOPE_CHILDREN;
	if (relation->relkind == RELKIND_PARTITIONED_TABLE &&
		(question->asked & EVENT_UPDATE) != 0)
		question->asked = EVENT_ANY;
	if ((scope & SCOPE_OWNER) && !question->any_owner &&
		!would_be_owned(question, relation))
		ask_owner(question, relation);
	question->reached_by = NULL;
	if (relation->relkind == RELKIND_FOREIGN_TABLE)
	{
		look_at(question, "table", question->table, NULL);
		syncmaster_distrust(question,
							"It is a foreign table, and what another server "
							"does for it cannot be known.",
							NULL);
	}
	if (relation->relkind != RELKIND_SEQUENCE)
		ask_contents(question, relation, (scope & SCOPE_CHILDREN) != 0);
	question->relid = save.relid;
	question->table = save.table;
	question->qualified_table = save.qualified_table;
	question->asked = save.asked;
	question->open = save.open;
	question->anybody = save.anybody;
	question->object_type = save.object_type;
	question->object_name = save.object_name;
	question->fix = save.fix;
	ReleaseSysCache(tuple);
}

/*
 * Ask about a relation of another owner perhaps, and what belongs to it.
 * "events" are those of the rows that are written; with "children", the rows
 * of what inherits from it count as well.
 */
static void
ask_other_relation(TrustQuestion *question, Oid relid, int events,
				   bool children)
{
	ask_scope(question, relid,
			  events | SCOPE_OWNER | (children ? SCOPE_CHILDREN : 0));
}

void
syncmaster_begin_question(TrustQuestion *question, Oid role)
{
	memset(question, 0, sizeof(*question));
	question->role = role;
	question->ask_relation = ask_other_relation;
}

/*
 * What the role could not trust if it owned the table, with the partitions of
 * its owner, and wrote its rows, as a list of findings.  Nothing is run, and
 * no lock needed.
 */
List *
syncmaster_distrusted(Oid relid, Oid role, int events)
{
	TrustQuestion question;

	syncmaster_begin_question(&question, role);
	question.given = relid;
	question.given_by = syncmaster_relation_owner(relid);
	ask_scope(&question, relid, events | SCOPE_CHILDREN);
	return question.findings;
}

/*
 * Refuse to work on a relation as a role without SQL, if a statement would be
 * refused.
 */
void
syncmaster_require_trust(Oid relid, Oid role, int events)
{
	TrustQuestion question;

	syncmaster_begin_question(&question, role);
	question.locks = true;
	ask_scope(&question, relid, events | SCOPE_CHILDREN | SCOPE_OWNER);
	syncmaster_raise_error(question.findings);
}
