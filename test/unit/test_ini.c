/*
 * test/unit/test_ini.c
 *
 * Lines of a configuration file, good and bad.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/ini.h"

#include <stdlib.h>

#include "tap.h"

static Ini ini;

static IniKind
first(const char *text, size_t len)
{
	ini_init(&ini, text, len);
	return ini_next(&ini);
}

static void
test_lines(void)
{
	static const char text[] = "\xef\xbb\xbf# a comment\r\n"
							   "; another\n"
							   "\n"
							   " [ kafka a ]\t\n"
							   "name = value = more # not a comment\n"
							   "\f empty=\v\n"
							   "last=1";

	is_int(first(text, sizeof(text) - 1), INI_SECTION, "a section");
	is_str(ini.name, "kafka a", "trimmed");
	is_int(ini.line, 4, "on line 4");
	is_int(ini_next(&ini), INI_PAIR, "a pair");
	is_str(ini.name, "name", "its name");
	is_str(ini.value, "value = more # not a comment", "its value");
	is_int(ini_next(&ini), INI_PAIR, "a pair without a value");
	is_str(ini.value, "", "which is empty");
	is_int(ini_next(&ini), INI_PAIR, "a last line without an end");
	is_str(ini.value, "1", "counts too");
	is_int(ini_next(&ini), INI_END, "the end");
	is_int(ini_next(&ini), INI_END, "stays");
}

static void
check_wrong(const char *text, const char *expected)
{
	is_int(first(text, strlen(text)), INI_ERROR, "%.*s",
		   (int) strcspn(text, "\n"), text);
	is_str(ini.value, expected, "has a reason");
	is_int(ini_next(&ini), INI_END, "nothing more is read");
}

static void
test_wrong(void)
{
	check_wrong("[a\n", "expected ] at the end of the line");
	check_wrong("[", "expected ] at the end of the line");
	check_wrong("[ ]\n", "expected the name of a section");
	check_wrong("name\n", "expected [section] or name = value");
	check_wrong(" = value\n", "expected a name before =");
	is_int(first("a\0b=c", 5), INI_ERROR, "a NUL byte");
	is_str(ini.value, "expected text, found a NUL byte", "has a reason");
}

/* len bytes x, with before and after around them. */
static void
check_length(const char *before, size_t len, const char *after, IniKind kind,
			 const char *expected)
{
	size_t room = strlen(before) + len + strlen(after) + 1;
	char *text = malloc(room);

	memset(text, 'x', room);
	memcpy(text, before, strlen(before));
	strcpy(text + strlen(before) + len, after);
	is_int(first(text, room - 1), kind, "%s, %zu bytes", before, len);
	if (kind == INI_ERROR)
		is_str(ini.value, expected, "has a reason");
	free(text);
}

static void
test_lengths(void)
{
	check_length("[", INI_NAME_MAX - 1, "]", INI_SECTION, NULL);
	check_length("[", INI_NAME_MAX, "]", INI_ERROR,
				 "name of the section is too long");
	check_length("", INI_NAME_MAX - 1, "=1", INI_PAIR, NULL);
	check_length("", INI_NAME_MAX, "=1", INI_ERROR, "name is too long");
	check_length("a=", INI_VALUE_MAX - 1, "", INI_PAIR, NULL);
	check_length("a=", INI_VALUE_MAX, "", INI_ERROR, "value is too long");
}

int
main(void)
{
	is_int(first("", 0), INI_END, "nothing");
	test_lines();
	test_wrong();
	test_lengths();
	return tap_done();
}
