/*
 * relay/conninfo.c
 *
 * libpq decides what it can read.  Its own complaint may quote a part of a
 * password that has a blank in it, so the keyword at fault is looked for here,
 * and not named where it may be such a part.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "conninfo.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"

#define WHITE " \t\n\r\f\v"

/* Part of a text that is no string of its own. */
typedef struct Word
{
	const char *at; /* NULL: there is none */
	size_t len;
} Word;

/* NULL when it cannot be read, which is not for want of memory. */
static PQconninfoOption *
parse(const char *conninfo)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);

	if (options == NULL &&
		(message == NULL || strncmp(message, "out of memory", 13) == 0))
		mem_exhausted();
	PQfreemem(message);
	return options;
}

static const PQconninfoOption *
find(const PQconninfoOption *options, Word word)
{
	while (options->keyword != NULL &&
		   (strlen(options->keyword) != word.len ||
			memcmp(options->keyword, word.at, word.len) != 0))
		options++;
	return options->keyword == NULL ? NULL : options;
}

/* As libpq marks those that a user should not see when typing. */
static bool
is_secret(const PQconninfoOption *option)
{
	return option != NULL && option->dispchar[0] == '*';
}

/* skip_value: from behind a keyword to behind its value. */
static const char *
skip_value(const char *at)
{
	bool quoted;

	at += strspn(at, WHITE);
	if (*at != '=')
		return at + strlen(at);
	at += 1 + strspn(at + 1, WHITE);
	quoted = *at == '\'';
	for (at += quoted; *at != '\0'; at++)
	{
		if (strchr(quoted ? "'" : WHITE, *at) != NULL)
			return at + quoted;
		if (*at == '\\' && at[1] != '\0')
			at++;
	}
	return at;
}

/* unknown_in_pairs: the first one, *before is the option that precedes it. */
static Word
unknown_in_pairs(const char *at, const PQconninfoOption *options,
				 const PQconninfoOption **before)
{
	for (*before = NULL; *(at += strspn(at, WHITE)) != '\0';)
	{
		Word word = {at, strcspn(at, "=" WHITE)};
		const PQconninfoOption *option = find(options, word);

		if (option == NULL)
			return word;
		*before = option;
		at = skip_value(at + word.len);
	}
	return (Word){NULL, 0};
}

/* unknown_in_uri: likewise; none where a password may have the "?" in it. */
static Word
unknown_in_uri(const char *uri, const PQconninfoOption *options,
			   const PQconninfoOption **before)
{
	const char *at = strchr(uri, '?');

	*before = NULL;
	if (at == NULL || strchr(at, '@') != NULL)
		return (Word){NULL, 0};
	while (*at != '\0')
	{
		Word word = {at + 1, strcspn(at + 1, "=&")};
		const PQconninfoOption *option = find(options, word);

		/* ssl is what JDBC calls sslmode; libpq takes it in a URI */
		if (option == NULL && (word.len != 3 || memcmp(word.at, "ssl", 3) != 0))
			return word;
		*before = option;
		at = word.at + strcspn(word.at, "&");
	}
	return (Word){NULL, 0};
}

static bool
is_uri(const char *conninfo)
{
	return strncmp(conninfo, "postgresql://", 13) == 0 ||
		   strncmp(conninfo, "postgres://", 11) == 0;
}

static void
explain(const char *conninfo, char *err, size_t err_size)
{
	PQconninfoOption *options = parse("");
	const PQconninfoOption *before = NULL;
	Word word = is_uri(conninfo) ? unknown_in_uri(conninfo, options, &before)
								 : unknown_in_pairs(conninfo, options, &before);

	if (word.at == NULL)
		snprintf(err, err_size,
				 "conninfo cannot be read, expected keyword = value pairs or "
				 "a postgresql:// URI");
	else if (is_secret(before))
		snprintf(err, err_size,
				 "conninfo has an unknown keyword after %s; a value with "
				 "blanks stands in single quotes",
				 before->keyword);
	else
		snprintf(err, err_size, "conninfo has an unknown keyword \"%.*s\"",
				 word.len < 64 ? (int) word.len : 64, word.at);
	PQconninfoFree(options);
}

bool
conninfo_check(const char *conninfo, char *err, size_t err_size)
{
	PQconninfoOption *options = parse(conninfo);

	if (options == NULL)
		explain(conninfo, err, err_size);
	PQconninfoFree(options);
	return options != NULL;
}
