/*
 * test/fuzz/fuzz_options.c
 *
 * The input is cut at NUL bytes into names and values.  Nothing breaks the
 * parser of the plugin's options, a refusal has a reason and changes
 * nothing, and what is accepted is exactly what the document allows.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/options.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The oracle: prints the accepted value and compares. */
static bool
is_allowed(const Options *options, const char *name, const char *value)
{
	char text[16];

	if (strcmp(name, "proto_version") == 0)
		return strcmp(value, "1") == 0;
	if (strcmp(name, "format") == 0)
		return strcmp(value, options->text ? "text" : "binary") == 0;
	if (strcmp(name, "schema_oid") != 0 || options->schema_oid == 0)
		return false;
	while (value[0] == '0')
		value++;
	snprintf(text, sizeof(text), "%u", options->schema_oid);
	return strcmp(value, text) == 0;
}

static void
take(Options *options, const char *name, const char *value)
{
	Options before = *options;
	OptionsResult result = options_take(options, name, value);

	if (result == OPTIONS_OK)
	{
		if (!is_allowed(options, name, value) || options->given == before.given)
			abort();
		return;
	}
	if (options->error[0] == '\0' || options->given != before.given ||
		options->schema_oid != before.schema_oid ||
		options->text != before.text)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Options options;
	char *copy = malloc(size + 1);
	char *end = copy + size;
	char *name = copy;

	memcpy(copy, data, size);
	*end = '\0';
	options_init(&options);
	while (name < end)
	{
		char *value = name + strlen(name) + 1;

		take(&options, name, value < end ? value : NULL);
		name = value < end ? value + strlen(value) + 1 : end;
	}
	if (options_check(&options) == OPTIONS_OK && options.given == 0)
		abort();
	free(copy);
	return 0;
}
