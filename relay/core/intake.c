/*
 * relay/core/intake.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void
intake_reset(Engine *engine)
{
	for (uint32_t i = 0; i < engine->chunks.count; i++)
		idrun_reset(&engine->chunks.items[i].run);
	for (uint32_t i = engine->pours_done; i < engine->pours.count; i++)
		idrun_reset(&engine->pours.items[i].run);
	for (int i = 0; i < FACTS_GENERATIONS; i++)
		idset_reset(&engine->deferred[i]);
	ARRAY_RESET(&engine->chunks);
	ARRAY_RESET(&engine->aborted);
	ARRAY_RESET(&engine->pours);
	engine->pours_done = engine->stream_pours = 0;
}

/* Ids that the stream brought; their tails are not written in a recovery. */
static void
resolve(Engine *engine, int16_t generation, int64_t first, int64_t last)
{
	if (engine->recovering > 0)
		idset_add_range(&engine->deferred[generation + 1], first, last);
	else
		facts_resolved(engine_facts(engine), generation, first, last,
					   engine->now_ms);
}

/* What was to be said of the stream waits until the recovery is written. */
static void
begin_recovery(Engine *engine)
{
	Facts *facts = engine_facts(engine);

	for (int i = 0; i < FACTS_GENERATIONS; i++)
	{
		for (uint32_t k = 0; k < facts->resolved[i].count; k++)
			idset_add_range(&engine->deferred[i],
							facts->resolved[i].items[k].first,
							facts->resolved[i].items[k].last);
		idset_reset(&facts->resolved[i]);
	}
}

void
intake_tell_deferred(Engine *engine)
{
	for (int i = 0; i < FACTS_GENERATIONS; i++)
	{
		const IdSet *set = &engine->deferred[i];

		for (uint32_t k = 0; k < set->count; k++)
			facts_resolved(engine_facts(engine), (int16_t) (i - 1),
						   set->items[k].first, set->items[k].last,
						   engine->now_ms);
		idset_reset(&engine->deferred[i]);
	}
}

void
intake_resolved(Engine *engine, const Message *message)
{
	resolve(engine, message->generation, message->id, message->id);
	position_ticket(&engine->position, message->ticket)->open--;
}

/* ---------- transactions ---------- */

/* data: the message as it stands in the frame. */
static void
take(Engine *engine, const WireMessage *wire, const uint8_t *data, size_t len,
	 int64_t commit_time)
{
	int16_t routes[WIRE_ROUTES_MAX];
	Message *message;
	uint16_t n;

	if (engine->phase != ENGINE_RUN)
	{
		if (reconcile_is_repeat(engine, wire->id))
			return;
		idset_add(&engine->seen, wire->id);
	}
	n = reconcile_remaining(engine, wire->id, wire->routes, wire->nroutes,
							routes);
	message = message_of_frame(wire, data, len, &engine->bytes);
	message->commit_time = commit_time;
	message->ticket = engine->ticket;
	message->open = true;
	position_ticket(&engine->position, engine->ticket)->open++;
	/* one more than the routes, so that it is not resolved half way */
	message->unplaced = n + 1;
	for (uint16_t i = 0; i < n; i++)
		route_take(engine_find_route(engine, routes[i]), message);
	engine_placed(engine, message);
	message_unref(message);
}

static bool
transaction(Engine *engine, const WireFrame *frame, WireReader *reader)
{
	WireMessage wire;

	if (!engine->in_transaction)
	{
		reconcile_passed(engine, frame->commit_end - 1);
		engine->ticket = position_begin(&engine->position, frame->commit_end,
										frame->commit_time);
		engine->in_transaction = true;
	}
	for (uint32_t i = 0; i < frame->count; i++)
	{
		size_t begin = reader->pos;

		if (!wire_message_read(reader, &wire))
			return false;
		take(engine, &wire, reader->data + begin, reader->pos - begin,
			 frame->commit_time);
	}
	if (frame->flags & WIRE_LAST)
	{
		position_ticket(&engine->position, engine->ticket)->complete = true;
		engine->in_transaction = false;
	}
	return true;
}

/* ---------- transactions in chunks ---------- */

static bool
same_routes(const IdRun *a, const WireRun *b)
{
	return a->generation == b->generation && a->nroutes == b->nroutes &&
		   memcmp(a->routes, b->routes, a->nroutes * sizeof(int16_t)) == 0;
}

static void
add_chunk(Engine *engine, const WireFrame *frame, const WireRun *run)
{
	Chunk *last = engine->chunks.count > 0
					  ? &engine->chunks.items[engine->chunks.count - 1]
					  : NULL;

	if (last != NULL && last->xid == frame->xid &&
		last->subxid == frame->subxid && last->run.last == run->first - 1 &&
		same_routes(&last->run, run))
	{
		last->run.last = run->last;
		return;
	}
	*ARRAY_PUSH(&engine->chunks) =
		(Chunk){frame->xid, frame->subxid,
				idrun_make(run->generation, run->first, run->last, run->routes,
						   run->nroutes)};
}

static bool
chunk(Engine *engine, const WireFrame *frame, WireReader *reader)
{
	WireRun run;

	for (uint32_t i = 0; i < frame->count; i++)
	{
		if (!wire_run_read(reader, &run))
			return false;
		add_chunk(engine, frame, &run);
	}
	return true;
}

static int
compare_aborted(const void *a, const void *b)
{
	const Aborted *x = a;
	const Aborted *y = b;

	if (x->xid != y->xid)
		return x->xid < y->xid ? -1 : 1;
	return (x->subxid > y->subxid) - (x->subxid < y->subxid);
}

static bool
is_aborted(const Engine *engine, const Chunk *c)
{
	const Aborted key = {c->xid, c->subxid};

	return engine->aborted.count > 0 &&
		   bsearch(&key, engine->aborted.items, engine->aborted.count,
				   sizeof(key), compare_aborted) != NULL;
}

static void
forget_aborted(Engine *engine, uint32_t xid)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < engine->aborted.count; i++)
		if (engine->aborted.items[i].xid != xid)
			engine->aborted.items[left++] = engine->aborted.items[i];
	engine->aborted.count = left;
}

/* Takes the chunks of a transaction out; keep: they become pours. */
static void
end_chunks(Engine *engine, uint32_t xid, bool keep)
{
	uint32_t left = 0;

	if (keep && engine->aborted.count > 0)
		qsort(engine->aborted.items, engine->aborted.count, sizeof(Aborted),
			  compare_aborted);
	for (uint32_t i = 0; i < engine->chunks.count; i++)
	{
		Chunk *c = &engine->chunks.items[i];

		if (c->xid != xid)
			engine->chunks.items[left++] = *c;
		else if (keep && !is_aborted(engine, c))
			intake_add_pour(engine, c->run, true, engine->ticket);
		else
			idrun_reset(&c->run);
	}
	engine->chunks.count = left;
	forget_aborted(engine, xid);
}

/* One with many savepoints is looked at once, at its end. */
static void
stream_abort(Engine *engine, const WireFrame *frame)
{
	if (frame->subxid == frame->xid)
		end_chunks(engine, frame->xid, false);
	else
		*ARRAY_PUSH(&engine->aborted) = (Aborted){frame->xid, frame->subxid};
}

static void
stream_commit(Engine *engine, const WireFrame *frame)
{
	reconcile_passed(engine, frame->commit_end - 1);
	engine->ticket = position_begin(&engine->position, frame->commit_end,
									frame->commit_time);
	end_chunks(engine, frame->xid, true);
	position_ticket(&engine->position, engine->ticket)->complete = true;
	/* no settle goes out in a hold, and what comes next must come behind */
	if (engine->hold)
		intake_pour(engine, INT64_MAX);
}

bool
engine_frame(Engine *engine, const void *data, size_t len, uint8_t *bells,
			 const char **error)
{
	WireReader reader;
	WireFrame frame;
	bool ok;

	*bells = 0;
	wire_reader_init(&reader, data, len);
	ok = wire_frame_read(&reader, &frame);
	if (ok)
		switch (frame.kind)
		{
			case WIRE_TRANSACTION:
				ok = transaction(engine, &frame, &reader);
				break;
			case WIRE_CHUNK:
				ok = chunk(engine, &frame, &reader);
				break;
			case WIRE_STREAM_COMMIT:
				stream_commit(engine, &frame);
				break;
			case WIRE_STREAM_ABORT:
				stream_abort(engine, &frame);
				break;
			case WIRE_DOORBELL:
				*bells = frame.bells;
				break;
		}
	ok = ok && wire_end(&reader);
	*error = reader.error;
	return ok;
}

void
engine_passed(Engine *engine, uint64_t lsn)
{
	if (engine->in_transaction)
		return;
	reconcile_passed(engine, lsn);
	position_idle(&engine->position, lsn);
}

/* ---------- pours ---------- */

void
intake_add_pour(Engine *engine, IdRun run, bool stream, uint64_t ticket)
{
	int64_t n = run.last - run.first + 1;

	if (stream)
		position_ticket(&engine->position, ticket)->open += n;
	else
	{
		if (engine->recovering == 0)
			begin_recovery(engine);
		engine->recovering += n;
	}
	for (uint16_t i = 0; i < run.nroutes; i++)
	{
		Route *route = engine_find_route(engine, run.routes[i]);

		route_to_backlog(route);
		if (stream)
			continue;
		if (!route->pouring)
			route->table_seq_next = route->seq_next;
		route->pouring = true;
		/* a segment has at least one id, so this is enough for all */
		route->seq_next += n;
	}
	engine->stream_pours += stream;
	*ARRAY_PUSH(&engine->pours) = (PourRun){run, stream, ticket};
}

static void
pour_ids(Engine *engine, const PourRun *pour, int64_t first, int64_t last,
		 const int16_t *routes, uint16_t nroutes)
{
	for (uint16_t i = 0; i < nroutes; i++)
	{
		Route *route = engine_find_route(engine, routes[i]);

		tail_add(pour->stream ? &route->backlog.tail : &route->table_tail,
				 pour->run.generation, first, last);
	}
	if (pour->stream)
		resolve(engine, pour->run.generation, first, last);
	else
		facts_resolved(engine_facts(engine), pour->run.generation, first, last,
					   engine->now_ms);
}

/* One by one while it may be a repeat, or partly have its rows. */
static void
pour_checked(Engine *engine, const PourRun *pour, int64_t first, int64_t last)
{
	int16_t routes[WIRE_ROUTES_MAX];
	const IdRun *run = &pour->run;

	for (int64_t id = first; id <= last; id++)
	{
		uint16_t n;

		if (engine->phase != ENGINE_RUN)
		{
			if (reconcile_is_repeat(engine, id))
				continue;
			idset_add(&engine->seen, id);
		}
		n = reconcile_remaining(engine, id, run->routes, run->nroutes, routes);
		pour_ids(engine, pour, id, id, routes, n);
	}
}

void
intake_pour(Engine *engine, int64_t room)
{
	while (room > 0 && engine->pours_done < engine->pours.count)
	{
		PourRun *pour = &engine->pours.items[engine->pours_done];
		IdRun *run = &pour->run;
		int64_t last =
			run->last - run->first < room ? run->last : run->first + room - 1;

		if (pour->stream)
		{
			pour_checked(engine, pour, run->first, last);
			position_ticket(&engine->position, pour->ticket)->open -=
				last - run->first + 1;
		}
		else
		{
			pour_ids(engine, pour, run->first, last, run->routes, run->nroutes);
			engine->recovering -= last - run->first + 1;
		}
		room -= last - run->first + 1;
		run->first = last + 1;
		if (run->first <= run->last)
			break;
		engine->stream_pours -= pour->stream;
		idrun_reset(run);
		engine->pours_done++;
	}
	if (engine->pours_done == engine->pours.count)
		engine->pours.count = engine->pours_done = 0;
}

bool
intake_wants_pause(const Engine *engine)
{
	return engine->stream_pours > 0 || engine->recovering > 0 ||
		   engine_is_stalled(engine);
}
