/*
 * relay/connect.c
 *
 * libpq decides what is to be waited for; this file waits for it on the
 * loop, with a deadline over all.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "connect.h"

#include <stdio.h>

#include "conninfo.h"
#include "core/mem.h"

struct Connect
{
	Loop *loop;
	PGconn *conn;
	Watch *watch;
	Timer *step;     /* the first step, or the report of a failure */
	Timer *deadline; /* of the whole */
	ConnectCall call;
	void *arg;
	Loss loss;
};

/* What the conninfo may change stands before it, the rest after it. */
static PGconn *
start_params(const char *conninfo, bool replication)
{
	const char *const keywords[] = {"fallback_application_name",
									"keepalives",
									"keepalives_idle",
									"keepalives_interval",
									"keepalives_count",
									"tcp_user_timeout",
									"dbname",
									replication ? "replication" : NULL,
									NULL};
	const char *const values[] = {"outbox-relay",
								  "1",
								  "5",
								  "2",
								  "3",
								  "10000",
								  conninfo,
								  replication ? "database" : NULL,
								  NULL};

	return PQconnectStartParams(keywords, values, 1);
}

static void
drop_watch(Connect *connect)
{
	watch_free(connect->watch);
	connect->watch = NULL;
}

/* finish: hand over conn, or say why there is none. */
static void
finish(Connect *connect, PGconn *conn)
{
	/* a copy: the call may stop connect and then look at the loss */
	Loss loss = connect->loss;

	drop_watch(connect);
	timer_clear(connect->deadline);
	timer_clear(connect->step);
	if (conn == NULL)
		PQfinish(connect->conn);
	connect->conn = NULL;
	connect->call(connect->arg, conn, &loss);
	/* connect may be gone now */
}

static void connect_step(Connect *connect);

static void
socket_ready(void *arg, int fd, unsigned events)
{
	(void) fd;
	(void) events;
	connect_step(arg);
}

static void
connect_step(Connect *connect)
{
	PostgresPollingStatusType status;

	/* libpq may close this socket and open another one, for the next host */
	drop_watch(connect);
	status = PQconnectPoll(connect->conn);
	if (status == PGRES_POLLING_OK && PQsetnonblocking(connect->conn, 1) == 0)
		finish(connect, connect->conn);
	else if (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING)
		connect->watch =
			loop_watch(connect->loop, PQsocket(connect->conn),
					   status == PGRES_POLLING_READING ? LOOP_READ : LOOP_WRITE,
					   socket_ready, connect);
	else
	{
		loss_note_conn(&connect->loss, connect->conn);
		finish(connect, NULL);
	}
}

/* As libpq demands: the first wait is for writing. */
static void
first_step(void *arg)
{
	Connect *connect = arg;

	if (connect->loss.noted)
		finish(connect, NULL);
	else
		connect->watch = loop_watch(connect->loop, PQsocket(connect->conn),
									LOOP_WRITE, socket_ready, connect);
}

static void
deadline_passed(void *arg)
{
	Connect *connect = arg;
	char reason[64];

	snprintf(reason, sizeof(reason), "no connection within %d s",
			 CONNECT_TIMEOUT_MS / 1000);
	loss_note(&connect->loss, reason);
	finish(connect, NULL);
}

static void
begin(Connect *connect, const char *conninfo, bool replication)
{
	char wrong[256];

	/* libpq's own complaint could print a part of a password */
	if (!conninfo_check(conninfo, wrong, sizeof(wrong)))
	{
		loss_note(&connect->loss, wrong);
		return;
	}
	connect->conn = start_params(conninfo, replication);
	if (connect->conn == NULL)
		loss_note(&connect->loss, "out of memory");
	else if (PQstatus(connect->conn) == CONNECTION_BAD)
		loss_note_conn(&connect->loss, connect->conn);
}

Connect *
connect_start(Loop *loop, const char *conninfo, bool replication,
			  ConnectCall call, void *arg)
{
	Connect *connect = mem_alloc(sizeof(*connect));

	connect->loop = loop;
	connect->call = call;
	connect->arg = arg;
	connect->step = loop_timer(loop, first_step, connect);
	connect->deadline = loop_timer(loop, deadline_passed, connect);
	begin(connect, conninfo, replication);
	timer_set(connect->step, 0);
	timer_set(connect->deadline, CONNECT_TIMEOUT_MS);
	return connect;
}

void
connect_stop(Connect *connect)
{
	if (connect == NULL)
		return;
	drop_watch(connect);
	timer_free(connect->step);
	timer_free(connect->deadline);
	PQfinish(connect->conn);
	mem_free(connect);
}
