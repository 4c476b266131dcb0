/*
 * test/unit/test_mem.c
 *
 * Memory, and the end of the process when there is none.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/mem.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* More than any process has: with a sanitizer too this is not there. */
#define TOO_MUCH (SIZE_MAX / 4)

extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
test_sizes(void)
{
	char *bytes = mem_alloc(0);

	ok(bytes != NULL, "no bytes have an address");
	bytes = mem_realloc(bytes, 0);
	ok(bytes != NULL, "still");
	bytes = mem_realloc(bytes, 10);
	memset(bytes, 'x', 10);
	mem_free(bytes);
	bytes = mem_copy("ab", 2);
	is_mem(bytes, 2, "ab", 2, "a copy");
	mem_free(bytes);
	bytes = mem_copy(NULL, 0);
	ok(bytes != NULL, "a copy of nothing");
	mem_free(bytes);
	mem_free(NULL);
}

static void
test_array(void)
{
	struct
	{
		int *items;
		uint32_t count;
		uint32_t room;
	} array = {0};

	for (int i = 0; i < 100; i++)
		*ARRAY_PUSH(&array) = i;
	is_int(array.items[99], 99, "an array grows");
	ARRAY_RESET(&array);
	ok(array.items == NULL && array.count == 0, "and ends");
}

static void
test_none(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
	{
		mem_free(mem_alloc(TOO_MUCH));
		_exit(9);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status), "without memory the process ends by itself");
	is_int(WEXITSTATUS(status), 1, "so that it is started again");
}

int
main(void)
{
	test_sizes();
	test_array();
	test_none();
	return tap_done();
}
