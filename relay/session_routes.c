/*
 * relay/session_routes.c
 *
 * Routes read from the database: at the start, and again whenever the stream
 * rings for a change or brings a route that is not known, when a stream begins
 * that may lack a bell, and again and again while there is none.
 *
 * What rings may not be visible yet: a commit is sent before other sessions
 * see it, and with synchronous replication long before.  So the next
 * transaction id is noted when it rings, and routes are read until a snapshot
 * has nothing older open.  Until then a route that is not found is one to
 * come, not one that was dropped.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <string.h>

#include "session_private.h"

/* Of reading again while the change may not be visible. */
#define ROUTES_DELAY_MIN_MS 5
#define ROUTES_DELAY_MAX_MS 1000

void
session_read_routes(Session *session, DbCall then)
{
	db_query(session->db,
			 "SELECT id, name, kind, target, state, ordering,"
			 " retry_initial_ms, retry_max_ms, retry_multiplier,"
			 " max_attempts, timeout_ms, connect_timeout_ms, concurrency,"
			 " trace FROM outbox_routes()",
			 0, NULL, DB_TEXT, then, session);
}

bool
session_take_routes(Session *session, const PGresult *result)
{
	RouteSpec spec;

	session_clock(session);
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!rows_route(result, i, &spec))
		{
			session_shape(session, "outbox_routes");
			return false;
		}
		outlets_tell(&session->outlets, &spec);
	}
	return true;
}

static void
routes_looked_at(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result))
		(void) session_take_routes(session, result);
}

/* While the stream is held what would ring is not read. */
void
session_look_at_routes(Session *session)
{
	session_read_routes(session, routes_looked_at);
}

static void
routes_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	session->reading_routes = false;
	if (session_failed(session, result) ||
		!session_take_routes(session, result))
		return;
	if (session->routes_again || session->engine.routes_wanted)
	{
		/* one met since the query went out may be missing in its answer */
		session->engine.routes_wanted = true;
		session->routes_again = false;
		return;
	}
	if (session->routes_visible)
	{
		engine_routes_read(&session->engine);
		return;
	}
	timer_set(session->routes_timer, session->routes_delay_ms);
	session->routes_delay_ms *= 2;
	if (session->routes_delay_ms > ROUTES_DELAY_MAX_MS)
		session->routes_delay_ms = ROUTES_DELAY_MAX_MS;
}

static void
next_xid_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result))
		session->routes_xid = rows_int(result, 0, 0);
}

static void
xmin_read(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result))
		session->routes_visible = rows_int(result, 0, 0) >= session->routes_xid;
}

/* The routes are read by a later snapshot than the one that is asked for. */
static void
read_once(Session *session)
{
	session->reading_routes = true;
	db_query(session->db,
			 "SELECT pg_snapshot_xmin(pg_current_snapshot())"
			 "::text",
			 0, NULL, DB_TEXT, xmin_read, session);
	session_read_routes(session, routes_read);
}

static void
read_again(void *arg)
{
	Session *session = arg;

	if (!session->ended && !session->reading_routes)
		read_once(session);
}

void
session_routes_wanted(Session *session)
{
	if (session->reading_routes)
	{
		/* what is under way may not see the change that rang for this */
		session->routes_again = true;
		return;
	}
	if (session->routes_timer == NULL)
		session->routes_timer = loop_timer(session->loop, read_again, session);
	timer_clear(session->routes_timer);
	session->routes_delay_ms = ROUTES_DELAY_MIN_MS;
	db_query(session->db, "SELECT outbox_next_xid()::text", 0, NULL, DB_TEXT,
			 next_xid_read, session);
	read_once(session);
}
