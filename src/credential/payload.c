/*-------------------------------------------------------------------------
 *
 * payload.c
 *	  What a credential's token contains: JSON, as Python writes it.
 *
 * The services write json.dumps(value, ensure_ascii=False, sort_keys=True) in
 * UTF-8, and read with json.loads().  Payloads written here have the same
 * form to the byte, whenever Python can represent the value.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "credential/credential.h"

/* Python refuses to read longer integers (sys.get_int_max_str_digits()). */
#define MAX_INTEGER_DIGITS 4300

/* Sign, 17 digits, point, and an exponent of three digits, or leading zeros */
#define FLOAT_TEXT_SIZE 40

typedef struct Member
{
	char	  *key;
	size_t	   key_length;
	JsonbValue value;
} Member;

static void write_container(Secret *out, JsonbContainer *container);

static void
append_literal(Secret *out, const char *literal)
{
	syncmaster_append_secret(out, literal, strlen(literal));
}

/*
 * Text in UTF-8, *length bytes.  It is a copy only if the database has
 * another encoding.
 */
static char *
to_utf8(char *text, size_t *length)
{
	char *converted = pg_server_to_any(text, *length, PG_UTF8);

	if (converted != text)
	{
		*length = strlen(converted);
		syncmaster_adopt_secret(converted, *length);
	}
	return converted;
}

static void
write_string(Secret *out, const char *text, size_t length)
{
	const char *end = text + length;

	append_literal(out, "\"");
	while (text < end)
	{
		const char *start = text;
		char		escape[8];

		while (text < end && (unsigned char) *text >= ' ' && *text != '"' &&
			   *text != '\\')
			text++;
		syncmaster_append_secret(out, start, text - start);
		if (text == end)
			break;

		switch (*text)
		{
			case '"':
			case '\\':
				snprintf(escape, sizeof(escape), "\\%c", *text);
				break;
			case '\b':
				strlcpy(escape, "\\b", sizeof(escape));
				break;
			case '\f':
				strlcpy(escape, "\\f", sizeof(escape));
				break;
			case '\n':
				strlcpy(escape, "\\n", sizeof(escape));
				break;
			case '\r':
				strlcpy(escape, "\\r", sizeof(escape));
				break;
			case '\t':
				strlcpy(escape, "\\t", sizeof(escape));
				break;
			default:
				snprintf(escape, sizeof(escape), "\\u%04x",
						 (unsigned char) *text);
		}
		append_literal(out, escape);
		text++;
	}
	append_literal(out, "\"");
}

/*
 * Add one to the last digit; "digits" is as "%.*e" prints it.  If all digits
 * are nines, they stay.
 */
static void
increment_digits(char *digits)
{
	size_t last = strcspn(digits, "e");

	if (strspn(digits, "9.") == last)
		return;
	while (last-- > 0)
	{
		if (digits[last] == '.')
			continue;
		if (digits[last] != '9')
		{
			digits[last]++;
			return;
		}
		digits[last] = '0';
	}
}

/*
 * A floating-point number as Python's repr() writes it: the fewest digits
 * that read back as the same number, an exponent below 1e-4 and from 1e16 on.
 */
static void
format_float(double number, char *result)
{
	char		digits[FLOAT_TEXT_SIZE];
	const char *sign = number < 0 ? "-" : "";
	char	   *exponent_mark;
	int			exponent;
	int			count;

	/*
	 * One digit, a point, more digits, "e", exponent.  Fifteen digits tell
	 * numbers apart, so that fewer are fifteen that end in zeros; the
	 * smallest numbers have less precision, and any number of digits may do.
	 * Powers of two have their neighbour above farther away than that below:
	 * what rounds up may read back where the nearest, rounded down, does not.
	 */
	for (int precision = fabs(number) < DBL_MIN ? 0 : 14; precision <= 16;
		 precision++)
	{
		snprintf(digits, sizeof(digits), "%.*e", precision, fabs(number));
		if (strtod(digits, NULL) == fabs(number))
			break;
		increment_digits(digits);
		if (strtod(digits, NULL) == fabs(number))
			break;
	}
	exponent_mark = strchr(digits, 'e');
	exponent = (int) strtol(exponent_mark + 1, NULL, 10);
	*exponent_mark = '\0';
	if (digits[1] == '\0')
		digits[2] = '\0';
	digits[1] = digits[0];
	count = strlen(digits + 1);
	while (count > 1 && digits[count] == '0')
		count--;
	digits[count + 1] = '\0';

	/* "%.*d" of zero is that many zeros. */
	if (exponent < -4 || exponent >= 16)
		snprintf(result, FLOAT_TEXT_SIZE, "%s%c%s%se%c%02d", sign, digits[1],
				 count > 1 ? "." : "", digits + 2, exponent < 0 ? '-' : '+',
				 abs(exponent));
	else if (exponent < 0)
		snprintf(result, FLOAT_TEXT_SIZE, "%s0.%.*d%s", sign, -exponent - 1, 0,
				 digits + 1);
	else if (count <= exponent + 1)
		snprintf(result, FLOAT_TEXT_SIZE, "%s%s%.*d.0", sign, digits + 1,
				 exponent + 1 - count, 0);
	else
		snprintf(result, FLOAT_TEXT_SIZE, "%s%.*s.%s", sign, exponent + 1,
				 digits + 1, digits + 2 + exponent);
	explicit_bzero(digits, sizeof(digits));
}

/*
 * Write a number.  Python reads a number with a point as a floating-point
 * number.  If it has more digits than such a number can hold, all of them are
 * written, and Python rounds.
 */
static void
write_number(Secret *out, Numeric number)
{
	char *text = DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	size_t length = strlen(text);
	char   python[FLOAT_TEXT_SIZE];

	syncmaster_adopt_secret(text, length);
	if (strchr(text, '.') == NULL)
	{
		if (length - (*text == '-') > MAX_INTEGER_DIGITS)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("credentials hold an integer of more than "
								   "%d digits",
								   MAX_INTEGER_DIGITS),
							errdetail("SyncMaster's services could not read "
									  "them.")));
		append_literal(out, text);
		return;
	}

	python[0] = '\0';
	if (isfinite(strtod(text, NULL)))
	{
		Datum rounded;

		format_float(strtod(text, NULL), python);
		rounded = DirectFunctionCall3(numeric_in, CStringGetDatum(python),
									  ObjectIdGetDatum(InvalidOid),
									  Int32GetDatum(-1));
		if (!DatumGetBool(DirectFunctionCall2(numeric_eq, rounded,
											  NumericGetDatum(number))))
			python[0] = '\0';
	}
	append_literal(out, python[0] != '\0' ? python : text);
	explicit_bzero(python, sizeof(python));
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the value, within the stack */
static void
write_value(Secret *out, JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			append_literal(out, "null");
			break;
		case jbvBool:
			append_literal(out, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			write_number(out, value->val.numeric);
			break;
		case jbvString:
		{
			size_t length = value->val.string.len;
			char  *text = to_utf8(value->val.string.val, &length);

			write_string(out, text, length);
			break;
		}
		case jbvBinary:
			write_container(out, value->val.binary.data);
			break;
		default:
			elog(ERROR, "unexpected type of jsonb value: %d",
				 (int) value->type);
	}
}

/*
 * Python sorts keys by code point, which in UTF-8 is by byte.
 */
static int
compare_members(const void *left, const void *right)
{
	const Member *a = (const Member *) left;
	const Member *b = (const Member *) right;
	int order = memcmp(a->key, b->key, Min(a->key_length, b->key_length));

	if (order == 0 && a->key_length != b->key_length)
		order = a->key_length < b->key_length ? -1 : 1;
	return order;
}

static void
write_object(Secret *out, JsonbIterator *iterator, int count)
{
	Member	  *members = palloc(Max(count, 1) * sizeof(Member));
	JsonbValue key;

	for (int i = 0; i < count; i++)
	{
		if (JsonbIteratorNext(&iterator, &key, true) != WJB_KEY ||
			JsonbIteratorNext(&iterator, &members[i].value, true) != WJB_VALUE)
			elog(ERROR, "unexpected end of jsonb object");
		members[i].key_length = key.val.string.len;
		members[i].key = to_utf8(key.val.string.val, &members[i].key_length);
	}
	qsort(members, count, sizeof(Member), compare_members);

	append_literal(out, "{");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			append_literal(out, ", ");
		write_string(out, members[i].key, members[i].key_length);
		append_literal(out, ": ");
		write_value(out, &members[i].value);
	}
	append_literal(out, "}");
	pfree(members);
}

static void
write_array(Secret *out, JsonbIterator *iterator, int count, bool scalar)
{
	if (!scalar)
		append_literal(out, "[");
	for (int i = 0; i < count; i++)
	{
		JsonbValue element;

		if (JsonbIteratorNext(&iterator, &element, true) != WJB_ELEM)
			elog(ERROR, "unexpected end of jsonb array");
		if (i > 0)
			append_literal(out, ", ");
		write_value(out, &element);
	}
	if (!scalar)
		append_literal(out, "]");
}

static void
write_container(Secret *out, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	   value;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (JsonbIteratorNext(&iterator, &value, false) == WJB_BEGIN_OBJECT)
		write_object(out, iterator, value.val.object.nPairs);
	else
		write_array(out, iterator, value.val.array.nElems,
					value.val.array.rawScalar);
}
/* NOLINTEND(misc-no-recursion) */

/*
 * To be called in PG_CATCH: messages about bad data quote the data, which must
 * not be shown.  Such an error gets "message" instead; other errors are raised
 * again unchanged.
 */
static void
hide_data_error(MemoryContext context, const char *message)
{
	if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
		PG_RE_THROW();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	ereport(ERROR, (errcode(ERRCODE_INVALID_JSON_TEXT),
					errmsg_internal("%s", message)));
}

/*
 * The payload of a value.  The caller deletes the current memory context soon:
 * helper functions leave their secrets in it.
 */
Secret *
syncmaster_write_payload(Jsonb *jsonb)
{
	MemoryContext context = CurrentMemoryContext;
	Secret		 *out = syncmaster_make_secret(VARSIZE(jsonb) + 64);

	PG_TRY();
	{
		write_container(out, &jsonb->root);
	}
	PG_CATCH();
	{
		hide_data_error(context, _("credentials cannot be written in UTF-8"));
	}
	PG_END_TRY();
	return out;
}

/*
 * The value of a payload.  The caller deletes the current memory context soon;
 * the datum itself is in "result_context".
 */
Datum
syncmaster_parse_payload(Secret *payload, MemoryContext result_context)
{
	MemoryContext  context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	syncmaster_append_secret(payload, "", 1);
	PG_TRY();
	{
		char *text = (char *) payload->data;
		char *converted = pg_any_to_server(text, payload->length - 1, PG_UTF8);

		if (converted != text)
			syncmaster_adopt_secret(converted, strlen(converted));
		MemoryContextSwitchTo(result_context);
		result = DirectFunctionCall1(jsonb_in, CStringGetDatum(converted));
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		hide_data_error(context,
						_("credentials are not JSON that jsonb can hold"));
	}
	PG_END_TRY();
	return result;
}
