/*-------------------------------------------------------------------------
 *
 * privilege.c
 *	  What each service needs, and what roles have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "privilege/privilege.h"
#include "schema/schema.h"

/*
 * What the services need is what those of SyncMaster 0.3.5 were seen to do;
 * those of 0.2.0 do no more.  The tests run them with these rights and with
 * each of them missing.  What they need of the application is in the
 * revisions' files.
 */
static const ServiceNeed view_need = {
	METRICS_VIEW, SERVICE_MONITOR, ACL_SELECT, {NULL}};

/* in PostgreSQL's order; a privilege that this major lacks is 0 */
static const struct
{
	AclMode		bit;
	const char *name;
} privilege_names[] = {
	{ACL_SELECT, "SELECT"},		{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},		{ACL_DELETE, "DELETE"},
	{ACL_TRUNCATE, "TRUNCATE"}, {ACL_REFERENCES, "REFERENCES"},
	{ACL_TRIGGER, "TRIGGER"},	{ACL_MAINTAIN, "MAINTAIN"},
	{ACL_USAGE, "USAGE"},		{ACL_CREATE, "CREATE"}};

/*
 * Append the names of privileges, with a comma before them if something is
 * there: "SELECT (id), UPDATE (id)".
 */
void
syncmaster_append_privileges(StringInfo text, AclMode privileges,
							 const char *column, const char *suffix)
{
	for (int i = 0; i < (int) lengthof(privilege_names); i++)
	{
		if ((privileges & privilege_names[i].bit) == 0)
			continue;
		appendStringInfo(text, "%s%s", text->len > 0 ? ", " : "",
						 privilege_names[i].name);
		if (column != NULL)
			appendStringInfo(text, " (%s)", column);
		appendStringInfoString(text, suffix);
	}
}

AclMode
syncmaster_needed(const GrantableObject *object, int services)
{
	AclMode privileges = 0;

	for (int i = 0; i < NUM_SERVICES; i++)
	{
		if (services & (1 << i))
			privileges |= object->needed[i];
	}
	return privileges;
}

/*
 * The privileges that write into a relation, or through it into another one.
 */
AclMode
syncmaster_putting_in(const GrantableObject *object)
{
	return object->leads_to == NULL ? ACL_INSERT | ACL_UPDATE
									: object->leads_by & ~RUNS_CODE;
}

/*
 * The services as which a role with these privileges can run code, by writing
 * a pickle into a table or putting code behind the table: a trigger, or a
 * table of its own that refers to this one.  A trigger runs with the rights of
 * the role that writes the table: a service or, through a foreign key of
 * SyncMaster's, the owner.  The check of a foreign key, and a cast of the type
 * of its column, run with the owner's rights.  Deleting a row cannot write a
 * pickle.
 */
int
syncmaster_services_open_to(const GrantableObject *object, AclMode privileges)
{
	int services = 0;

	if (object->is_table && (privileges & RUNS_CODE) != 0)
		services |= UNPICKLING_SERVICES;
	if ((privileges & syncmaster_putting_in(object)) != 0)
		services |= object->unpickled_by;

	return services;
}

/*
 * The privileges on an object that a role was granted by that grantor, or by
 * any grantor if that is InvalidOid.
 */
AclMode
syncmaster_granted(const GrantableObject *object, Oid role, Oid grantor)
{
	AclMode privileges = 0;

	for (int i = 0; object->acl != NULL && i < ACL_NUM(object->acl); i++)
	{
		const AclItem *item = &acl_items(object->acl)[i];

		if (item->ai_grantee == role &&
			(!OidIsValid(grantor) || item->ai_grantor == grantor))
			privileges |= ACLITEM_GET_PRIVS(*item);
	}
	return privileges;
}

/*
 * The privileges that the owner himself granted to a role.  Privileges that
 * others granted are lost when these lose theirs, and so do not count.
 */
AclMode
syncmaster_held(const GrantableObject *object, Oid role)
{
	return syncmaster_granted(object, role, object->owner);
}

/*
 * Add a need of services to an object, if it is about this relation or column.
 */
static void
enter_need(GrantableObject *object, const ServiceNeed *need,
		   const char *relation, const char *column)
{
	AclMode privileges = column == NULL ? need->privileges : 0;

	if (strcmp(need->relation, relation) != 0)
		return;
	for (int i = 0; column != NULL && i < MAX_UPDATED_COLUMNS; i++)
	{
		if (need->updated[i] != NULL && strcmp(need->updated[i], column) == 0)
			privileges = ACL_UPDATE;
	}
	for (int service = 0; service < NUM_SERVICES; service++)
	{
		if (need->services & (1 << service))
			object->needed[service] |= privileges;
	}
}

/*
 * Add what services need on a relation, or on one of its columns.
 */
static void
enter_needs(GrantableObject *object, const char *relation, const char *column)
{
	enter_need(object, &view_need, relation, column);
	for (int i = REVISION_BASE + 1; i <= REVISION_HEAD; i++)
	{
		const ServiceNeed *need = syncmaster_revision_info(i)->needs;

		for (; need != NULL && need->relation != NULL; need++)
			enter_need(object, need, relation, column);
	}
}

/*
 * Note which services unpickle, and so run, the content of a table, and in
 * which column.
 */
static void
enter_pickle(GrantableObject *object, const char *table)
{
	const RelationInfo *relation = syncmaster_find_relation(table);

	if (relation == NULL || relation->pickle == NULL)
		return;
	object->pickle = relation->pickle;
	object->unpickled_by = relation->unpickled_by;
}

static Acl *
copy_acl(int cache, HeapTuple tuple, AttrNumber attnum)
{
	bool  isnull;
	Datum datum = SysCacheGetAttr(cache, tuple, attnum, &isnull);

	return isnull ? NULL : DatumGetAclPCopy(datum);
}

static GrantableObject *
make_object(const char *type, const char *name, const char *target, Oid owner)
{
	GrantableObject *object = palloc0(sizeof(GrantableObject));

	object->type = type;
	object->name = name;
	object->target = target;
	object->owner = owner;

	return object;
}

/*
 * A relation that must exist, as a GrantableObject.
 */
GrantableObject *
syncmaster_relation_object(const char *type, const char *keyword, Oid relid)
{
	HeapTuple		 tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class	 form;
	GrantableObject *object;
	char			*name;
	char			*schema;

	if (!HeapTupleIsValid(tuple))
		syncmaster_raise_dropped(relid, NULL);
	form = (Form_pg_class) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->relname));
	schema = get_namespace_name(form->relnamespace);
	object = make_object(type, name,
						 psprintf("%s %s", keyword,
								  quote_qualified_identifier(schema, name)),
						 form->relowner);
	object->relid = relid;
	object->acl = copy_acl(RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);
	enter_pickle(object, name);
	object->is_table = strcmp(type, "table") == 0;
	enter_needs(object, name, NULL);

	return object;
}

/*
 * Add the columns of a table that a role has privileges on, or that a service
 * needs privileges on.
 */
void
syncmaster_add_columns(List **objects, const GrantableObject *table, Oid relid)
{
	HeapTuple tuple;

	for (AttrNumber attnum = 1; HeapTupleIsValid(
			 tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
									 Int16GetDatum(attnum)));
		 attnum++)
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);
		GrantableObject	 *object;

		if (!form->attisdropped)
		{
			char *column = pstrdup(NameStr(form->attname));

			object = make_object("column",
								 psprintf("%s.%s", table->name, column),
								 table->target, table->owner);
			object->column = quote_identifier(column);
			object->leads_to = table->leads_to;
			object->leads_by = table->leads_by;
			if (table->pickle == NULL || strcmp(table->pickle, column) == 0)
				object->unpickled_by = table->unpickled_by;
			object->is_table = table->is_table;
			object->acl = copy_acl(ATTNUM, tuple, Anum_pg_attribute_attacl);
			enter_needs(object, table->name, column);
			if (object->acl != NULL || syncmaster_needed(object, ~0) != 0)
				*objects = lappend(*objects, object);
		}
		ReleaseSysCache(tuple);
	}
}

/*
 * Add a table, its columns, and the sequences of its ids.
 */
static void
add_table(List **objects, Oid relid)
{
	GrantableObject *table = syncmaster_relation_object("table", "TABLE",
														relid);
	ListCell		*lc;

	*objects = lappend(*objects, table);
	syncmaster_add_columns(objects, table, relid);
	foreach (lc, getOwnedSequences(relid))
	{
		GrantableObject *sequence =
			syncmaster_relation_object("sequence", "SEQUENCE", lfirst_oid(lc));

		sequence->is_serial = true;
		for (int i = 0; i < NUM_SERVICES; i++)
		{
			if (table->needed[i] & ACL_INSERT)
				sequence->needed[i] = ACL_USAGE;
		}
		*objects = lappend(*objects, sequence);
	}
}

/*
 * A table and those of its columns that privileges were granted on, or are
 * needed on.
 */
List *
syncmaster_table_objects(Oid relid)
{
	const GrantableObject *table = syncmaster_relation_object("table", "TABLE",
															  relid);
	List *objects = list_make1(unconstify(GrantableObject *, table));

	syncmaster_add_columns(&objects, table, relid);

	return objects;
}

/*
 * The objects that have one owner: a table, its columns and sequences, or a
 * sequence.
 */
List *
syncmaster_owned_objects(Oid relid)
{
	List *objects = NIL;

	if (get_rel_relkind(relid) == RELKIND_SEQUENCE)
		return list_make1(
			syncmaster_relation_object("sequence", "SEQUENCE", relid));
	add_table(&objects, relid);
	return objects;
}

static void
add_schema(List **objects, Oid namespace)
{
	HeapTuple		 tuple = SearchSysCache1(NAMESPACEOID,
											 ObjectIdGetDatum(namespace));
	char			*name = get_namespace_name(namespace);
	GrantableObject *object;

	if (!HeapTupleIsValid(tuple) || name == NULL)
	{
		/* dropped meanwhile */
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		return;
	}
	object = make_object("schema", name,
						 psprintf("SCHEMA %s", quote_identifier(name)),
						 ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner);
	object->acl = copy_acl(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl);
	ReleaseSysCache(tuple);
	object->is_schema = true;
	for (int i = 0; i < NUM_SERVICES; i++)
		object->needed[i] = ACL_USAGE;
	*objects = lappend(*objects, object);
}

/*
 * Add the extension's own view.  Another view of its name is not added,
 * because the extension's owner would grant on it.
 */
static void
add_metrics_view(List **objects, Oid namespace)
{
	Oid				 relid = get_relname_relid(METRICS_VIEW, namespace);
	ExtensionEntry	 extension;
	GrantableObject *object;

	syncmaster_get_extension(&extension);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_VIEW ||
		getExtensionOfObject(RelationRelationId, relid) != extension.oid)
		return;
	object = syncmaster_relation_object("view", "TABLE", relid);
	object->of_extension = true;
	*objects = lappend(*objects, object);
	syncmaster_add_columns(objects, object, relid);
}

/*
 * All objects that services need privileges on and that exist, as a list of
 * GrantableObject; columns follow their table.  A relation that is not
 * SyncMaster's is left out, and named at "elevel".
 */
List *
syncmaster_grantable_objects(Oid namespace, int elevel)
{
	List *objects = NIL;
	Oid	  version_table = syncmaster_relation_oid(&syncmaster_version_relation,
												  namespace);

	add_schema(&objects, namespace);
	if (OidIsValid(version_table) &&
		get_rel_relkind(version_table) == RELKIND_RELATION)
		add_table(&objects, version_table);
	for (int i = 0; i < syncmaster_nrelations; i++)
	{
		const RelationInfo *relation = &syncmaster_relations[i];
		Oid relid = syncmaster_relation_oid(relation, namespace);

		if (!OidIsValid(relid))
			continue;
		if (!syncmaster_is_of_kind(relation, relid))
		{
			ereport(
				elevel,
				(errmsg("rights on \"%s\" are left as they are, as it is not "
						"what SyncMaster makes",
						relation->name),
				 errhint("Look at syncmaster_check().")));
			continue;
		}
		if (relation->kind == RELKIND_SEQUENCE)
			objects = lappend(objects,
							  syncmaster_relation_object("sequence", "SEQUENCE",
														 relid));
		else
			add_table(&objects, relid);
	}
	add_metrics_view(&objects, namespace);

	return objects;
}
