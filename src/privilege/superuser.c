/*-------------------------------------------------------------------------
 *
 * superuser.c
 *	  SyncMaster's superusers, who are none of PostgreSQL's: rows of the table
 *	  "user" with is_superuser set.
 *
 * Nobody becomes one by means of the server's interface.  A new user's row is
 * otherwise as the server writes it when somebody logs in for the first time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "base/base.h"
#include "rows/rows.h"
#include "schema/schema.h"

#define USER_TABLE "user"

/* How many bytes are shown of a name that is too long. */
#define SHOWN_LENGTH 64

/*
 * How often a statement is repeated because another session wrote the same
 * user meanwhile.
 */
#define MAX_ATTEMPTS 5

/* One of the names that a command was given. */
typedef struct Username
{
	text	   *value;
	char	   *name;
	int			position; /* position among the arguments */
	const char *action;
} Username;

typedef enum UserState
{
	USER_MISSING,
	USER_PLAIN,
	USER_SUPER
} UserState;

/*
 * Characters that are invisible, or look like a blank: white space, controls,
 * formats, variation selectors, tags.  An ordinary space is not one of them.
 */
static const struct
{
	pg_wchar first;
	pg_wchar last;
} invisible[] = {{0x0000, 0x001F},	 {0x007F, 0x00A0},	 {0x00AD, 0x00AD},
				 {0x034F, 0x034F},	 {0x061C, 0x061C},	 {0x115F, 0x1160},
				 {0x1680, 0x1680},	 {0x17B4, 0x17B5},	 {0x180B, 0x180F},
				 {0x2000, 0x200F},	 {0x2028, 0x202F},	 {0x205F, 0x206F},
				 {0x2800, 0x2800},	 {0x3000, 0x3000},	 {0x3164, 0x3164},
				 {0xFE00, 0xFE0F},	 {0xFEFF, 0xFEFF},	 {0xFFA0, 0xFFA0},
				 {0xFFF0, 0xFFFC},	 {0xFFFE, 0xFFFF},	 {0x1BCA0, 0x1BCA3},
				 {0x1D159, 0x1D159}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};

PG_FUNCTION_INFO_V1(syncmaster_add_superusers);
PG_FUNCTION_INFO_V1(syncmaster_remove_superusers);
PG_FUNCTION_INFO_V1(syncmaster_superusers);

static bool
is_invisible(pg_wchar c)
{
	for (int i = 0; i < (int) lengthof(invisible); i++)
	{
		if (c >= invisible[i].first && c <= invisible[i].last)
			return true;
	}
	return false;
}

/*
 * Return whether a name has no invisible or misleading characters.  In
 * encodings other than UTF-8, only ASCII is checked.
 */
static bool
is_plain_name(const char *name)
{
	const char *end = name + strlen(name);

	if (name[0] == ' ' || end[-1] == ' ')
		return false;
	for (const char *p = name; p < end; p += pg_mblen(p))
	{
		pg_wchar c = (unsigned char) *p;

		if (IS_HIGHBIT_SET(*p))
		{
			if (GetDatabaseEncoding() != PG_UTF8)
				continue;
			c = utf8_to_unicode((const unsigned char *) p);
		}
		if (is_invisible(c))
			return false;
	}
	return true;
}

/*
 * How many characters of a username the table can hold; 0 for no limit.  An
 * older table may have another width than today's.
 */
static int
username_width(Relation rel)
{
	AttrNumber attnum = syncmaster_find_column(rel, "username", VARCHAROID,
											   TEXTOID);
	int32 typmod = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypmod;

	return typmod > VARHDRSZ ? typmod - VARHDRSZ : 0;
}

static int
compare_names(const void *left, const void *right)
{
	return strcmp(((const Username *) left)->name,
				  ((const Username *) right)->name);
}

static int
compare_positions(const void *left, const void *right)
{
	return ((const Username *) left)->position -
		   ((const Username *) right)->position;
}

static void
check_name(const Username *user, int width)
{
	int length = pg_mbstrlen(user->name);

	if (length == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("username must not be empty"),
						errhint("Name the user as he logs in to SyncMaster.")));
	if (width > 0 && length > width)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("username is too long"),
				 errdetail("It has %d characters, and column \"username\" "
						   "takes %d: \"%.*s...\".",
						   length, width,
						   pg_mbcliplen(user->name, strlen(user->name),
										SHOWN_LENGTH),
						   user->name),
				 errhint("Name the user as he logs in to SyncMaster.")));
}

/*
 * The names, sorted: all calls lock rows in the same order.
 */
static Username *
parse_names(ArrayType *array, int width, int *count)
{
	Username *users;
	Datum	 *values;
	bool	 *nulls;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  count);
	users = palloc0(sizeof(Username) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("username must not be null"),
							errhint("Name the user as he logs in to "
									"SyncMaster.")));
		users[i].value = DatumGetTextPP(values[i]);
		users[i].name = text_to_cstring(users[i].value);
		users[i].position = i;
		check_name(&users[i], width);
	}
	qsort(users, *count, sizeof(Username), compare_names);
	for (int i = 1; i < *count; i++)
	{
		if (strcmp(users[i].name, users[i - 1].name) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("user \"%s\" is named twice", users[i].name),
							errhint("Name every user once.")));
	}
	return users;
}

/*
 * Return whether the role may read all columns that syncmaster_superusers()
 * reads.
 */
static bool
may_read_columns(Oid relid, Oid role)
{
	static const char *const names[] = {"username", "is_superuser",
										"is_active"};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		AttrNumber attnum = get_attnum(relid, names[i]);

		if (attnum == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attnum, role, ACL_SELECT) !=
				ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * Refuse a caller without these privileges.  The table is read and written as
 * its owner, so the caller's own privileges are checked first.
 */
static void
require_rights(Oid relid, Oid caller, AclMode rights)
{
	for (AclMode right = 1; right <= rights; right <<= 1)
	{
		AclResult result = ACLCHECK_OK;

		if (rights & right)
			result = pg_class_aclcheck(relid, caller, right);
		if (right == ACL_SELECT && result == ACLCHECK_NO_PRIV &&
			may_read_columns(relid, caller))
			result = ACLCHECK_OK;
		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, get_rel_name(relid));
	}
	(void) check_enable_rls(relid, caller, false);
}

/*
 * Open the table, and become its owner.
 */
static void
open_user_table(OwnedTable *table, LOCKMODE mode, AclMode rights)
{
	ExtensionEntry extension;
	Oid			   relid;

	/*
	 * checked before the lock, and again: another table may have got the name
	 */
	syncmaster_get_extension(&extension);
	relid = get_relname_relid(USER_TABLE, extension.namespace);
	if (OidIsValid(relid))
		require_rights(relid, GetUserId(), rights);
	syncmaster_warn_of_newer(extension.namespace);
	syncmaster_open_owned_table(table, USER_TABLE, mode);
	require_rights(RelationGetRelid(table->relation), table->acting.user,
				   rights);
	(void) syncmaster_find_column(table->relation, "username", VARCHAROID,
								  TEXTOID);
	(void) syncmaster_find_column(table->relation, "is_superuser", BOOLOID,
								  BOOLOID);
	(void) syncmaster_find_column(table->relation, "is_active", BOOLOID,
								  BOOLOID);
}

/*
 * Run a statement about one user, and call a function for each row.  "%s" in
 * the statement stands for the table, $1 for the name, $2 for the new
 * is_superuser.
 */
static int64
execute(const OwnedTable *table, const char *format, const Username *user,
		bool super, RowReceiver receive, void *state)
{
	Oid	  types[] = {TEXTOID, BOOLOID};
	Datum values[] = {PointerGetDatum(user->value), BoolGetDatum(super)};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, format, table->quoted_name);
	return syncmaster_each_row(sql.data, 2, types, values, receive, state);
}

/* RowReceiver: stores what the first row says of the user. */
static bool
take_state(void *state, TupleTableSlot *slot)
{
	*(UserState *) state = !slot->tts_isnull[0] &&
								   DatumGetBool(slot->tts_values[0])
							   ? USER_SUPER
							   : USER_PLAIN;
	return false;
}

static UserState
look_up(const OwnedTable *table, const Username *user)
{
	UserState state = USER_MISSING;

	(void) execute(table, "SELECT is_superuser, $2 FROM %s WHERE username = $1",
				   user, true, take_state, &state);
	return state;
}

/* RowReceiver: warns of the user that the row names. */
static bool
warn_of_user(void *state, TupleTableSlot *slot)
{
	const Username *user = state;

	ereport(WARNING,
			(errmsg("user \"%s\" is created beside user \"%s\"", user->name,
					TextDatumGetCString(slot->tts_values[0])),
			 errhint("If that is the same person, take the rights away again "
					 "with syncmaster_remove_superusers().")));
	return false;
}

/*
 * Warn of users whose names differ only in case: to the server, they are
 * different users.
 */
static void
warn_of_namesake(const OwnedTable *table, Username *user)
{
	(void) execute(table,
				   "SELECT username::text, $2 FROM %s "
				   "WHERE lower(username) = lower($1) AND username <> $1 "
				   "ORDER BY 1 LIMIT 1",
				   user, true, warn_of_user, user);
}

static bool
has_rule_for_writes(Relation rel)
{
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		CmdType event = rel->rd_rules->rules[i]->event;

		if (event == CMD_INSERT || event == CMD_UPDATE)
			return true;
	}
	return false;
}

/*
 * Refuse a table on which INSERT ... ON CONFLICT would fail.
 */
static void
require_insertable(Relation rel)
{
	if (syncmaster_query_oid(
			"SELECT FROM pg_index i JOIN pg_attribute a "
			"ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
			"WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid "
			"AND i.indimmediate AND i.indnkeyatts = 1 AND i.indpred IS NULL "
			"AND a.attname = 'username'",
			RelationGetRelid(rel)) == NIL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has no unique index on column "
							   "\"username\"",
							   RelationGetRelationName(rel)),
						errhint("SELECT syncmaster_repair(false) makes it.")));
	if (has_rule_for_writes(rel))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has a rule for INSERT or UPDATE",
							   RelationGetRelationName(rel)),
						errhint("Drop the rule, and run the command again.")));
}

static bool
create_user(const OwnedTable *table, Username *user)
{
	if (!is_plain_name(user->name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no user \"%s\", and none is created under "
						"such a name",
						user->name),
				 errdetail("The name begins or ends with a space, or contains "
						   "invisible characters."),
				 errhint("If the name is right, let the user log in to "
						 "SyncMaster once, and run the command again.")));
	require_insertable(table->relation);
	warn_of_namesake(table, user);

	return execute(table,
				   "INSERT INTO %s (username, is_superuser, is_active) "
				   "VALUES ($1, $2, true) ON CONFLICT (username) DO NOTHING",
				   user, true, NULL, NULL) > 0;
}

/*
 * Make a user a superuser, or take that away; returns what was done.  No lock
 * stops other sessions, so the row may change between reading and writing:
 * therefore the result is read, too, which also shows the effect of triggers.
 */
static const char *
set_superuser(const OwnedTable *table, Username *user, bool super)
{
	const char *action = "unchanged";

	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		UserState state = look_up(table, user);

		CHECK_FOR_INTERRUPTS();
		if (state == (super ? USER_SUPER : USER_PLAIN))
			return action;
		if (state != USER_MISSING)
		{
			(void) execute(table,
						   "UPDATE %s SET is_superuser = $2, "
						   "updated_at = now() "
						   "WHERE username = $1 AND is_superuser <> $2",
						   user, super, NULL, NULL);
			action = super ? "promoted" : "demoted";
		}
		else if (!super)
			return "not found";
		else if (create_user(table, user))
			action = "created";
	}
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("user \"%s\" does not stay as it is written", user->name),
			 errdetail("A trigger or a rule of table \"%s\" suppresses or "
					   "changes what is written.",
					   RelationGetRelationName(table->relation)),
			 errhint("Disable it, and run the command again.")));
}

static Datum
set_superusers(FunctionCallInfo fcinfo, const char *command, bool super)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	OwnedTable	   table;
	Username	  *users;
	int			   count;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("usernames must not be null"),
						errhint("Name the users as they log in to "
								"SyncMaster.")));
	syncmaster_require_writable(command);

	/* the lock stops new triggers, but not the server's writes */
	open_user_table(&table, RowExclusiveLock,
					ACL_SELECT | ACL_UPDATE | (super ? ACL_INSERT : 0));
	users = parse_names(PG_GETARG_ARRAYTYPE_P(0),
						username_width(table.relation), &count);
	for (int i = 0; i < count; i++)
		users[i].action = set_superuser(&table, &users[i], super);

	qsort(users, count, sizeof(Username), compare_positions);
	for (int i = 0; i < count; i++)
	{
		const char *texts[] = {users[i].name, users[i].action};

		syncmaster_put_texts(result, lengthof(texts), texts);
	}
	syncmaster_close_owned_table(&table);

	return (Datum) 0;
}

/*
 * syncmaster_add_superusers(VARIADIC usernames text[]) returns, for each
 * name, whether the user was created, promoted or left unchanged
 */
Datum
syncmaster_add_superusers(PG_FUNCTION_ARGS)
{
	return set_superusers(fcinfo, "syncmaster_add_superusers()", true);
}

/*
 * syncmaster_remove_superusers(VARIADIC usernames text[]) returns, for each
 * name, whether the user was demoted, left unchanged or not found
 */
Datum
syncmaster_remove_superusers(PG_FUNCTION_ARGS)
{
	return set_superusers(fcinfo, "syncmaster_remove_superusers()", false);
}

/* RowReceiver: adds a row to the result. */
static bool
put_user(void *state, TupleTableSlot *slot)
{
	ReturnSetInfo *result = state;

	syncmaster_put_row(result, slot->tts_values, slot->tts_isnull);
	return true;
}

/*
 * syncmaster_superusers() returns names, and whether they can log in
 */
Datum
syncmaster_superusers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = syncmaster_begin_result(fcinfo);
	OwnedTable	   table;

	open_user_table(&table, AccessShareLock, ACL_SELECT);
	(void) syncmaster_each_row(
		psprintf("SELECT username::text, is_active FROM %s "
				 "WHERE is_superuser ORDER BY username",
				 table.quoted_name),
		0, NULL, NULL, put_user, result);
	syncmaster_close_owned_table(&table);

	return (Datum) 0;
}
