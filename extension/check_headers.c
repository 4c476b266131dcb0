/*
 * extension/check_headers.c
 *
 * The headers that a message brings along, see check.h.  Names are tokens of
 * RFC 9110 section 5.6.2; what frames an HTTP request, and what is ours, is
 * reserved.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "check.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* No name in a message of ours is longer than this. */
#define SHOWN_NAME_MAX 64

#define OUR_PREFIX "outbox-"

static const char token_characters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	"!#$%&'*+-.^_`|~";

static const char *const reserved_names[] = {
	"host",       "content-length", "content-type",     "transfer-encoding",
	"connection", "keep-alive",     "expect",           "te",
	"trailer",    "upgrade",        "proxy-connection",
};

static void
check_name_token(const char *name, int len)
{
	if (len == 0 || strspn(name, token_characters) != (size_t) len)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("header name is not a token of HTTP"),
			 errhint("Use letters, digits and \"-\", at least one of them."),
			 errhidestmt(true)));
}

static bool
name_is_reserved(const char *name)
{
	for (size_t i = 0; i < lengthof(reserved_names); i++)
		if (pg_strcasecmp(name, reserved_names[i]) == 0)
			return true;
	return pg_strncasecmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0;
}

static int
check_name(const JsonbValue *name)
{
	int len = name->val.string.len;
	char *copy = pnstrdup(name->val.string.val, len);

	check_name_token(copy, len);
	if (name_is_reserved(copy))
		ereport(
			ERROR,
			(errcode(ERRCODE_RESERVED_NAME),
			 errmsg("header name \"%.*s\" is reserved", SHOWN_NAME_MAX, copy),
			 errhint("Headers that frame the request and those that begin "
					 "with \"Outbox-\" are set by the relay; the content "
					 "type is an argument of outbox_enqueue_bytes()."),
			 errhidestmt(true)));
	return len;
}

/* Numbers and booleans are written as JSON writes them. */
static void
value_to_string(const char *name, JsonbValue *value)
{
	char *string;

	if (value->type == jbvString)
		return;
	if (value->type == jbvNumeric)
		string = DatumGetCString(DirectFunctionCall1(
			numeric_out, NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvBool)
		string = value->val.boolean ? "true" : "false";
	else
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("value of header \"%.*s\" is not a string, a "
							   "number or a boolean",
							   SHOWN_NAME_MAX, name),
						errhint("Leave the header out, or write its value as "
								"a string."),
						errhidestmt(true)));
	value->type = jbvString;
	value->val.string.val = string;
	value->val.string.len = strlen(string);
}

static int
check_value(const JsonbValue *name, JsonbValue *value)
{
	const char *shown = pnstrdup(name->val.string.val, name->val.string.len);

	value_to_string(shown, value);
	for (int i = 0; i < value->val.string.len; i++)
	{
		unsigned char c = value->val.string.val[i];

		if (c < 0x20 || c == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					 errmsg("value of header \"%.*s\" has a control character",
							SHOWN_NAME_MAX, shown),
					 errhint("Remove line breaks, tabs and other control "
							 "characters."),
					 errhidestmt(true)));
	}
	return value->val.string.len;
}

static void
check_sum(int64 bytes)
{
	if (bytes > CHECK_HEADERS_BYTES_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("headers of a message are too large"),
						errdetail("The limit is %d bytes, names and values "
								  "together.",
								  CHECK_HEADERS_BYTES_MAX),
						errhidestmt(true)));
}

static int
check_object(const Jsonb *headers)
{
	int n;

	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("headers of a message must be a JSON object"),
						errhint("Write them like {\"X-Request-Id\": \"7\"}."),
						errhidestmt(true)));
	n = JB_ROOT_COUNT(headers);
	if (n > CHECK_HEADERS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_ARGUMENTS),
				 errmsg("a message has too many headers"),
				 errdetail("It has %d, the limit is %d.", n, CHECK_HEADERS_MAX),
				 errhidestmt(true)));
	return n;
}

/* Nested values come as one jbvBinary, which is refused. */
static void
copy_headers(Jsonb *headers, JsonbParseState **state)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	JsonbValue name;
	JsonbValue value;
	int64 bytes = 0;

	(void) JsonbIteratorNext(&it, &value, true); /* WJB_BEGIN_OBJECT */
	while (JsonbIteratorNext(&it, &name, true) == WJB_KEY)
	{
		bytes += check_name(&name);
		(void) JsonbIteratorNext(&it, &value, true);
		bytes += check_value(&name, &value);
		check_sum(bytes);
		pushJsonbValue(state, WJB_KEY, &name);
		pushJsonbValue(state, WJB_VALUE, &value);
	}
}

Jsonb *
check_headers(Jsonb *headers)
{
	JsonbParseState *state = NULL;

	if (headers == NULL || check_object(headers) == 0)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	copy_headers(headers, &state);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
