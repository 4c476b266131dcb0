/*
 * relay/session_beat.c
 *
 * What a session does by the clock: the heartbeat that lets P follow a WAL
 * that moves without us, maintenance of outbox.resolved, and the question
 * what the slot holds back.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <inttypes.h>
#include <stdio.h>

#include "log.h"
#include "session_private.h"

#define HEARTBEAT_MS 60000
#define HEARTBEAT_BYTES (16 * 1024 * 1024)
/*
 * What a slot holds back goes down in steps: the server notes where it could
 * begin when it logs its running transactions, every 15 s while it writes, and
 * takes a new note only when the last one was confirmed.  So after much WAL
 * some more beats come soon, or that WAL is held for minutes of quiet.
 */
#define HEARTBEAT_SOON_MS 15000
#define HEARTBEATS_SOON 3
#define MAINTAIN_MS 60000

static void
maintained(void *arg, const PGresult *result)
{
	Session *session = arg;

	session->maintaining = false;
	session_failed(session, result);
}

static void
maintain(Session *session)
{
	char run[24];
	const char *values[] = {run};
	int64_t now = loop_now_ms(session->loop);

	if (session->state != SESSION_RUNNING || session->maintaining ||
		!session->settled_since || now - session->maintained_ms < MAINTAIN_MS)
		return;
	session->maintained_ms = now;
	session->maintaining = true;
	session->settled_since = false;
	snprintf(run, sizeof(run), "%" PRId64, session->start.run);
	db_query(session->db, "SELECT outbox_maintain($1)", 1, values, DB_TEXT,
			 maintained, session);
}

/* Nothing open, but the WAL moved: P follows, so that it can be recycled. */
static void
heartbeat(Session *session)
{
	Engine *engine = &session->engine;
	int64_t quiet_ms = loop_now_ms(session->loop) - session->settled_ms;
	uint64_t resolved;

	if (session->state != SESSION_RUNNING || engine->phase != ENGINE_RUN ||
		engine->heartbeat_due)
		return;
	resolved = position_resolved(&engine->position);
	if (resolved <= engine->settled_position)
		return;
	if (resolved - engine->settled_position >= HEARTBEAT_BYTES)
		session->beats_soon = HEARTBEATS_SOON;
	else if (session->beats_soon > 0 && quiet_ms >= HEARTBEAT_SOON_MS)
		session->beats_soon--;
	else if (quiet_ms < HEARTBEAT_MS)
		return;
	engine_heartbeat(engine);
}

/* Nothing ends: it may go on, and a new connection would wait likewise. */
static void
note_silence(Session *session)
{
	bool silent = session_silent_ms(session) >= SESSION_SILENT_MS;

	if (silent && !session->silent)
		log_warning("server_silent",
					"the server has not answered for %d s, though it is "
					"connected",
					SESSION_SILENT_MS / 1000);
	else if (!silent && session->silent)
		log_info("server_answers", "the server answers again");
	session->silent = silent;
}

void
session_beat(void *arg)
{
	Session *session = arg;

	timer_set(session->beat_timer, SESSION_BEAT_MS);
	if (session->ended || !session->engine_live)
		return;
	session_clock(session);
	note_silence(session);
	heartbeat(session);
	maintain(session);
	if (session->engine.held_ms > session->beat_held_ms)
		session_look_at_routes(session);
	session->beat_held_ms = session->engine.held_ms;
}

/* ---------- how much the stream may hold back ---------- */

/* Half of what makes the server give up the slot is enough. */
void
session_hold_up_to(Session *session)
{
	int64_t most = session->config->held_wal;

	if (session->slot_keep_bytes >= 0 && session->slot_keep_bytes / 2 < most)
		most = session->slot_keep_bytes / 2;
	engine_hold_up_to(&session->engine, most);
}

/* ---------- what only the server knows, for /metrics ---------- */

static void
oldest(void *arg, const PGresult *result)
{
	Session *session = arg;

	session->asked = false;
	if (session_failed(session, result))
		return;
	for (Route *it = session->engine.routes; it != NULL; it = it->next)
		it->oldest_us = 0;
	for (int i = 0; i < PQntuples(result); i++)
		engine_find_route(&session->engine, (int16_t) rows_int(result, i, 0))
			->oldest_us = rows_int(result, i, 1);
}

static void
retained(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result) && PQntuples(result) == 1 &&
		!PQgetisnull(result, 0, 0))
		session->retained_bytes = rows_int(result, 0, 0);
}

void
session_ask_server(Session *session)
{
	const char *values[] = {session->config->slot};

	if (!session->engine_live || session->asked || session->ended)
		return;
	session->asked = true;
	db_query(session->db,
			 "SELECT pg_wal_lsn_diff("
			 "pg_current_wal_insert_lsn(), restart_lsn)::bigint"
			 " FROM pg_replication_slots WHERE slot_name = $1",
			 1, values, DB_TEXT, retained, session);
	db_query(session->db,
			 "SELECT route_id, (extract(epoch FROM oldest) * 1000000)::bigint"
			 " FROM outbox_oldest()",
			 0, NULL, DB_TEXT, oldest, session);
}
