/*-------------------------------------------------------------------------
 *
 * check_constraint.c
 *	  The constraints of a table against what it should have.
 *
 * The application turns violations into answers by the constraint's name, so
 * a key under another name counts as a problem.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "check/check.h"
#include "schema/schema.h"

/*
 * All constraints but NOT NULL, which is checked with the columns, and
 * constraint triggers, which are listed with the triggers.
 */
#define CONSTRAINTS_QUERY \
	"SELECT c.conname, c.contype, pg_get_constraintdef(c.oid), " \
	"    coalesce((SELECT count(*) FROM pg_trigger t " \
	"              WHERE t.tgconstraint = c.oid " \
	"              AND t.tgenabled IN ('D', 'R')), 0) > 0, " \
	"    to_jsonb(c) ->> 'conenforced' " \
	"FROM pg_constraint c " \
	"WHERE c.conrelid = $1 AND c.contype NOT IN ('n', 't') ORDER BY 1"

typedef struct ActualConstraint
{
	char *name;
	char  type;
	char *definition;
	bool  disabled; /* are the triggers of the foreign key disabled? */
	bool  enforced;
	bool  expected; /* is it one of SyncMaster's? */
} ActualConstraint;

static List *
read_constraints(Oid relid)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, syncmaster_query_oid(CONSTRAINTS_QUERY, relid))
	{
		char			**row = lfirst(lc);
		ActualConstraint *con = palloc0(sizeof(ActualConstraint));

		con->name = row[0];
		con->type = row[1][0];
		con->definition = row[2];
		con->disabled = row[3][0] == 't';
		con->enforced = row[4] == NULL || strcmp(row[4], "true") == 0;
		result = lappend(result, con);
	}
	return result;
}

/*
 * Return whether a text starts with another one.
 */
static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static ActualConstraint *
find_by_name(List *actual, const char *name)
{
	ListCell *lc;

	foreach (lc, actual)
	{
		ActualConstraint *con = lfirst(lc);

		if (strcmp(con->name, name) == 0)
			return con;
	}
	return NULL;
}

bool
syncmaster_is_constraint(const char *table, const char *name)
{
	for (int i = 0; i < syncmaster_nconstraints; i++)
	{
		if (strcmp(syncmaster_constraints[i].table, table) == 0 &&
			strcmp(syncmaster_constraints[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Find a constraint by its definition, which has another name.
 */
static ActualConstraint *
find_by_definition(List *actual, const ExpectedConstraint *expected,
				   const char *definition)
{
	ListCell *lc;

	foreach (lc, actual)
	{
		ActualConstraint *con = lfirst(lc);

		if (!con->expected && con->type == expected->type &&
			starts_with(con->definition, definition) &&
			!syncmaster_is_constraint(expected->table, con->name))
			return con;
	}
	return NULL;
}

/*
 * The statement that drops the constraint and creates it as it should be,
 * which also proves it for the rows.
 */
static char *
make_again(const CheckContext *context, const ExpectedConstraint *expected,
		   const char *definition, bool drop)
{
	const char *name = quote_identifier(expected->name);

	return psprintf("ALTER TABLE %s %sADD CONSTRAINT %s %s",
					syncmaster_qualify(context, expected->table),
					drop ? psprintf("DROP CONSTRAINT %s, ", name) : "", name,
					definition);
}

/*
 * Check the end of a definition whose beginning is right: it says when and
 * whether the constraint is checked.
 */
static void
check_state(CheckContext *context, const ExpectedConstraint *expected,
			const ActualConstraint *con, const char *definition)
{
	const char *rest = con->definition + strlen(definition);
	const char *table = syncmaster_qualify(context, expected->table);
	const char *name = quote_identifier(expected->name); /* by then */
	Finding	   *finding;

	if (*rest == '\0' && !con->disabled)
		return;
	finding = syncmaster_add_difference(context, SEVERITY_ERROR, "constraint",
										syncmaster_column_name(expected->table,
															   expected->name),
										NULL);
	finding->expected = definition;
	finding->actual = con->definition;
	finding->fix = make_again(context, expected, definition, true);
	if (con->disabled)
	{
		finding->message = "has disabled triggers, so that it guards nothing";
		finding->actual = psprintf("%s, triggers disabled", con->definition);
	}
	else if (!con->enforced)
		finding->message = "is not enforced";
	else if (strcmp(rest, " NOT VALID") == 0)
	{
		finding->message = "is not valid";
		finding->severity = SEVERITY_WARNING;
		finding->fix = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
								name);
	}
	else if (starts_with(rest, " DEFERRABLE"))
	{
		finding->message = "is deferrable";
		finding->severity = SEVERITY_WARNING;
		if (con->type == CONSTRAINT_FOREIGN)
			finding->fix = psprintf("ALTER TABLE %s ALTER CONSTRAINT %s NOT "
									"DEFERRABLE",
									table, name);
	}
	else
		finding->message = "is another one";
}

/*
 * Find what has the name of a missing key: an index that can become the key's,
 * or another object that must be renamed first.
 */
static void
use_name(const CheckContext *context, const ExpectedConstraint *expected,
		 Finding *finding)
{
	Oid	  relid = get_relname_relid(expected->name, context->namespace);
	char *definition = psprintf("CREATE UNIQUE INDEX %s ON %s USING btree (%s)",
								expected->name,
								syncmaster_qualify(context, expected->table),
								expected->columns);
	char **row;

	if (expected->type == CONSTRAINT_FOREIGN || !OidIsValid(relid))
		return;
	row = linitial(syncmaster_query_oid(
		"SELECT (SELECT pg_get_indexdef(indexrelid) FROM pg_index "
		"        WHERE indexrelid = $1 AND indisvalid)",
		relid));
	if (row[0] != NULL && strcmp(row[0], definition) == 0)
	{
		finding->fix = psprintf(
			"ALTER TABLE %s ADD CONSTRAINT %s %s USING "
			"INDEX %s",
			syncmaster_qualify(context, expected->table), expected->name,
			expected->type == CONSTRAINT_PRIMARY ? "PRIMARY KEY" : "UNIQUE",
			expected->name);
		return;
	}
	finding->message = "is missing, and its name is taken";
	finding->fix = psprintf("%s%s",
							syncmaster_free_name(context, expected->name),
							finding->fix);
	finding->left = LEFT_NAME;
}

/*
 * Return whether this is the primary key of runs as Citus needs it if it
 * distributes them by their transfer.  All ids come from one sequence, so they
 * are unique nevertheless.
 */
static bool
is_distributed_key(const CheckContext		*context,
				   const ExpectedConstraint *expected,
				   const ActualConstraint	*con)
{
	return expected->type == CONSTRAINT_PRIMARY &&
		   con->type == CONSTRAINT_PRIMARY &&
		   strcmp(expected->table, "run") == 0 &&
		   strcmp(con->definition, "PRIMARY KEY (id, transfer_id)") == 0 &&
		   syncmaster_is_distributed(
			   get_relname_relid(expected->table, context->namespace));
}

static ActualConstraint *
find_distributed_key(const CheckContext		  *context,
					 const ExpectedConstraint *expected, List *actual)
{
	ListCell *lc;

	foreach (lc, actual)
	{
		ActualConstraint *con = lfirst(lc);

		if (is_distributed_key(context, expected, con))
			return con;
	}
	return NULL;
}

/*
 * The statement that gives a constraint its expected name.
 */
static char *
rename_to_expected(const CheckContext		*context,
				   const ExpectedConstraint *expected,
				   const ActualConstraint	*con)
{
	return psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
					syncmaster_qualify(context, expected->table),
					quote_identifier(con->name),
					quote_identifier(expected->name));
}

static void
check_constraint(CheckContext *context, const ExpectedConstraint *expected,
				 List *actual)
{
	char *definition = syncmaster_constraint_definition(expected,
														context->schema);
	char *object = syncmaster_column_name(expected->table, expected->name);
	ActualConstraint *con = find_by_name(actual, expected->name);
	ActualConstraint *key = find_distributed_key(context, expected, actual);
	Finding			 *finding;
	Finding			 *state;

	if (key != NULL && (con == NULL || con == key))
	{
		key->expected = true;
		finding = syncmaster_add_difference(context, SEVERITY_INFO,
											"constraint", object,
											"has transfer_id as well, by which "
											"Citus distributes the table");
		finding->actual = key->definition;
		if (con == NULL)
			finding->fix = rename_to_expected(context, expected, key);
	}
	else if (con != NULL)
	{
		con->expected = true;
		if (con->type == expected->type &&
			starts_with(con->definition, definition))
		{
			check_state(context, expected, con, definition);
			return;
		}
		finding = syncmaster_add_difference(context, SEVERITY_ERROR,
											"constraint", object,
											"is another one");
		finding->actual = con->definition;
		finding->fix = make_again(context, expected, definition, true);
		if (con->type != expected->type)
			finding->left = LEFT_FOREIGN;
	}
	else if ((con = find_by_definition(actual, expected, definition)) != NULL)
	{
		con->expected = true;
		finding = syncmaster_add_difference(
			context, expected->by_name ? SEVERITY_ERROR : SEVERITY_WARNING,
			"constraint", object, "has another name");
		finding->expected = expected->name;
		finding->actual = con->name;
		finding->fix = rename_to_expected(context, expected, con);
		check_state(context, expected, con, definition);

		/* what repairs the state knows the constraint by its name */
		state = llast(context->findings);
		if (state != finding)
		{
			state->fix = NULL;
			state->left = "it has to get its name first";
			state->message = psprintf("%s: %s", state->message, state->left);
		}
		return;
	}
	else
	{
		finding = syncmaster_add_difference(context, SEVERITY_ERROR,
											"constraint", object, "is missing");
		finding->fix = make_again(context, expected, definition, false);
		use_name(context, expected, finding);
	}
	finding->expected = definition;
}

static void
report_extra_constraint(CheckContext *context, const char *table,
						const ActualConstraint *con)
{
	Finding *finding =
		syncmaster_add_difference(context, SEVERITY_WARNING, "constraint",
								  syncmaster_column_name(table, con->name),
								  "is extra");

	finding->actual = con->definition;
	finding->fix = psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
							syncmaster_qualify(context, table),
							quote_identifier(con->name));
	finding->left = LEFT_FOREIGN;
}

void
syncmaster_check_constraints(CheckContext		*context,
							 const RelationInfo *relation, Oid relid)
{
	List	 *actual = read_constraints(relid);
	ListCell *lc;

	/*
	 * a service may have created the table before the revision that creates it
	 */
	int revision = Max(context->revision, relation->revision);

	for (int i = 0; i < syncmaster_nconstraints; i++)
	{
		if (strcmp(syncmaster_constraints[i].table, relation->name) == 0 &&
			syncmaster_constraints[i].revision <= revision)
			check_constraint(context, &syncmaster_constraints[i], actual);
	}
	foreach (lc, actual)
	{
		ActualConstraint *con = lfirst(lc);

		if (!con->expected)
			report_extra_constraint(context, relation->name, con);
	}
}
