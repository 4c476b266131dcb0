/*
 * decoder/options.c
 *
 * The options of START_REPLICATION: one row each in the table below.  What
 * is not understood to the last byte is refused.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "wire.h"

/* So many bytes of a foreign text are repeated in an error message. */
#define SHOWN_MAX 64

typedef struct Option
{
	const char *name;
	OptionsResult (*take)(Options *options, const char *value);
} Option;

/* Half a character of UTF-8 in a message would be an error at the client. */
static int
shown(const char *text)
{
	size_t len = strlen(text);

	if (len <= SHOWN_MAX)
		return (int) len;
	len = SHOWN_MAX;
	while (len > 0 && ((unsigned char) text[len] & 0xc0) == 0x80)
		len--;
	return (int) len;
}

static OptionsResult
take_version(Options *options, const char *value)
{
	char ours[16];

	snprintf(ours, sizeof(ours), "%d", WIRE_VERSION);
	if (strcmp(value, ours) == 0)
		return OPTIONS_OK;
	snprintf(options->error, sizeof(options->error),
			 "client speaks outbox protocol version \"%.*s\", this server "
			 "speaks version %s",
			 shown(value), value, ours);
	return OPTIONS_VERSION;
}

static bool
parse_oid(const char *value, uint32_t *oid)
{
	uint64_t result = 0;
	size_t len = strlen(value);

	if (len < 1 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (value[i] < '0' || value[i] > '9')
			return false;
		result = result * 10 + (uint64_t) (value[i] - '0');
	}
	*oid = (uint32_t) result;
	return result > 0 && result <= UINT32_MAX;
}

static OptionsResult
take_schema_oid(Options *options, const char *value)
{
	uint32_t oid;

	if (parse_oid(value, &oid))
	{
		options->schema_oid = oid;
		return OPTIONS_OK;
	}
	snprintf(options->error, sizeof(options->error),
			 "invalid value for option \"schema_oid\": \"%.*s\"", shown(value),
			 value);
	return OPTIONS_INVALID;
}

static OptionsResult
take_format(Options *options, const char *value)
{
	if (strcmp(value, "binary") == 0 || strcmp(value, "text") == 0)
	{
		options->text = value[0] == 't';
		return OPTIONS_OK;
	}
	snprintf(options->error, sizeof(options->error),
			 "invalid value for option \"format\": \"%.*s\"", shown(value),
			 value);
	return OPTIONS_INVALID;
}

static const Option table[] = {
	{"proto_version", take_version},
	{"schema_oid", take_schema_oid},
	{"format", take_format},
};

#define NOPTIONS (sizeof(table) / sizeof(table[0]))
#define PROTO_VERSION_GIVEN 1U

void
options_init(Options *options)
{
	memset(options, 0, sizeof(*options));
}

/* Null is refused here once, so that no option can be set without a value. */
static OptionsResult
take_known(Options *options, size_t index, const char *value)
{
	const Option *option = &table[index];
	OptionsResult result;

	if (options->given & (1U << index))
	{
		snprintf(options->error, sizeof(options->error),
				 "option \"%s\" is given more than once", option->name);
		return OPTIONS_REPEATED;
	}
	if (value == NULL)
	{
		snprintf(options->error, sizeof(options->error),
				 "option \"%s\" needs a value", option->name);
		return OPTIONS_INVALID;
	}
	result = option->take(options, value);
	if (result == OPTIONS_OK)
		options->given |= 1U << index;
	return result;
}

OptionsResult
options_take(Options *options, const char *name, const char *value)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strcmp(name, table[i].name) == 0)
			return take_known(options, i, value);
	snprintf(options->error, sizeof(options->error),
			 "unrecognized option \"%.*s\"", shown(name), name);
	return OPTIONS_UNKNOWN;
}

OptionsResult
options_check(Options *options)
{
	if (options->text || (options->given & PROTO_VERSION_GIVEN))
		return OPTIONS_OK;
	snprintf(options->error, sizeof(options->error),
			 "client did not say its outbox protocol version, this server "
			 "speaks version %d",
			 WIRE_VERSION);
	return OPTIONS_VERSION;
}
