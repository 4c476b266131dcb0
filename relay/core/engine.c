/*
 * relay/core/engine.c
 *
 * Routes, settle, the turn.  What the stream brings is intake.c, what is read
 * from the table reconcile.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/engine.h"

#include <assert.h>
#include <string.h>

#include "core/flow.h"
#include "core/intake.h"
#include "core/mem.h"

void
engine_init(Engine *engine, const EngineOps *ops, void *arg, int64_t run,
			int64_t budget, uint64_t seed)
{
	memset(engine, 0, sizeof(*engine));
	engine->ops = ops;
	engine->arg = arg;
	engine->run = run;
	engine->budget = budget;
	engine->lane_max = ROUTE_LANE_MAX;
	engine->random = seed | 1;
	engine->phase = ENGINE_TABLE;
	engine->hold = true;
	engine->gate_every_ms = ENGINE_GATE_EVERY_MS;
}

void
engine_reset(Engine *engine)
{
	Route *route;

	while ((route = engine->routes) != NULL)
	{
		engine->routes = route->next;
		route_free(route);
	}
	flight_reset(&engine->spare_flights);
	intake_reset(engine);
	idset_reset(&engine->seen);
	idset_reset(&engine->resolved);
	unresolved_reset(&engine->had);
	unresolved_reset(&engine->unresolved);
	position_reset(&engine->position);
	facts_reset(&engine->facts[0]);
	facts_reset(&engine->facts[1]);
}

void
engine_hold_up_to(Engine *engine, int64_t bytes)
{
	engine->held_wal_max = bytes;
}

void
engine_clock(Engine *engine, int64_t now_ms, int64_t wall_us)
{
	engine->now_ms = now_ms;
	engine->wall_us = wall_us;
}

int64_t
engine_wall_ms(const Engine *engine)
{
	return engine->wall_us / 1000;
}

/* xorshift64 (G. Marsaglia, 2003) */
double
engine_dice(Engine *engine)
{
	engine->random ^= engine->random << 13;
	engine->random ^= engine->random >> 7;
	engine->random ^= engine->random << 17;
	return (double) (engine->random >> 11) / 9007199254740992.0;
}

bool
engine_over_budget(const Engine *engine)
{
	return engine->bytes > engine->budget;
}

Facts *
engine_facts(Engine *engine)
{
	return &engine->facts[engine->current];
}

/* ---------- routes ---------- */

static Route *
find_or_make(Engine *engine, int16_t id)
{
	Route **link = &engine->routes;
	Route *route;

	while (*link != NULL && (*link)->spec.id < id)
		link = &(*link)->next;
	if (*link != NULL && (*link)->spec.id == id)
		return *link;
	route = route_new(engine, id);
	route->next = *link;
	*link = route;
	return route;
}

Route *
engine_find_route(Engine *engine, int16_t id)
{
	Route *route = find_or_make(engine, id);

	if (!route->known && !route->asked)
		engine->routes_wanted = route->asked = true;
	return route;
}

void
engine_route(Engine *engine, const RouteSpec *spec, bool keeps_order)
{
	Route *route = find_or_make(engine, spec->id);
	bool ordered = route->known ? route->spec.ordered : spec->ordered;

	route->spec = *spec;
	/* the keys of what is in memory were made by the first answer */
	route->spec.ordered = ordered;
	route->keeps_order = keeps_order;
	route->known = true;
	if (spec->state == SPEC_PAUSED)
	{
		route_to_backlog(route);
		route->evict = true;
	}
	if (spec->state == SPEC_DROPPED)
		circuit_alive(&route->circuit);
}

uint32_t
engine_inflight(Engine *engine, int16_t route_id)
{
	return find_or_make(engine, route_id)->inflight;
}

void
engine_routes_read(Engine *engine)
{
	for (Route *route = engine->routes; route != NULL; route = route->next)
		if (!route->known)
		{
			/* its row was deleted by hand: its messages must not be stuck */
			route->known = true;
			route->spec.state = SPEC_DROPPED;
		}
}

void
engine_backlog_summary(Engine *engine, int16_t route_id,
					   const int32_t *key_hash, int64_t seq_max,
					   int64_t messages)
{
	Route *route = engine_find_route(engine, route_id);
	Backlog *backlog = &route->backlog;

	if (key_hash != NULL)
	{
		backlog = backlog_of_key(route, keys_get(&route->keys, *key_hash));
		backlog_enlist(backlog);
		route->behind_ids += messages;
	}
	if (seq_max >= route->seq_next)
		route->seq_next = seq_max + 1;
	backlog->seq_written = seq_max;
	backlog->ids = messages;
}

void
engine_row(Engine *engine, const FactPark *row, int64_t due_ms)
{
	park_load(engine_find_route(engine, row->route_id), row, due_ms);
}

/* ---------- answers ---------- */

void
engine_done(Engine *engine, Delivery *delivery, const Outcome *outcome)
{
	Flight *flight = delivery->owner;
	Route *route = flight->route;
	Item *item = flight->item;

	(void) engine;
	LIST_REMOVE(flight, link);
	flight_free(flight);
	route_done(route, item, outcome);
}

void
engine_ready(Engine *engine, int16_t route_id)
{
	engine_find_route(engine, route_id)->sink_full = false;
}

void
engine_sink_closed(Engine *engine, int16_t route_id)
{
	route_requeue(engine_find_route(engine, route_id));
}

void
engine_segment(Engine *engine, Backlog *backlog, const Segment *segment,
			   const IdSet *done)
{
	(void) engine;
	window_segment(backlog, segment, done);
}

void
engine_segments(Engine *engine, Backlog *backlog)
{
	(void) engine;
	window_segments(backlog);
}

void
engine_body(FetchBatch *batch, const WireMessage *wire)
{
	fetch_body(batch, wire);
}

void
engine_unreadable(FetchBatch *batch, int64_t id)
{
	fetch_unreadable(batch, id);
}

void
engine_fetched(Engine *engine, FetchBatch *batch)
{
	(void) engine;
	fetch_done(batch);
}

void
engine_placed(Engine *engine, Message *message)
{
	assert(message->open && message->unplaced > 0);
	if (--message->unplaced > 0)
		return;
	message->open = false;
	intake_resolved(engine, message);
}

/* ---------- settle ---------- */

/* Rule keepP: no settle raises P while a reconcile is unfinished. */
static uint64_t
position_to_record(Engine *engine)
{
	if (engine->phase != ENGINE_RUN || engine->recovering > 0)
		return 0;
	return position_resolved(&engine->position);
}

bool
engine_is_pouring(const Engine *engine)
{
	return engine->pours_done < engine->pours.count;
}

static bool
settle_is_due(const Engine *engine)
{
	const Facts *facts = &engine->facts[engine->current];

	if (engine->settling || engine->hold)
		return false;
	if (engine->heartbeat_due || engine_is_pouring(engine))
		return true;
	if (facts->count == 0)
		return false;
	return facts->count >= ENGINE_SETTLE_FACTS ||
		   engine->now_ms - facts->first_ms >= ENGINE_SETTLE_MS ||
		   engine->now_ms < engine->gate_until_ms;
}

static void
settle(Engine *engine)
{
	Facts *facts = engine_facts(engine);

	intake_pour(engine, ENGINE_POUR_IDS);
	reconcile_passed(engine, engine->passed);
	if (engine->recovering == 0)
		intake_tell_deferred(engine);
	for (Route *route = engine->routes; route != NULL; route = route->next)
		route_flush(route, facts);
	facts->position = position_to_record(engine);
	engine->heartbeat_due = false;
	engine->settling = true;
	engine->settle_sent_ms = engine->now_ms;
	engine->current = 1 - engine->current;
	assert(engine_facts(engine)->count == 0);
	engine->ops->settle(engine->arg, facts);
}

uint64_t
engine_settled(Engine *engine)
{
	Facts *facts = &engine->facts[1 - engine->current];

	assert(engine->settling);
	engine->settling = false;
	if (facts->position > engine->settled_position)
		engine->settled_position = facts->position;
	facts_reset(facts);
	for (Route *route = engine->routes; route != NULL; route = route->next)
	{
		if (!engine_is_pouring(engine))
			route->pouring = false;
		route_settled(route);
	}
	reconcile_passed(engine, engine->passed);
	return engine->settled_position;
}

void
engine_wal_end(Engine *engine, uint64_t lsn)
{
	if (lsn > engine->wal_end)
		engine->wal_end = lsn;
}

bool
engine_is_stalled(const Engine *engine)
{
	return engine->settling &&
		   (engine->now_ms - engine->settle_sent_ms >= ENGINE_STALL_MS ||
			engine->facts[engine->current].count >= ENGINE_STALL_FACTS);
}

/* ---------- the turn ---------- */

void
engine_run(Engine *engine)
{
	for (Route *route = engine->routes; route != NULL; route = route->next)
		route_run(route);
	flow_gate(engine);
	if (settle_is_due(engine))
		settle(engine);
	flow_hold(engine);
	if (engine->routes_wanted)
	{
		engine->routes_wanted = false;
		engine->ops->read_routes(engine->arg);
	}
}

bool
engine_wants_pause(const Engine *engine)
{
	return flow_wants_pause(engine) || intake_wants_pause(engine);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
engine_next_ms(const Engine *engine)
{
	const Facts *facts = &engine->facts[engine->current];
	int64_t next = INT64_MAX;

	if (engine->hold)
		return next;
	if (facts->count > 0 && !engine->settling)
		next = earlier(next, facts->first_ms + ENGINE_SETTLE_MS);
	for (const Route *route = engine->routes; route != NULL;
		 route = route->next)
		next = earlier(next, route_next_ms(route));
	return earlier(next, flow_next_ms(engine));
}

void
engine_heartbeat(Engine *engine)
{
	engine->heartbeat_due = true;
}

bool
engine_idle(const Engine *engine)
{
	if (engine->settling || engine->facts[engine->current].count > 0 ||
		engine_is_pouring(engine))
		return false;
	for (const Route *route = engine->routes; route != NULL;
		 route = route->next)
		if (route->inflight > 0)
			return false;
	return true;
}

/*
 * A message that one route has delivered and another has not would be read
 * again by both: as an entry of the backlog it is the other one's alone.
 */
void
engine_drain(Engine *engine)
{
	engine->draining = true;
	for (Route *route = engine->routes; route != NULL; route = route->next)
		route_to_backlog(route);
}
