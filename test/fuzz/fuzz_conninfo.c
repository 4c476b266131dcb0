/*
 * test/fuzz/fuzz_conninfo.c
 *
 * Behind a password comes anything: whatever is wrong with a connection
 * string, the sentence that says so does not have the password in it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "conninfo.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "Canary7f3a"

static void
check(const char *before, const char *after)
{
	char err[512] = "";
	size_t size = strlen(before) + strlen(after) + 1;
	char *conninfo = malloc(size);

	snprintf(conninfo, size, "%s%s", before, after);
	if (!conninfo_check(conninfo, err, sizeof(err)) &&
		(err[0] == '\0' || strstr(err, SECRET) != NULL))
		abort();
	free(conninfo);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	/* one that is told of course is not ours to hide */
	if (strstr(text, SECRET) == NULL)
	{
		check("password='" SECRET "' ", text);
		check("password=" SECRET, text);
		check("password=x " SECRET, text);
		check("postgresql://user:" SECRET "@host/", text);
	}
	free(text);
	return 0;
}
