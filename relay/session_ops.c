/*
 * relay/session_ops.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "killpoint.h"
#include "log.h"
#include "session_private.h"
#include "settle.h"

#define SEGMENTS_MOST "4"

/* A query of one batch, or for one backlog. */
struct Question
{
	Session *session;
	FetchBatch *batch;
	Backlog *backlog;
	LIST_ENTRY(Question) link;
};

static Question *
question(Session *session, FetchBatch *batch, Backlog *backlog)
{
	Question *q = mem_alloc(sizeof(*q));

	q->session = session;
	q->batch = batch;
	q->backlog = backlog;
	LIST_INSERT_HEAD(&session->questions, q, link);
	return q;
}

static void
answered(Question *q)
{
	LIST_REMOVE(q, link);
	mem_free(q);
}

void
session_drop_questions(Session *session)
{
	while (!LIST_EMPTY(&session->questions))
		answered(LIST_FIRST(&session->questions));
}

static bool
op_submit(void *arg, Route *route, Delivery *delivery)
{
	Session *session = arg;

	return outlets_submit(&session->outlets, route, delivery);
}

/* ---------- fetch ---------- */

static void
fetched(void *arg, const PGresult *result)
{
	Question *q = arg;
	Session *session = q->session;
	FetchBatch *batch = q->batch;
	WireMessage message;

	answered(q);
	if (session_failed(session, result))
		return;
	session_clock(session);
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (rows_message(result, i, &message))
			engine_body(batch, &message);
		else
		{
			log_error("unreadable",
					  "the row of message %" PRId64 " in "
					  "outbox.message is not as enqueue writes it; it goes "
					  "DEAD",
					  message.id);
			engine_unreadable(batch, message.id);
		}
	}
	engine_fetched(&session->engine, batch);
}

static char *
id_array(const int64_t *ids, uint32_t count)
{
	size_t room = (size_t) count * 21 + 3;
	char *array = mem_alloc(room);
	size_t len = 1;

	array[0] = '{';
	for (uint32_t i = 0; i < count; i++)
		len += (size_t) snprintf(array + len, room - len, "%s%" PRId64,
								 i > 0 ? "," : "", ids[i]);
	snprintf(array + len, room - len, "}");
	return array;
}

static void
op_fetch(void *arg, FetchBatch *batch)
{
	Session *session = arg;
	char *ids = id_array(batch->ids, batch->count);
	const char *values[] = {ids};

	db_query(session->db,
			 "SELECT id, generation, shard_id, create_time,"
			 " routes, type, biz_key, topic, tag, message_key, sharding_key,"
			 " content_type, headers, payload FROM outbox_fetch($1)",
			 1, values, DB_BINARY, fetched, question(session, batch, NULL));
	mem_free(ids);
}

/* ---------- backlog ---------- */

static void
backlog_read(void *arg, const PGresult *result)
{
	Question *q = arg;
	Session *session = q->session;
	Backlog *backlog = q->backlog;
	Segment segment;
	IdSet done;

	answered(q);
	if (session_failed(session, result))
		return;
	session_clock(session);
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!rows_segment(result, i, &segment, &done))
		{
			session_shape(session, "outbox_backlog");
			return;
		}
		engine_segment(&session->engine, backlog, &segment, &done);
		mem_free(segment.ids);
		idset_reset(&done);
	}
	engine_segments(&session->engine, backlog);
}

static void
op_read_backlog(void *arg, Backlog *backlog, int64_t after)
{
	Session *session = arg;
	char route_id[16], key_hash[16], seq[24];
	const char *values[] = {route_id, NULL, seq};

	snprintf(route_id, sizeof(route_id), "%d", backlog->route->spec.id);
	snprintf(seq, sizeof(seq), "%" PRId64, after);
	if (backlog->key != NULL)
	{
		snprintf(key_hash, sizeof(key_hash), "%d", backlog->key->hash);
		values[1] = key_hash;
	}
	db_query(session->db,
			 "SELECT seq, generation, run, pos, ids, done FROM"
			 " outbox_backlog($1, $2, $3, " SEGMENTS_MOST ")",
			 3, values, DB_TEXT, backlog_read,
			 question(session, NULL, backlog));
}

/* ---------- settle ---------- */

static const char settle_sql[] =
	"SELECT outbox_settle($1, $2, $3, $4, $5, $6, $7),"
	" pg_current_wal_insert_lsn()";

static void
settled(void *arg, const PGresult *result)
{
	Session *session = arg;
	uint64_t position, wal_end;

	/* without an answer, or refused, it is a lost lease */
	if (session_failed(session, result))
		return;
	kill_point("settled");
	session_clock(session);
	if (rows_lsn(result, 0, 1, &wal_end))
		engine_wal_end(&session->engine, wal_end);
	session->settled_ms = session->engine.now_ms;
	session->settles++;
	session->settled_since = true;
	position = engine_settled(&session->engine);
	if (position > 0 && session->stream != NULL && session->streaming &&
		session->engine.phase == ENGINE_RUN)
	{
		stream_confirm(session->stream, position);
		kill_point("confirmed");
	}
}

static void
op_settle(void *arg, const Facts *facts)
{
	Session *session = arg;
	SettleValues values;

	settle_values(&values, &session->start, facts);
	db_query(session->db, settle_sql, SETTLE_VALUES, values.values, DB_TEXT,
			 settled, session);
	settle_values_reset(&values);
	kill_point("settle_sent");
}

static void
touched(void *arg, const PGresult *result)
{
	session_failed(arg, result);
}

void
session_touch(Session *session)
{
	SettleValues values;

	settle_values(&values, &session->start, NULL);
	db_query(session->db, settle_sql, SETTLE_VALUES, values.values, DB_TEXT,
			 touched, session);
	settle_values_reset(&values);
}

static void
op_read_routes(void *arg)
{
	session_routes_wanted(arg);
}

const EngineOps session_ops = {
	.submit = op_submit,
	.fetch = op_fetch,
	.read_backlog = op_read_backlog,
	.settle = op_settle,
	.read_routes = op_read_routes,
};
