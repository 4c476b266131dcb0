/*
 * relay/session_begin.c
 *
 * From the raised epoch to a stream that begins: the routes and rows of the
 * start, the slot, the replication connection.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "core/mem.h"
#include "core/replication.h"
#include "killpoint.h"
#include "log.h"
#include "session_private.h"

#define STREAM_RETRY_MS 1000

/* SQLSTATEs of the replication commands */
#define SLOT_IN_USE "55006"
#define SLOT_EXISTS "42710"
#define PLUGIN_REFUSED "42501"

/* More than a route may have parked, so that none is left out. */
#define WAITING_MOST "50000"

/* ---------- slot and stream ---------- */

static void
confirmed_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	uint64_t confirmed;

	if (session_failed(session, result))
		return;
	if (PQntuples(result) != 1 || !rows_lsn(result, 0, 0, &confirmed))
	{
		session_end(session, SESSION_LOST,
					"slot \"%s\" vanished while the "
					"stream began",
					session->config->slot);
		return;
	}
	session->gap =
		session->start.position == 0 || confirmed > session->start.position;
	if (session->gap)
	{
		log_info("reconcile_hold",
				 "the stream begins past what is known to "
				 "be settled: what it lacks is read from the table first");
		/* it may lack the bell of a route as well */
		session->engine.routes_wanted = true;
	}
	session->snapshot_done = false;
	session->state = SESSION_RECONCILING;
	timer_clear(session->step_timer);
	engine_begin_stream(&session->engine, confirmed, session->gap);
	session_reconcile(session);
}

static void
stream_started(void *arg)
{
	Session *session = arg;
	const char *values[] = {session->config->slot};

	if (session->ended)
		return;
	kill_point("stream_started");
	session_clock(session);
	session->streaming = true;
	session->table_mode = false;
	/* not one frame before R is known */
	session->stream_paused = true;
	stream_pause(session->stream);
	db_query(session->db,
			 "SELECT confirmed_flush_lsn FROM"
			 " pg_replication_slots WHERE slot_name = $1",
			 1, values, DB_TEXT, confirmed_read, session);
}

static void
slot_made(void *arg, uint64_t consistent_point)
{
	Session *session = arg;

	if (session->ended)
		return;
	kill_point("slot_made");
	log_info("slot_made", "replication slot \"%s\" begins at %X/%X",
			 session->config->slot, (unsigned) (consistent_point >> 32),
			 (unsigned) consistent_point);
	session->slot_missing = false;
}

static void
stream_connected(void *arg)
{
	Session *session = arg;

	if (session->ended)
		return;
	if (session->slot_missing)
		stream_create_slot(session->stream);
	else
		stream_start(session->stream, session->start.schema_oid);
}

static void
stream_frame(void *arg, const uint8_t *data, size_t len, uint64_t wal_start,
			 uint64_t server_end)
{
	Session *session = arg;
	const char *error;
	uint8_t bells;

	(void) wal_start;
	if (session->ended)
		return;
	kill_point("frame_read");
	session_clock(session);
	if (server_end > session->server_end)
		session->server_end = server_end;
	if (!engine_frame(&session->engine, data, len, &bells, &error))
	{
		session_end(session, SESSION_LOST,
					"a frame of %zu bytes cannot be "
					"read: %s",
					len, error);
		return;
	}
	if (bells & WIRE_BELL_ROUTE)
		session->engine.routes_wanted = true;
	if (engine_wants_pause(&session->engine) && !session->stream_paused)
	{
		session->stream_paused = true;
		stream_pause(session->stream);
	}
}

static void
stream_keepalive(void *arg, uint64_t server_end)
{
	Session *session = arg;

	if (session->ended)
		return;
	session_clock(session);
	if (server_end > session->server_end)
		session->server_end = server_end;
	engine_passed(&session->engine, server_end);
}

static void
walsender_ended(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result))
		session_end(session, SESSION_LOST,
					"replication slot \"%s\" is in "
					"use by another walsender",
					session->config->slot);
}

/* Once a fault, however often it is tried. */
static void
note_slot_fault(Session *session, const char *reason)
{
	if (strcmp(session->slot_fault, reason) == 0)
		return;
	snprintf(session->slot_fault, sizeof(session->slot_fault), "%s", reason);
	log_warning("slot_not_made",
				"replication slot \"%s\" could not be made: "
				"%s; delivering from the table meanwhile, and trying again",
				session->config->slot, reason);
}

/*
 * While there is no slot the relay works from the table, so the stream may be
 * tried again by itself.  Later the stream is as good as the lease.
 */
static void
stream_lost(void *arg, const Loss *loss)
{
	Session *session = arg;

	if (strcmp(loss->sqlstate, SLOT_IN_USE) == 0 && !session->ended)
	{
		/*
		 * We have the lease, so whoever streams from the slot is a relay
		 * that is gone: its walsender may sit on a full socket for long.
		 */
		session_take_over(session, walsender_ended);
		return;
	}
	if (strcmp(loss->sqlstate, PLUGIN_REFUSED) == 0)
	{
		/* that the role may replicate was seen by session_check */
		session_end(session, SESSION_FATAL,
					"the server refuses replication slot \"%s\"; see "
					"output_plugin_libraries in doc/operating.md: %s",
					session->config->slot, loss->reason);
		return;
	}
	/* made by a connection whose answer was lost, or by somebody else */
	if (!session->slot_missing || session->streaming || loss->admin_shutdown ||
		strcmp(loss->sqlstate, SLOT_EXISTS) == 0)
	{
		session_end(session, SESSION_LOST, "replication connection: %s",
					loss->reason);
		return;
	}
	note_slot_fault(session, loss->reason);
	stream_close(session->stream);
	session->stream = NULL;
	timer_set(session->stream_timer, STREAM_RETRY_MS);
}

void
session_open_stream(Session *session)
{
	StreamOptions options = {
		.conninfo = session->config->conninfo,
		.slot = session->config->slot,
	};
	StreamCaller caller = {
		.arg = session,
		.connected = stream_connected,
		.slot_made = slot_made,
		.started = stream_started,
		.frame = stream_frame,
		.keepalive = stream_keepalive,
		.lost = stream_lost,
	};

	session->stream = stream_open(session->loop, &options, caller);
}

static void
slot_dropped(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	log_warning("slot_lost",
				"replication slot \"%s\" was invalidated by the "
				"server; it is made anew and the table is read for what it "
				"lacked",
				session->config->slot);
	session_end(session, SESSION_LOST, "the slot was invalidated");
}

static void
slot_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	const char *values[] = {session->config->slot};

	if (session_failed(session, result))
		return;
	if (PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "lost") == 0)
	{
		db_query(session->db, "SELECT pg_drop_replication_slot($1)", 1, values,
				 DB_TEXT, slot_dropped, session);
		return;
	}
	session->slot_missing = PQntuples(result) == 0;
	session->engine_live = true;
	session->state = SESSION_RECONCILING;
	session_clock(session);
	session->table_mode = session->slot_missing;
	if (session->table_mode)
	{
		engine_begin_table(&session->engine);
		sd_notify(0, "READY=1\nSTATUS=delivering from the table");
	}
	session_open_stream(session);
}

/* ---------- what was there at the start ---------- */

static void
waiting_read(void *arg, const PGresult *result)
{
	Session *session = arg;
	const char *values[] = {session->config->slot};
	FactPark park;

	if (session_failed(session, result))
		return;
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!rows_waiting(result, i, &park))
		{
			session_shape(session, "outbox_waiting");
			return;
		}
		engine_row(&session->engine, &park,
				   session->engine.now_ms +
					   (park.retry_in_ms > 0 ? park.retry_in_ms : 0));
	}
	db_query(session->db,
			 "SELECT coalesce(wal_status, '') FROM"
			 " pg_replication_slots WHERE slot_name = $1",
			 1, values, DB_TEXT, slot_read, session);
}

static void
summary_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result))
		return;
	for (int i = 0; i < PQntuples(result); i++)
	{
		int32_t key_hash = (int32_t) rows_int(result, i, 1);

		engine_backlog_summary(&session->engine,
							   (int16_t) rows_int(result, i, 0),
							   PQgetisnull(result, i, 1) ? NULL : &key_hash,
							   rows_int(result, i, 2), rows_int(result, i, 3));
	}
	db_query(session->db,
			 "SELECT message_id, route_id, generation, shard_id,"
			 " key_hash, run, pos, status, retry_count,"
			 " (extract(epoch FROM next_retry_time - clock_timestamp())"
			 " * 1000)::bigint"
			 " FROM outbox_waiting(" WAITING_MOST ")",
			 0, NULL, DB_TEXT, waiting_read, session);
}

static void
routes_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (session_failed(session, result) ||
		!session_take_routes(session, result))
		return;
	db_query(session->db,
			 "SELECT route_id, key_hash, seq, messages FROM"
			 " outbox_backlog_summary()",
			 0, NULL, DB_TEXT, summary_read, session);
}

void
session_begin(Session *session)
{
	session->state = SESSION_RECONCILING;
	engine_init(&session->engine, &session_ops, session, session->start.run,
				session->config->memory_budget,
				(uint64_t) loop_wall_us(session->loop));
	session->engine.settled_position = session->start.position;
	session_hold_up_to(session);
	session_clock(session);
	log_info("started",
			 "relay \"%s\" begins run %" PRId64 " (era %d, epoch %" PRId64 ")",
			 session->config->name, session->start.run,
			 (int) RUN_ERA(session->start.run), RUN_EPOCH(session->start.run));
	session_read_routes(session, routes_read);
}
