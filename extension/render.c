/*
 * extension/render.c
 *
 * jsonb to text as JsonbToCString() does it, but for strings: theirs goes byte
 * by byte, a tenth of an enqueue; here what needs no escape is copied whole.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "render.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

typedef struct Render
{
	StringInfoData out;
	bool scalar; /* the root is a scalar, within an array that is not shown */
	bool more;   /* something stands before it, in the same container */
} Render;

/* What stands for a byte after a backslash; 0: it has no such escape. */
static char
escape_of(unsigned char c)
{
	switch (c)
	{
		case '\b':
			return 'b';
		case '\f':
			return 'f';
		case '\n':
			return 'n';
		case '\r':
			return 'r';
		case '\t':
			return 't';
		case '"':
		case '\\':
			return c;
		default:
			return 0;
	}
}

static void
render_escape(StringInfo out, unsigned char c)
{
	char escape = escape_of(c);

	if (escape == 0)
		appendStringInfo(out, "\\u%04x", (int) c);
	else
	{
		appendStringInfoCharMacro(out, '\\');
		appendStringInfoCharMacro(out, escape);
	}
}

#define EIGHT(byte) (UINT64CONST(0x0101010101010101) * (byte))

/*
 * Whether any of eight bytes does.  A byte's highest bit is set by taking n
 * from it only when it was less than n, or had it already; a quote less a
 * quote is less than 1.
 */
static bool
eight_need_escape(uint64 eight)
{
	uint64 quote = eight ^ EIGHT('"');
	uint64 backslash = eight ^ EIGHT('\\');

	return (((eight - EIGHT(' ')) & ~eight) | ((quote - EIGHT(1)) & ~quote) |
			((backslash - EIGHT(1)) & ~backslash)) &
		   EIGHT(0x80);
}

static bool
needs_escape(unsigned char c)
{
	return c < ' ' || c == '"' || c == '\\';
}

/* How many bytes from the start on need no escape. */
static int
plain_length(const char *string, int len)
{
	int i = 0;

	for (; len - i >= (int) sizeof(uint64); i += sizeof(uint64))
	{
		uint64 eight;

		memcpy(&eight, string + i, sizeof(eight));
		if (eight_need_escape(eight))
			break;
	}
	while (i < len && !needs_escape(string[i]))
		i++;
	return i;
}

static void
render_string(StringInfo out, const char *string, int len)
{
	appendStringInfoCharMacro(out, '"');
	for (;;)
	{
		int plain = plain_length(string, len);

		appendBinaryStringInfo(out, string, plain);
		if (plain == len)
			break;
		render_escape(out, string[plain]);
		string += plain + 1;
		len -= plain + 1;
	}
	appendStringInfoCharMacro(out, '"');
}

static void
render_scalar(StringInfo out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvString:
			render_string(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			appendStringInfoString(
				out, DatumGetCString(DirectFunctionCall1(
						 numeric_out, NumericGetDatum(value->val.numeric))));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

static void
render_separator(Render *render)
{
	if (render->more)
		appendBinaryStringInfo(&render->out, ", ", 2);
}

static void
render_open(Render *render, char bracket)
{
	render_separator(render);
	appendStringInfoCharMacro(&render->out, bracket);
	render->more = false;
}

static void
render_close(Render *render, char bracket)
{
	appendStringInfoCharMacro(&render->out, bracket);
	render->more = true;
}

static void
render_token(Render *render, JsonbIteratorToken token, const JsonbValue *value)
{
	switch (token)
	{
		case WJB_BEGIN_OBJECT:
			render_open(render, '{');
			break;
		case WJB_BEGIN_ARRAY:
			render->scalar = value->val.array.rawScalar;
			if (!render->scalar)
				render_open(render, '[');
			break;
		case WJB_KEY:
			render_separator(render);
			render_scalar(&render->out, value);
			appendBinaryStringInfo(&render->out, ": ", 2);
			render->more = false;
			break;
		case WJB_VALUE:
		case WJB_ELEM:
			render_separator(render);
			render_scalar(&render->out, value);
			render->more = true;
			break;
		case WJB_END_OBJECT:
			render_close(render, '}');
			break;
		case WJB_END_ARRAY:
			if (!render->scalar)
				render_close(render, ']');
			break;
		default:
			elog(ERROR, "unexpected jsonb token %d", (int) token);
	}
}

/* The length word is reserved first, so that the text is written only once. */
static void
render_begin(Render *render)
{
	memset(render, 0, sizeof(*render));
	initStringInfo(&render->out);
	appendStringInfoSpaces(&render->out, VARHDRSZ);
}

static bytea *
render_end(StringInfo out)
{
	char *printed = out->data + VARHDRSZ;
	char *utf8 = pg_server_to_any(printed, out->len - VARHDRSZ, PG_UTF8);

	if (utf8 != printed)
	{
		resetStringInfo(out);
		appendStringInfoSpaces(out, VARHDRSZ);
		appendStringInfoString(out, utf8);
	}
	SET_VARSIZE(out->data, out->len);
	return (bytea *) out->data;
}

bytea *
render_json(Jsonb *json)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue value;
	Render render;

	render_begin(&render);
	enlargeStringInfo(&render.out, VARSIZE(json));
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		render_token(&render, token, &value);
	return render_end(&render.out);
}
