/*
 * test/unit/test_settle.c
 *
 * Facts that find no memory when they are rendered are not left out of the
 * settle, which would lose messages: the process ends.  What is rendered is
 * tested with the server, test/t and test/pgtap.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "settle.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define PARKS 8192 /* more than 1 MB of JSON */

/* Where malloc has an end. */
extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=1"
		   ":detect_leaks=0";
}

static FactPark parks[PARKS];

/* settle: its exit status, 0 when all facts are in it. */
static int
settle(uint32_t count)
{
	static const StartRow start;
	Facts facts = {.parks = {parks, count, PARKS}};
	SettleValues values;
	int status;
	pid_t pid = fork();

	if (pid == 0)
	{
		settle_values(&values, &start, &facts);
		_exit(values.facts == NULL ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
main(void)
{
	is_int(settle(1), 0, "with memory a fact is rendered");
	is_int(settle(PARKS), 1, "without, the process ends to be started again");
	return tap_done();
}
