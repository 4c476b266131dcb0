/*
 * test/fuzz/fuzz_ini.c
 *
 * No text breaks the splitter of configuration files, and what it reads
 * prints back as the same sections and pairs.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/ini.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Ini ini;

/* All of it, each on a line; an error ends it. */
static char *
printed(const uint8_t *data, size_t size, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	int last = 0;

	/* a byte order mark counts at the beginning only */
	fputs("\n", out);
	ini_init(&ini, (const char *) data, size);
	for (;;)
	{
		IniKind kind = ini_next(&ini);

		if (kind == INI_END || kind == INI_ERROR)
			break;
		if (ini.line <= last)
			abort();
		last = ini.line;
		if (kind == INI_SECTION)
			fprintf(out, "[%s]\n", ini.name);
		else
			fprintf(out, "%s=%s\n", ini.name, ini.value);
	}
	if (ini_next(&ini) != INI_END)
		abort();
	fclose(out);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len, len_again;
	char *text = printed(data, size, &len);
	char *text_again = printed((const uint8_t *) text, len, &len_again);

	if (len != len_again || memcmp(text, text_again, len) != 0)
		abort();
	free(text);
	free(text_again);
	return 0;
}
