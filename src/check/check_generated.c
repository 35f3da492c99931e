/*-------------------------------------------------------------------------
 *
 * check_generated.c
 *	  The generated columns, search_vector of four tables. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "check/check.h"
#include "engine/engine.h"
#include "schema/schema.h"

/*
 * What else is dropped with a column ($2) of a table ($1), without the indexes
 * that are created again ($3).  From 18 on NOT NULL is a constraint, which is
 * created again too.
 */
#define DEPENDENTS_QUERY \
	"SELECT string_agg(what, ', ' ORDER BY what) FROM (" \
	"    SELECT pg_describe_object(d.classid, d.objid, d.objsubid) " \
	"    FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass " \
	"    AND d.refobjid = $1 AND d.refobjsubid = $2 " \
	"    AND d.deptype IN ('n', 'a') AND d.classid <> 'pg_attrdef'::regclass " \
	"    AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'n' " \
	"        AND d.classid = 'pg_constraint'::regclass AND d.objid = oid) " \
	"    AND NOT EXISTS (SELECT FROM pg_class WHERE relname = ANY ($3) " \
	"        AND d.classid = 'pg_class'::regclass AND d.objid = oid) " \
	"    UNION ALL SELECT 'what is granted on it' FROM pg_attribute " \
	"    WHERE attrelid = $1 AND attnum = $2 AND attacl IS NOT NULL " \
	"    UNION ALL SELECT 'its comment' FROM pg_description " \
	"    WHERE classoid = 'pg_class'::regclass AND objoid = $1 " \
	"    AND objsubid = $2) d(what)"

/* What keeps the column from being dropped without CASCADE. */
#define VECTOR_USERS_QUERY \
	"SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend " \
	"WHERE refclassid = 'pg_class'::regclass AND refobjid = $1 " \
	"AND refobjsubid = $2 AND deptype = 'n' ORDER BY 1 LIMIT 1"

/*
 * Definition of the index of that name, if it is one of SyncMaster's or of
 * the extension's.
 */
static char *
known_index(const CheckContext *context, const char *index)
{
	for (int i = 0; i < syncmaster_nindexes; i++)
	{
		if (strcmp(syncmaster_indexes[i].name, index) == 0)
			return syncmaster_index_definition(&syncmaster_indexes[i], index,
											   context->schema);
	}
	for (int i = 0; i < syncmaster_extra_index_count(); i++)
	{
		const char *name;
		char	   *definition;

		if (syncmaster_extra_index(i, context->namespace, context->schema,
								   &name, &definition) == EXTRA_INDEX_PRESENT &&
			strcmp(name, index) == 0)
			return definition;
	}
	return NULL;
}

/*
 * Statements that drop the column and add it again.  Its indexes are dropped
 * with it; those that the library knows are created again, and their names
 * added to *indexes.
 */
static char *
regenerate_column(const CheckContext *context, const RelationInfo *relation,
				  const ColumnInfo *column, List **indexes)
{
	Oid relid = syncmaster_relation_oid(relation, context->namespace);
	StringInfoData sql;
	ListCell	  *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s",
					 syncmaster_qualify(context, relation->name),
					 quote_identifier(column->name),
					 syncmaster_column_definition(relation, column,
												  context->revision));
	foreach (lc, syncmaster_column_indexes(relid, column->name))
	{
		char *name = get_rel_name(lfirst_oid(lc));
		char *definition = known_index(context, name);

		if (definition == NULL)
			continue;
		appendStringInfo(&sql, "; %s", definition);
		*indexes = lappend(*indexes, name);
	}
	return sql.data;
}

/*
 * What is dropped with the column and not created again, in words; NULL if
 * nothing.
 */
static char *
describe_dependents(Oid relid, AttrNumber attnum, List *indexes)
{
	Oid	   types[3] = {OIDOID, INT4OID, TEXTARRAYOID};
	Datum  values[3];
	char **row;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int32GetDatum(attnum);
	values[2] = syncmaster_text_array(indexes);
	row = linitial(syncmaster_query(DEPENDENTS_QUERY, 3, types, values));

	return row[0];
}

/*
 * Compare a generated column; false if the fix adds it again, which repairs
 * its type and everything else about it as well.
 */
bool
syncmaster_check_generated(CheckContext *context, const RelationInfo *relation,
						   Relation rel, const ColumnInfo *column,
						   Form_pg_attribute att)
{
	const char *text = syncmaster_generated_expression(relation->name,
													   context->revision);
	Node	   *stored = syncmaster_stored_expression(rel, att->attnum);
	bool		right_type = att->atttypid == column->type;
	List	   *indexes = NIL;
	Oid			types[2] = {OIDOID, INT4OID};
	Datum		values[2] = {ObjectIdGetDatum(RelationGetRelid(rel)),
							 Int32GetDatum(att->attnum)};
	List	   *users;
	Finding	   *finding;
	char	   *fix;
	char	   *lost;

	if (!syncmaster_inputs_are_right(relation, rel, context->revision) ||
		(right_type &&
		 syncmaster_generated_is(relation, rel, att, context->revision)))
		return true;
	finding = syncmaster_add_difference(
		context, SEVERITY_ERROR, "column",
		syncmaster_column_name(relation->name, column->name),
		!right_type					? "is of another type"
		: att->attgenerated == '\0' ? "is not generated"
		: att->attgenerated != ATTRIBUTE_GENERATED_STORED
			? "is not stored"
			: "has another expression");
	finding->expected =
		right_type
			? syncmaster_expression_text(rel, syncmaster_analyze_expression(
												  rel, att, text,
												  ATTRIBUTE_GENERATED_STORED))
			: syncmaster_column_type(column);
	if (!right_type)
		finding->actual = format_type_with_typemod(att->atttypid,
												   att->atttypmod);
	else if (stored != NULL)
		finding->actual = syncmaster_expression_text(rel, stored);
	fix = regenerate_column(context, relation, column, &indexes);

	/* no data is lost: the server can compute the column again */
	lost = describe_dependents(RelationGetRelid(rel), att->attnum, indexes);
	if (att->attgenerated == '\0')
		finding->left = "its values would be replaced by computed ones";
	else if (lost != NULL)
		finding->left = psprintf("dropping the column would also drop: %s",
								 lost);

	/* a view, or a function written in SQL */
	users = syncmaster_query(VECTOR_USERS_QUERY, lengthof(types), types,
							 values);
	if (users != NIL)
	{
		finding->left = psprintf("it cannot be made anew while %s uses it",
								 ((char **) linitial(users))[0]);
		finding->message = psprintf("%s: %s", finding->message, finding->left);
	}
	else
		syncmaster_fix_by_rewrite(finding, RelationGetRelid(rel), fix);
	return false;
}
