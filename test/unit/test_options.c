/*
 * test/unit/test_options.c
 *
 * The options of the plugin: every value that is taken, and what is said of
 * every other.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "../../decoder/options.h"
#include "tap.h"

static const struct
{
	const char *name;
	const char *value;
	OptionsResult result;
	const char *error; /* a part of it */
} cases[] = {
	{"proto_version", "1", OPTIONS_OK, ""},
	{"proto_version", "01", OPTIONS_VERSION, "\"01\", this server speaks"},
	{"proto_version", "2", OPTIONS_VERSION, "\"2\", this server speaks"},
	{"proto_version", "", OPTIONS_VERSION, "\"\", this server speaks"},
	{"proto_version", NULL, OPTIONS_INVALID, "\"proto_version\" needs a value"},
	{"schema_oid", "1", OPTIONS_OK, ""},
	{"schema_oid", "4294967295", OPTIONS_OK, ""},
	{"schema_oid", "4294967296", OPTIONS_INVALID, "\"4294967296\""},
	{"schema_oid", "99999999999", OPTIONS_INVALID, "\"99999999999\""},
	{"schema_oid", "0", OPTIONS_INVALID, "\"0\""},
	{"schema_oid", "", OPTIONS_INVALID, "\"\""},
	{"schema_oid", "-1", OPTIONS_INVALID, "\"-1\""},
	{"schema_oid", "1 ", OPTIONS_INVALID, "\"1 \""},
	{"schema_oid", "0x1", OPTIONS_INVALID, "\"0x1\""},
	{"schema_oid", NULL, OPTIONS_INVALID, "\"schema_oid\" needs a value"},
	{"format", "binary", OPTIONS_OK, ""},
	{"format", "text", OPTIONS_OK, ""},
	{"format", "texts", OPTIONS_INVALID, "\"texts\""},
	{"format", NULL, OPTIONS_INVALID, "\"format\" needs a value"},
	{"Format", "text", OPTIONS_UNKNOWN, "unrecognized option \"Format\""},
	{"", "", OPTIONS_UNKNOWN, "unrecognized option \"\""},
};

static void
test_one_by_one(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *value = cases[i].value;
		const char *shown = value ? value : "(none)";
		Options options;

		options_init(&options);
		is_int(options_take(&options, cases[i].name, value), cases[i].result,
			   "%s = %s", cases[i].name, shown);
		ok(strstr(options.error, cases[i].error) != NULL, "%s: \"%s\"", shown,
		   options.error);
		is_int(options.given != 0, cases[i].result == OPTIONS_OK,
			   "%s: taken or not", shown);
	}
}

static void
test_values(void)
{
	Options options;

	options_init(&options);
	is_int(options_check(&options), OPTIONS_VERSION, "a version is needed");
	ok(strstr(options.error, "speaks version 1") != NULL, "and named");
	options_take(&options, "schema_oid", "4294967295");
	is_int(options.schema_oid, 4294967295, "the greatest OID");
	is_int(options_take(&options, "schema_oid", "4294967295"), OPTIONS_REPEATED,
		   "the same again");
	ok(strstr(options.error, "\"schema_oid\" is given more than once") != NULL,
	   "is said to be repeated");
	is_int(options_take(&options, "proto_version", "1"), OPTIONS_OK, "version");
	is_int(options_check(&options), OPTIONS_OK, "that is enough");
	ok(!options.text, "binary is the default");

	options_init(&options);
	options_take(&options, "format", "text");
	ok(options.text, "text");
	is_int(options_check(&options), OPTIONS_OK, "text needs no version");
}

static void
test_long(void)
{
	static char value[100000];
	Options options;

	memset(value, 'x', sizeof(value) - 1);
	options_init(&options);
	is_int(options_take(&options, value, value), OPTIONS_UNKNOWN,
		   "a long name");
	ok(strlen(options.error) < 128, "is cut in the message");
	is_int(options_take(&options, "proto_version", value), OPTIONS_VERSION,
		   "a long version");
	ok(strstr(options.error, "speaks version 1") != NULL,
	   "leaves room for ours");
}

/* A character that goes past the 64th byte is not shown in part. */
static void
check_cut(const char *character, size_t before)
{
	size_t end = before + strlen(character);
	Options options;
	char name[100];
	char expected[100];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	memcpy(name + before, character, strlen(character));
	snprintf(expected, sizeof(expected), "option \"%.*s\"",
			 end <= 64 ? 64 : (int) before, name);
	options_init(&options);
	options_take(&options, name, "1");
	ok(strstr(options.error, expected) != NULL, "%zu bytes, then %s: \"%s\"",
	   before, character, options.error);
}

static void
test_characters(void)
{
	for (size_t before = 60; before <= 64; before++)
	{
		check_cut("\xc3\xa9", before);
		check_cut("\xe2\x82\xac", before);
		check_cut("\xf0\x9f\x98\x80", before);
	}
}

/* Nothing but the insides of characters: none of it can be shown. */
static void
test_no_character(void)
{
	Options options;
	char name[100];

	memset(name, 0x80, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	options_init(&options);
	is_int(options_take(&options, name, "1"), OPTIONS_UNKNOWN, "no name");
	is_str(options.error, "unrecognized option \"\"", "and none is shown");
}

int
main(void)
{
	test_one_by_one();
	test_values();
	test_long();
	test_characters();
	test_no_character();
	return tap_done();
}
