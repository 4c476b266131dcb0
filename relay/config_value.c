/*
 * relay/config_value.c
 *
 * Reading and printing of one value.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "config_value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

typedef struct Unit
{
	const char *name;
	int64_t factor;
} Unit;

/* Largest first, which is how they are looked for when printing. */
static const Unit sizes[] = {{"GB", INT64_C(1) << 30},
							 {"MB", 1 << 20},
							 {"kB", 1 << 10},
							 {"B", 1},
							 {NULL, 0}};
static const Unit durations[] = {
	{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

static void *
field(const Setting *setting, const Config *config)
{
	return (char *) config + setting->offset;
}

static char **
text_field(const Setting *setting, const Config *config)
{
	return field(setting, config);
}

static const Unit *
units_of(ValueType type)
{
	return type == VALUE_SIZE ? sizes : durations;
}

/* parse_number: digits, then white space or none, then a unit. */
static bool
parse_number(const char *text, const Unit *units, int64_t *value)
{
	int64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
	{
		if (number > (INT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (*at - '0');
	}
	if (at == text)
		return false;
	while (*at == ' ')
		at++;
	for (; units->name != NULL; units++)
	{
		if (strcmp(at, units->name) == 0 && number <= INT64_MAX / units->factor)
		{
			*value = number * units->factor;
			return true;
		}
	}
	return false;
}

static void
print_number(FILE *out, int64_t value, const Unit *units)
{
	while (units->factor > 1 && (value == 0 || value % units->factor != 0))
		units++;
	fprintf(out, "%" PRId64 "%s", value / units->factor, units->name);
}

static bool
parse_measure(const Setting *setting, const char *text, Config *config)
{
	int64_t value;

	if (!parse_number(text, units_of(setting->type), &value) ||
		value < setting->min || value > setting->max)
		return false;
	*(int64_t *) field(setting, config) = value;
	return true;
}

static bool
parse_digits(const char *text, int most, int *value)
{
	int number = 0;

	if (*text == '\0' || strlen(text) > 5)
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (*text - '0');
	}
	*value = number;
	return number <= most;
}

static bool
is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = choices; len > 0 && at != NULL;)
	{
		const char *end = strchr(at, ' ');
		size_t word = end == NULL ? strlen(at) : (size_t) (end - at);

		if (word == len && memcmp(at, text, len) == 0)
			return true;
		at = end == NULL ? NULL : end + 1;
	}
	return false;
}

/* is_address: host:port, the host without a colon unless in brackets. */
static bool
is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	int port;

	if (*text == '\0')
		return true;
	if (colon == NULL || colon == text ||
		!parse_digits(colon + 1, 65535, &port))
		return false;
	if (*text == '[')
		return colon[-1] == ']' && colon - text > 2;
	return memchr(text, ':', (size_t) (colon - text)) == NULL;
}

static bool
is_text_valid(const Setting *setting, const char *text)
{
	size_t len = strlen(text);

	switch (setting->type)
	{
		case VALUE_CHOICE:
			return is_choice(setting->choices, text);
		case VALUE_SLOT:
			return len >= 1 && len <= 63 &&
				   strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
		case VALUE_ADDRESS:
			return len <= 255 && is_address(text);
		default:
			return len >= (size_t) setting->min && len <= (size_t) setting->max;
	}
}

static bool
parse_text(const Setting *setting, const char *text, Config *config)
{
	char **value = text_field(setting, config);

	if (!is_text_valid(setting, text))
		return false;
	mem_free(*value);
	*value = mem_copy(text, strlen(text) + 1);
	return true;
}

/* host_bits_clear: 10.0.0.1/8 is a mistake of the one who wrote it. */
static bool
host_bits_clear(const Network *network)
{
	int all = network->family == AF_INET ? 32 : 128;

	for (int bit = network->bits; bit < all; bit++)
	{
		if (network->address[bit / 8] & (0x80 >> bit % 8))
			return false;
	}
	return true;
}

/* parse_network: an address alone is a network of one. */
static bool
parse_network(char *text, Network *network)
{
	char *slash = strchr(text, '/');
	int all;

	if (slash != NULL)
		*slash = '\0';
	memset(network, 0, sizeof(*network));
	network->family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
	network->bits = all = network->family == AF_INET ? 32 : 128;
	return inet_pton(network->family, text, network->address) == 1 &&
		   (slash == NULL || parse_digits(slash + 1, all, &network->bits)) &&
		   host_bits_clear(network);
}

/* parse_list: number of networks in text, which is cut up; -1 on a bad one. */
static int
parse_list(char *text, Network *networks)
{
	int n = 0;

	if (text[strspn(text, " \t")] == '\0')
		return 0;
	while (text != NULL)
	{
		char *item = strsep(&text, ",");
		size_t len;

		item += strspn(item, " \t");
		len = strcspn(item, " \t");
		if (item[len + strspn(item + len, " \t")] != '\0')
			return -1;
		item[len] = '\0';
		if (n == VALUE_NETWORKS_MAX || !parse_network(item, &networks[n++]))
			return -1;
	}
	return n;
}

static bool
parse_networks(const char *text, Config *config)
{
	Network networks[VALUE_NETWORKS_MAX];
	char *copy = mem_copy(text, strlen(text) + 1);
	int n = parse_list(copy, networks);

	mem_free(copy);
	if (n < 0)
		return false;
	mem_free(config->allow_targets);
	config->allow_targets =
		n == 0 ? NULL : mem_copy(networks, (size_t) n * sizeof(Network));
	config->nallow_targets = n;
	return true;
}

static void
print_networks(const Config *config, FILE *out)
{
	for (int i = 0; i < config->nallow_targets; i++)
	{
		const Network *network = &config->allow_targets[i];
		char text[INET6_ADDRSTRLEN] = "";

		inet_ntop(network->family, network->address, text, sizeof(text));
		fprintf(out, "%s%s/%d", i == 0 ? "" : ", ", text, network->bits);
	}
}

static void
print_expected(const Setting *setting, char *expected, size_t size)
{
	FILE *out = fmemopen(expected, size, "w");

	if (out == NULL)
		return;
	switch (setting->type)
	{
		case VALUE_SIZE:
		case VALUE_DURATION:
			fprintf(out, "expected a %s from ",
					setting->type == VALUE_SIZE
						? "size in B, kB, MB or GB"
						: "duration in ms, s, min or h");
			print_number(out, setting->min, units_of(setting->type));
			fputs(" to ", out);
			print_number(out, setting->max, units_of(setting->type));
			break;
		case VALUE_CHOICE:
			fprintf(out, "expected one of: %s", setting->choices);
			break;
		case VALUE_SLOT:
			fputs("expected 1 to 63 of a-z, 0-9 and _", out);
			break;
		case VALUE_ADDRESS:
			fputs("expected host:port, or nothing", out);
			break;
		case VALUE_NETWORKS:
			fprintf(out,
					"expected at most %d networks such as 10.0.0.0/8 or "
					"addresses such as fd00::1, with commas between, host "
					"bits zero",
					VALUE_NETWORKS_MAX);
			break;
		case VALUE_TEXT:
			fprintf(out, "expected %" PRId64 " to %" PRId64 " bytes of text",
					setting->min, setting->max);
			break;
	}
	fclose(out);
}

bool
value_parse(const Setting *setting, const char *text, Config *config,
			char *expected, size_t size)
{
	bool parsed;

	if (setting->type == VALUE_NETWORKS)
		parsed = parse_networks(text, config);
	else if (setting->type == VALUE_SIZE || setting->type == VALUE_DURATION)
		parsed = parse_measure(setting, text, config);
	else
		parsed = parse_text(setting, text, config);
	if (!parsed)
		print_expected(setting, expected, size);
	return parsed;
}

void
value_print(const Setting *setting, const Config *config, FILE *out)
{
	if (setting->type == VALUE_NETWORKS)
		print_networks(config, out);
	else if (setting->type == VALUE_SIZE || setting->type == VALUE_DURATION)
		print_number(out, *(int64_t *) field(setting, config),
					 units_of(setting->type));
	else if (*text_field(setting, config) != NULL)
		fputs(*text_field(setting, config), out);
}

static bool
same_networks(const Config *a, const Config *b)
{
	return a->nallow_targets == b->nallow_targets &&
		   (a->nallow_targets == 0 ||
			memcmp(a->allow_targets, b->allow_targets,
				   (size_t) a->nallow_targets * sizeof(Network)) == 0);
}

bool
value_equal(const Setting *setting, const Config *a, const Config *b)
{
	const char *text_a;
	const char *text_b;

	if (setting->type == VALUE_NETWORKS)
		return same_networks(a, b);
	if (setting->type == VALUE_SIZE || setting->type == VALUE_DURATION)
		return *(int64_t *) field(setting, a) == *(int64_t *) field(setting, b);
	text_a = *text_field(setting, a);
	text_b = *text_field(setting, b);
	if (text_a == NULL || text_b == NULL)
		return text_a == text_b;
	return strcmp(text_a, text_b) == 0;
}

void
value_free(const Setting *setting, Config *config)
{
	if (setting->type == VALUE_NETWORKS)
		mem_free(config->allow_targets);
	else if (setting->type != VALUE_SIZE && setting->type != VALUE_DURATION)
		mem_free(*text_field(setting, config));
}

const char *
value_type_name(const Setting *setting)
{
	static const char *const names[] = {
		[VALUE_TEXT] = "text",         [VALUE_CHOICE] = "choice",
		[VALUE_SLOT] = "slot name",    [VALUE_ADDRESS] = "host:port",
		[VALUE_SIZE] = "size",         [VALUE_DURATION] = "duration",
		[VALUE_NETWORKS] = "networks",
	};

	return names[setting->type];
}
