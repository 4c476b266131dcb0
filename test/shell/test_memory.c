/*
 * test/shell/test_memory.c
 *
 * relay/db.c where libpq finds no memory: for each allocation that three
 * queries take, one after the other.  Their answers are the right ones, or
 * the connection is reported lost, or the process ends to be started again.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "../preload/fail_alloc.h"

#include <sys/wait.h>
#include <unistd.h>

#include "db.h"
#include "db_bench.h"

#define ALLOCATIONS_MAX 1000

/* How a child ended; 1 is the relay's own exit without memory. */
enum
{
	ANSWERED = 10,
	LOST,
	HANGS,
	WRONG,
	NOT_REACHED
};

/* The third one is prepared already when it comes. */
static const char *const queries[] = {"SELECT 1", "SELECT 2", "SELECT 1"};
static int answers;
static int ended; /* answered or lost */
static bool wrong;

static void
on_connected(void *arg)
{
	(void) arg;
	connected++;
}

static void
on_end(void *arg, const Loss *why)
{
	on_lost(arg, why);
	ended++;
}

static void
on_answer(void *arg, const PGresult *result)
{
	const char *const *sql = arg;

	/* an error is an answer too: the session decides what it means */
	if (sql != &queries[answers++] ||
		(PQresultStatus(result) == PGRES_TUPLES_OK &&
		 strcmp(PQgetvalue(result, 0, 0), *sql + strlen("SELECT ")) != 0))
		wrong = true;
	if (answers == 3)
		ended++;
}

static int
run_child(long number)
{
	DbCaller caller = {NULL, on_connected, on_end};
	Db *db;

	bench_open(conninfo);
	db = db_open(loop, conninfo, caller);
	if (!wait_for(&connected, 1))
		return HANGS;
	fail_alloc(number, false);
	for (int i = 0; i < 3; i++)
		db_query(db, queries[i], 0, NULL, DB_TEXT, on_answer,
				 (void *) &queries[i]);
	if (!wait_for(&ended, 1))
		return HANGS;
	if (!fail_alloc_came())
		return NOT_REACHED;
	return wrong ? WRONG : lost ? LOST : ANSWERED;
}

static int
end_of_child(long number)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_child(number));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
main(int argc, char **argv)
{
	int ends[NOT_REACHED + 1] = {0};
	int end = ANSWERED;

	(void) argc;
	conninfo = argv[1];
	for (long number = 1; end != NOT_REACHED && number < ALLOCATIONS_MAX;
		 number++)
	{
		end = end_of_child(number);
		if (!ok(end == 1 || end == ANSWERED || end == LOST ||
					end == NOT_REACHED,
				"allocation %ld finds no memory", number))
			diag(end == HANGS   ? "it hangs"
				 : end == WRONG ? "an answer of another query"
								: "it crashed");
		if (end >= 0 && end <= NOT_REACHED)
			ends[end]++;
	}
	is_int(ends[NOT_REACHED], 1, "no more of them");
	ok(ends[1] > 0 && ends[LOST] > 0, "%d exits, %d losses, %d answers",
	   ends[1], ends[LOST], ends[ANSWERED]);
	return tap_done();
}
