/*
 * relay/core/ini.c
 *
 * Splits lines; what sections and names there may be is for config.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/ini.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct Piece
{
	const char *at;
	size_t len;
} Piece;

void
ini_init(Ini *ini, const char *text, size_t len)
{
	ini->text = text;
	ini->len = len;
	ini->pos = 0;
	ini->line = 0;
	/* a byte order mark, as some editors write it */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		ini->pos = 3;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static Piece
trim(Piece piece)
{
	while (piece.len > 0 && is_blank(piece.at[0]))
	{
		piece.at++;
		piece.len--;
	}
	while (piece.len > 0 && is_blank(piece.at[piece.len - 1]))
		piece.len--;
	return piece;
}

static Piece
next_line(Ini *ini)
{
	Piece line = {ini->text + ini->pos, ini->len - ini->pos};
	const char *end = memchr(line.at, '\n', line.len);

	if (end != NULL)
		line.len = (size_t) (end - line.at);
	ini->pos += line.len + (end != NULL);
	ini->line++;
	return line;
}

static IniKind
fail(Ini *ini, const char *expected)
{
	ini->pos = ini->len;
	snprintf(ini->value, sizeof(ini->value), "%s", expected);
	return INI_ERROR;
}

static bool
keep(char *out, size_t size, Piece piece)
{
	if (piece.len >= size)
		return false;
	memcpy(out, piece.at, piece.len);
	out[piece.len] = '\0';
	return true;
}

static IniKind
take_section(Ini *ini, Piece line)
{
	Piece name;

	if (line.at[line.len - 1] != ']')
		return fail(ini, "expected ] at the end of the line");
	name = trim((Piece){line.at + 1, line.len - 2});
	if (name.len == 0)
		return fail(ini, "expected the name of a section");
	if (!keep(ini->name, sizeof(ini->name), name))
		return fail(ini, "name of the section is too long");
	return INI_SECTION;
}

static IniKind
take_pair(Ini *ini, Piece line)
{
	const char *equals = memchr(line.at, '=', line.len);
	Piece name;
	Piece value;

	if (equals == NULL)
		return fail(ini, "expected [section] or name = value");
	name = trim((Piece){line.at, (size_t) (equals - line.at)});
	value = trim((Piece){equals + 1, line.len - 1 - (equals - line.at)});
	if (name.len == 0)
		return fail(ini, "expected a name before =");
	if (!keep(ini->name, sizeof(ini->name), name))
		return fail(ini, "name is too long");
	if (!keep(ini->value, sizeof(ini->value), value))
		return fail(ini, "value is too long");
	return INI_PAIR;
}

IniKind
ini_next(Ini *ini)
{
	while (ini->pos < ini->len)
	{
		Piece line = trim(next_line(ini));

		if (line.len > 0 && memchr(line.at, '\0', line.len) != NULL)
			return fail(ini, "expected text, found a NUL byte");
		if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';')
			continue;
		return line.at[0] == '[' ? take_section(ini, line)
								 : take_pair(ini, line);
	}
	return INI_END;
}
