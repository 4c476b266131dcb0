/*
 * relay/session_reconcile.c
 *
 * The steps of reconcile that need the database: the readings of R, U and L,
 * the wait for old transactions, work from the table while there is no slot.
 * What follows from them is core/reconcile.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "killpoint.h"
#include "log.h"
#include "session_private.h"

#define WAIT_POLL_MS 100
#define TABLE_POLL_MS 1000

/* ---------- R, U and L ---------- */

static void
resolved_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result) ||
		session->engine.phase == ENGINE_TABLE || session->snapshot_done)
		return;
	for (int i = 0; i < PQntuples(result); i++)
		engine_resolved(&session->engine, rows_int(result, i, 0),
						rows_int(result, i, 1));
}

static void
unresolved_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	WireRun run;

	if (session_failed(session, result))
		return;
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!rows_run(result, i, &run))
		{
			session_shape(session, "outbox_unresolved");
			return;
		}
		engine_unresolved(&session->engine, &run);
	}
}

static void
horizon_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	uint64_t horizon;

	if (session_failed(session, result))
		return;
	if (!rows_lsn(result, 0, 0, &horizon))
	{
		session_shape(session, "pg_current_wal_insert_lsn");
		return;
	}
	kill_point("snapshot_read");
	session_clock(session);
	session->snapshot_out = false;
	engine_wal_end(&session->engine, horizon);
	engine_snapshot(&session->engine, horizon, session->gave_up);
	session->snapshot_done = session->engine.phase != ENGINE_TABLE;
	session_touch(session);
}

/* One snapshot for all three; L is read after it was taken. */
static void
read_snapshot(Session *session)
{
	session->snapshot_out = true;
	db_query(session->db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0,
			 NULL, DB_TEXT, NULL, NULL);
	db_query(session->db, "SELECT first, last FROM outbox_resolved()", 0, NULL,
			 DB_TEXT, resolved_read, session);
	db_query(session->db,
			 "SELECT generation, routes, first, last FROM"
			 " outbox_unresolved()",
			 0, NULL, DB_TEXT, unresolved_read, session);
	db_query(session->db, "SELECT pg_current_wal_insert_lsn()", 0, NULL,
			 DB_TEXT, horizon_read, session);
	db_query(session->db, "COMMIT", 0, NULL, DB_TEXT, NULL, NULL);
}

/* ---------- rule wait ---------- */

static void
xmin_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	int64_t waited;

	if (session_failed(session, result))
		return;
	session_clock(session);
	session->wait_out = false;
	waited = session->engine.now_ms - session->wait_since_ms;
	if (rows_int(result, 0, 0) >= session->wait_xmax)
	{
		session->waiting = false;
		session->gave_up = false;
		read_snapshot(session);
		return;
	}
	if (session->engine.hold && waited > session->config->reconcile_wait_ms)
	{
		log_warning("reconcile_wait",
					"a transaction has been open for longer "
					"than reconcile_wait: delivery goes on, and what commits "
					"late may come out of order");
		session->gave_up = true;
		read_snapshot(session);
		return;
	}
	timer_set(session->step_timer, WAIT_POLL_MS);
}

static void
xmax_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	session->wait_out = false;
	session->wait_xmax = rows_int(result, 0, 0);
	session->waiting = true;
	session->wait_since_ms = loop_now_ms(session->loop);
	session_reconcile(session);
}

static void
ask(Session *session, const char *sql, DbCall call)
{
	session->wait_out = true;
	db_query(session->db, sql, 0, NULL, DB_TEXT, call, session);
}

/*
 * In phase WAIT with the first reading done: note the next xid, then ask for
 * xmin until that has reached it.  After a hold that was given up, the same
 * once more when what was read then is settled.
 */
static void
wait_step(Session *session)
{
	if (session->wait_out || timer_is_set(session->step_timer))
		return;
	if (!session->waiting)
		/* not a snapshot's xmax: open transactions may have later ids */
		ask(session, "SELECT outbox_next_xid()::text", xmax_read);
	else if (session->engine.hold || engine_may_begin_stream(&session->engine))
		ask(session, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text",
			xmin_read);
}

/* Without a slot: the table again and again; then the stream. */
static void
table_step(Session *session)
{
	if (session->streaming || !engine_may_begin_stream(&session->engine))
		return;
	if (session->stream != NULL && !session->slot_missing)
	{
		if (!session->stream_paused)
		{
			/* once: stream_started comes next */
			session->stream_paused = true;
			stream_start(session->stream, session->start.schema_oid);
		}
		return;
	}
	if (session->stream == NULL && !timer_is_set(session->stream_timer))
		session_open_stream(session);
	if (timer_is_set(session->step_timer))
		return;
	read_snapshot(session);
	/* no stream, no bell */
	session->engine.routes_wanted = true;
	timer_set(session->step_timer, TABLE_POLL_MS);
}

/* With U read and no hold it delivers, whatever it waits for beside that. */
static void
tell_ready(Session *session)
{
	if (session->state != SESSION_RECONCILING || !session->snapshot_done ||
		session->engine.hold)
		return;
	session->state = SESSION_RUNNING;
	log_info("running", "delivering");
	sd_notify(0, "READY=1\nSTATUS=running");
}

static void
run_step(Session *session)
{
	if (session->reconciled || session->engine.phase != ENGINE_RUN)
		return;
	session->reconciled = true;
	log_info("reconciled", "%" PRIu64 " repeats skipped",
			 session->engine.repeats);
}

void
session_reconcile(Session *session)
{
	if (!session->engine_live || session->ended || session->snapshot_out)
		return;
	tell_ready(session);
	switch (session->engine.phase)
	{
		case ENGINE_TABLE:
			if (session->table_mode)
				table_step(session);
			break;
		case ENGINE_WAIT:
			if (!session->snapshot_done)
				read_snapshot(session);
			else
				wait_step(session);
			break;
		case ENGINE_PASS:
		case ENGINE_RUN:
			run_step(session);
			break;
	}
}
