/*
 * test/shell/db_bench.h
 *
 * What test_db.c and test_stream.c share: the loop turned until something
 * has happened, and a connection of the test's own.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DB_BENCH_H
#define OUTBOX_DB_BENCH_H

#include <libpq-fe.h>
#include <stdlib.h>

#include "../unit/tap.h"
#include "log.h"
#include "loop.h"
#include "loss.h"

#define DEADLINE_MS 20000

static Loop *loop;
static const char *conninfo;
static PGconn *admin; /* blocking, for what the test itself does */

/* What the callbacks of any connection saw. */
static int connected;
static int lost;
static Loss loss;

static bool deadline_passed;

static void
deadline_call(void *arg)
{
	(void) arg;
	deadline_passed = true;
}

static void
poll_call(void *arg)
{
	(void) arg;
	loop_stop(loop, 0);
}

/* wait_some: turns of the loop until *what >= wanted. */
static bool
wait_some(const int *what, int wanted, int64_t ms)
{
	Timer *deadline = loop_timer(loop, deadline_call, NULL);
	Timer *turn = loop_timer(loop, poll_call, NULL);

	deadline_passed = false;
	timer_set(deadline, ms);
	while (*what < wanted && !deadline_passed)
	{
		timer_set(turn, 1);
		loop_run(loop);
	}
	timer_free(turn);
	timer_free(deadline);
	return *what >= wanted;
}

static bool
wait_for(const int *what, int wanted)
{
	return wait_some(what, wanted, DEADLINE_MS);
}

/* admin_value: first column of the first row, "" when there is none. */
static const char *
admin_value(const char *sql)
{
	static char value[256];
	PGresult *result = PQexec(admin, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK &&
		PQresultStatus(result) != PGRES_COMMAND_OK)
		diag("%s: %s", sql, PQerrorMessage(admin));
	snprintf(value, sizeof(value), "%s",
			 PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	return value;
}

/* wait_value: until sql gives expected, turning the loop meanwhile. */
static TAP_UNUSED bool
wait_value(const char *sql, const char *expected)
{
	int never = 0;

	for (int i = 0; i < 400; i++)
	{
		if (strcmp(admin_value(sql), expected) == 0)
			return true;
		wait_some(&never, 1, 20);
	}
	diag("%s is %s, expected %s", sql, admin_value(sql), expected);
	return false;
}

static void
on_lost(void *arg, const Loss *why)
{
	(void) arg;
	lost++;
	loss = *why;
}

static TAP_UNUSED void
terminate(int pid)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", pid);
	admin_value(sql);
}

static void
bench_open(const char *to)
{
	conninfo = to;
	log_configure("error", "text");
	loop = loop_new();
	admin = PQconnectdb(conninfo);
	if (PQstatus(admin) != CONNECTION_OK)
	{
		diag("%s", PQerrorMessage(admin));
		exit(2);
	}
}

#endif /* OUTBOX_DB_BENCH_H */
