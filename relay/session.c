/*
 * relay/session.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "session_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "core/mem.h"
#include "killpoint.h"
#include "log.h"

#define LEASE_RETRY_MS 1000
#define ARMED_RETRY_MS 5000
#define DRAIN_LIMIT_MS 20000

const char *
session_state_name(SessionState state)
{
	static const char *const names[] = {
		[SESSION_CONNECTING] = "connecting",
		[SESSION_CHECKING] = "checking",
		[SESSION_STANDBY] = "standby",
		[SESSION_STARTING] = "starting",
		[SESSION_DISARMED] = "disarmed",
		[SESSION_RECONCILING] = "reconciling",
		[SESSION_RUNNING] = "running",
		[SESSION_DRAINING] = "draining",
	};

	return names[state];
}

void
session_clock(Session *session)
{
	engine_clock(&session->engine, loop_now_ms(session->loop),
				 loop_wall_us(session->loop));
}

/* ---------- the end ---------- */

void
session_end(Session *session, SessionEnd end, const char *format, ...)
{
	va_list args;

	if (session->ended)
		return;
	session->ended = true;
	session->end = end;
	va_start(args, format);
	vsnprintf(session->reason, sizeof(session->reason), format, args);
	va_end(args);
	/* nothing goes out any more, and nothing is said about it */
	session->engine.hold = true;
	timer_set(session->turn_timer, 0);
}

#define LACKS_RIGHT "42501"

/* SQLSTATEs with which only a person can help. */
static bool
is_fatal(const char *sqlstate)
{
	static const char *const fatal[] = {
		"3D000",              /* no such database */
		LACKS_RIGHT, "42883", /* a function of the extension is missing */
	};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (strcmp(sqlstate, fatal[i]) == 0)
			return true;
	return false;
}

bool
session_failed(Session *session, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return session->ended;
	if (sqlstate != NULL && strcmp(sqlstate, LACKS_RIGHT) == 0)
		session_end(session, SESSION_FATAL,
					"%s; run SELECT outbox_grant('ROLE'"
					", 'relay') with the role of [database] conninfo",
					message != NULL ? message : "a right is missing");
	else
		session_end(session,
					sqlstate != NULL && is_fatal(sqlstate) ? SESSION_FATAL
														   : SESSION_LOST,
					"%s (SQLSTATE %s)",
					message != NULL ? message : "the query failed",
					sqlstate != NULL ? sqlstate : "unknown");
	return true;
}

void
session_shape(Session *session, const char *function)
{
	session_end(session, SESSION_FATAL,
				"%s() does not answer as this relay expects; install the "
				"relay and the extension of the same version",
				function);
}

static void
db_lost(void *arg, const Loss *loss)
{
	Session *session = arg;

	session_end(session,
				is_fatal(loss->sqlstate) ? SESSION_FATAL
				: loss->admin_shutdown   ? SESSION_TERMINATED
										 : SESSION_LOST,
				"database connection: %s", loss->reason);
	if (loss->admin_shutdown)
	{
		/* a fast shutdown waits for a flush that we may not report */
		stream_close(session->stream);
		session->stream = NULL;
	}
}

/* ---------- the way to the start ---------- */

static void
db_connected(void *arg)
{
	Session *session = arg;

	session->state = SESSION_CHECKING;
	session_check(session);
}

static void
started(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	if (!rows_start(result, &session->start))
	{
		session_shape(session, "outbox_start");
		return;
	}
	kill_point("started");
	if (session->start.armed)
	{
		session_begin(session);
		return;
	}
	if (session->state != SESSION_DISARMED)
	{
		log_warning("disarmed",
					"this database is a copy of the one that "
					"enqueued: nothing is delivered until outbox_arm() is "
					"called here");
		sd_notify(0, "STATUS=waiting for outbox_arm()");
	}
	session->state = SESSION_DISARMED;
	timer_set(session->step_timer, ARMED_RETRY_MS);
}

static void
start(Session *session)
{
	const char *values[] = {session->config->name, session->config->slot};

	db_query(session->db,
			 "SELECT run, armed, position, system_identifier,"
			 " timeline, schema_oid FROM outbox_start($1, $2)",
			 2, values, DB_TEXT, started, session);
}

static void
took_over(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	if (PQgetvalue(result, 0, 0)[0] == 't')
		log_warning("takeover",
					"the relay that held the lease had not been "
					"heard of for too long: its sessions were ended");
	timer_set(session->step_timer, LEASE_RETRY_MS);
}

void
session_take_over(Session *session, DbCall then)
{
	char timeout[24];
	const char *values[] = {session->config->slot, timeout};

	snprintf(timeout, sizeof(timeout), "%" PRId64,
			 session->config->lease_timeout_ms);
	db_query(session->db, "SELECT outbox_takeover($1, $2)", 2, values, DB_TEXT,
			 then, session);
}

static void
leased(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	if (PQgetvalue(result, 0, 0)[0] == 't')
	{
		session->state = SESSION_STARTING;
		start(session);
		return;
	}
	if (session->state != SESSION_STANDBY)
	{
		log_info("standby", "another relay holds the lease of this database");
		sd_notify(0, "STATUS=standing by, another relay holds the lease");
	}
	session->state = SESSION_STANDBY;
	session_take_over(session, took_over);
}

void
session_lease(Session *session)
{
	const char *values[] = {session->config->name};

	db_query(session->db, "SELECT outbox_lease($1)", 1, values, DB_TEXT, leased,
			 session);
}

static void
next_step(void *arg)
{
	Session *session = arg;

	if (session->ended)
		return;
	session_clock(session);
	switch (session->state)
	{
		case SESSION_STANDBY:
			session_lease(session);
			break;
		case SESSION_DISARMED:
			start(session);
			break;
		default:
			session_reconcile(session);
	}
}

/* ---------- the turn ---------- */

static void
pause_or_resume(Session *session)
{
	bool pause = !session->snapshot_done || session->engine.draining ||
				 engine_wants_pause(&session->engine);

	if (session->stream == NULL || !session->streaming ||
		pause == session->stream_paused)
		return;
	session->stream_paused = pause;
	if (pause)
		stream_pause(session->stream);
	else
		stream_resume(session->stream);
}

static void
set_turn_timer(Session *session)
{
	int64_t next = engine_next_ms(&session->engine);
	int64_t now = loop_now_ms(session->loop);

	if (session->ended)
		return; /* it is set, for the end */
	if (next == INT64_MAX)
		timer_clear(session->turn_timer);
	else
		timer_set(session->turn_timer, next > now ? next - now : 0);
}

void
session_turn(Session *session)
{
	if (session->ended)
	{
		session->caller.ended(session->caller.arg, session->end,
							  session->reason);
		return;
	}
	if (!session->engine_live)
		return;
	session_clock(session);
	outlets_turn(&session->outlets);
	engine_run(&session->engine);
	session_reconcile(session);
	pause_or_resume(session);
	set_turn_timer(session);
}

static void
turn_timer(void *arg)
{
	(void) arg; /* the turn itself is what was wanted */
}

/* ---------- drain ---------- */

/* Outside RUN nothing is confirmed, and what was settled is a repeat later. */
static bool
is_confirmed(const Session *session)
{
	return session->stream == NULL || session->engine.phase != ENGINE_RUN ||
		   stream_confirmed(session->stream) >=
			   session->engine.settled_position;
}

static void
drained(void *arg)
{
	Session *session = arg;

	if (session->ended)
		return;
	if (engine_idle(&session->engine) && is_confirmed(session))
		session_end(session, SESSION_DRAINED, "drained");
	else if (loop_now_ms(session->loop) - session->wait_since_ms >
			 DRAIN_LIMIT_MS)
		session_end(session, SESSION_DRAINED,
					"not all deliveries under way "
					"were answered within %d s; they will be sent again",
					DRAIN_LIMIT_MS / 1000);
	else
		/* a feedback is sent at most so often */
		timer_set(session->drain_timer, STREAM_CONFIRM_MS);
}

void
session_drain(Session *session)
{
	if (!session->engine_live || session->engine.hold)
	{
		session_end(session, SESSION_DRAINED, "nothing was under way");
		return;
	}
	session->state = SESSION_DRAINING;
	session->wait_since_ms = loop_now_ms(session->loop);
	engine_drain(&session->engine);
	engine_heartbeat(&session->engine);
	timer_set(session->drain_timer, STREAM_CONFIRM_MS);
}

/* ---------- open and close ---------- */

Session *
session_open(Loop *loop, const Config *config, SessionCaller caller)
{
	Session *session = mem_alloc(sizeof(*session));

	session->loop = loop;
	session->config = config;
	session->caller = caller;
	session->retained_bytes = -1;
	session->outlets = (Outlets){loop, config, &session->engine, NULL};
	session->step_timer = loop_timer(loop, next_step, session);
	session->turn_timer = loop_timer(loop, turn_timer, session);
	session->beat_timer = loop_timer(loop, session_beat, session);
	session->drain_timer = loop_timer(loop, drained, session);
	session->stream_timer = loop_timer(loop, next_step, session);
	timer_set(session->beat_timer, SESSION_BEAT_MS);
	session->db = db_open(loop, config->conninfo,
						  (DbCaller){session, db_connected, db_lost});
	return session;
}

void
session_close(Session *session)
{
	/* deliveries first: none may go out without the lease */
	outlets_close(&session->outlets);
	stream_close(session->stream);
	db_close(session->db);
	session_drop_questions(session);
	/* routes are read before it is live */
	engine_reset(&session->engine);
	timer_free(session->step_timer);
	timer_free(session->turn_timer);
	timer_free(session->beat_timer);
	timer_free(session->drain_timer);
	timer_free(session->stream_timer);
	timer_free(session->routes_timer);
	mem_free(session);
}

void
session_set_budget(Session *session, int64_t bytes)
{
	session->engine.budget = bytes;
}

int64_t
session_silent_ms(const Session *session)
{
	int64_t db = session->db == NULL ? 0 : db_silent_ms(session->db);
	int64_t stream =
		session->stream == NULL ? 0 : stream_silent_ms(session->stream);

	return db > stream ? db : stream;
}

bool
session_delivers(const SessionStatus *status)
{
	return (status->state == SESSION_RUNNING || status->table_mode) &&
		   status->silent_ms < SESSION_SILENT_MS;
}

void
session_status(const Session *session, SessionStatus *status)
{
	uint64_t wal_end = session->engine.wal_end;

	*status = (SessionStatus){
		.state = session->state,
		.run = session->start.run,
		.server_end =
			wal_end > session->server_end ? wal_end : session->server_end,
		.confirmed = session->engine.settled_position,
		.settled_ms = session->settled_ms,
		.retained_bytes = session->retained_bytes,
		.settles = session->settles,
		.silent_ms = session_silent_ms(session),
		.table_mode = session->engine_live && session->table_mode,
		.engine = session->engine_live ? &session->engine : NULL,
	};
}
