/*
 * test/fuzz/fuzz_config.c
 *
 * No configuration file crashes its reader, and what it accepts prints back
 * the same.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Irelay
 *		test/fuzz/fuzz_config.c relay/config.c relay/config_table.c relay/config_value.c
 *		relay/core/ini.c relay/core/mem.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
printed(const Config *config, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	config_print(config, out);
	fclose(out);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[512] = "";
	char names[512];
	size_t len = 0;
	size_t len_again = 0;
	char *text;
	char *text_again;
	Config *config = config_parse("f", (const char *) data, size, err, 512);
	Config *again;

	if (config == NULL)
	{
		if (strncmp(err, "f:", 2) != 0)
			abort();
		return 0;
	}
	text = printed(config, &len);
	again = config_parse("f", text, len, err, sizeof(err));
	if (again == NULL)
		abort();
	text_again = printed(again, &len_again);
	config_reload_diff(config, again, names, sizeof(names));
	if (len != len_again || memcmp(text, text_again, len) != 0 ||
		names[0] != '\0')
		abort();
	free(text);
	free(text_again);
	config_free(config);
	config_free(again);
	return 0;
}
