/*
 * test/unit/sim_relay.c
 *
 * Does with the engine what the session does: start, reconcile, the pipeline
 * of statements, the stream, sinks.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void
sim_tell_time(void)
{
	engine_clock(SIM_ENGINE, sim.now_ms, (sim.now_ms + sim.wall_ms) * 1000);
}

/* ---------- the pipeline ---------- */

static SimRequest *
ask(SimAsk what)
{
	SimRequest *request = mem_alloc(sizeof(*request));

	request->ask = what;
	*sim.relay->last = request;
	sim.relay->last = &request->next;
	return request;
}

static void
op_fetch(void *arg, FetchBatch *batch)
{
	(void) arg;
	for (uint32_t i = 1; i < batch->count; i++)
		for (uint32_t k = 0; k < i; k++)
			if (batch->items[i] == batch->items[k])
				sim_fail("an item is twice in a fetch");
	ask(SIM_FETCH)->batch = batch;
}

static void
op_read_backlog(void *arg, Backlog *backlog, int64_t after)
{
	SimRequest *request = ask(SIM_BACKLOG);

	(void) arg;
	request->backlog = backlog;
	request->route_id = backlog->route->spec.id;
	request->of_key = backlog->key != NULL;
	request->key_hash = backlog->key != NULL ? backlog->key->hash : 0;
	request->after = after;
}

static void
op_settle(void *arg, const Facts *facts)
{
	(void) arg;
	if (SIM_ENGINE->hold)
		sim_fail("a settle in a hold");
	ask(SIM_SETTLE)->facts = facts;
}

static void
op_read_routes(void *arg)
{
	(void) arg;
	(void) ask(SIM_READ_ROUTES);
}

static const EngineOps ops = {
	.submit = sim_submit,
	.fetch = op_fetch,
	.read_backlog = op_read_backlog,
	.settle = op_settle,
	.read_routes = op_read_routes,
};

void
sim_ask_routes(void)
{
	if (sim.relay->up)
		(void) ask(SIM_READ_ROUTES);
}

bool
sim_execute_next(void)
{
	SimRequest *request = sim.relay->first;

	while (request != NULL && request->executed)
		request = request->next;
	if (request == NULL)
		return false;
	sim_execute(request);
	return true;
}

/* ---------- routes ---------- */

static void
close_sink(int r)
{
	if (!sim.relay->sinks[r].open)
		return;
	sim_sink_close(r);
	engine_sink_closed(SIM_ENGINE, (int16_t) (r + 1));
}

static void
tell_routes(const SimRoute *routes)
{
	for (int r = 0; r < SIM_ROUTES; r++)
	{
		const SimRoute *route = &routes[r];
		bool fresh;

		if (!route->exists)
			continue;
		engine_route(SIM_ENGINE, &route->spec, route->keeps_order);
		fresh = !sim.relay->sinks[r].open ||
				spec_needs_new_sink(&sim.relay->opened[r], &route->spec);
		sim.relay->opened[r] = route->spec;
		if (route->spec.state == SPEC_DROPPED)
			close_sink(r);
		else if (fresh)
		{
			close_sink(r);
			sim_sink_open(r, route->keeps_order);
		}
	}
}

/* A route met since the query went out may be missing in its answer. */
static bool
is_latest(void)
{
	for (const SimRequest *r = sim.relay->first; r != NULL; r = r->next)
		if (r->ask == SIM_READ_ROUTES)
			return false;
	return !SIM_ENGINE->routes_wanted;
}

/* ---------- start and stop ---------- */

static void
ask_snapshot(bool early)
{
	ask(SIM_SNAPSHOT)->early = early;
	sim.relay->asked = true;
}

static void
begin_stream(void)
{
	sim.relay->gap = !sim.db.has_position || sim.confirmed > sim.db.position;
	sim.relay->streaming = true;
	sim.relay->fed = sim.relay->had = sim.relay->complete =
		sim.relay->second_early = false;
	sim.relay->wait_for = sim.commits.count;
	sim.relay->cursor = 0;
	sim.relay->start = sim.confirmed;
	sim.relay->confirmable = 0;
	sim_story(
		"stream begins at %llu, P %llu%s", (unsigned long long) sim.confirmed,
		(unsigned long long) sim.db.position, sim.relay->gap ? ", gap" : "");
	engine_begin_stream(SIM_ENGINE, sim.confirmed, sim.relay->gap);
	ask_snapshot(false);
}

void
sim_start(void)
{
	uint32_t lane = sim_chance(75) ? 4 + (uint32_t) sim_random(17) : UINT32_MAX;

	sim_story("start");
	memset(sim.relay, 0, sizeof(*sim.relay));
	sim.relay->last = &sim.relay->first;
	sim.relay->up = true;
	sim.db.run++;
	sim.db.wal = sim.wal += 2;
	engine_init(SIM_ENGINE, &ops, NULL, sim.db.run,
				sim_chance(30) ? 200 : 1 << 20, sim.seed + 1);
	SIM_ENGINE->lane_max = sim.relay->lane_max =
		lane < ROUTE_LANE_MAX ? lane : ROUTE_LANE_MAX;
	sim.relay->held_wal = sim_chance(70) ? 1 << 20 : (int64_t) sim_random(60);
	engine_hold_up_to(SIM_ENGINE, sim.relay->held_wal);
	sim_tell_time();
	tell_routes(sim.routes);
	engine_routes_read(SIM_ENGINE);
	sim_tell_backlog();
	sim_tell_rows();
	if (sim.slot)
		begin_stream();
	else
	{
		sim_story("table mode");
		/* it reads what is visible, be it later than what is not yet */
		sim.unordered = sim.unordered || (sim.invisible > 0 && !sim.serial);
		engine_begin_table(SIM_ENGINE);
		ask_snapshot(false);
	}
}

void
sim_stop(void)
{
	SimRequest *request;

	if (!sim.relay->up)
		return;
	sim_story("the relay is gone");
	/* rule fence: nothing of one that has lost the lease */
	while (!sim.old && sim_chance(70) && sim_execute_next())
		;
	for (int r = 0; r < SIM_ROUTES; r++)
		sim_sink_close(r);
	while ((request = sim.relay->first) != NULL)
	{
		sim.relay->first = request->next;
		sim_request_free(request);
	}
	engine_reset(SIM_ENGINE);
	if (SIM_ENGINE->bytes != 0)
		sim_fail("%lld bytes are left", (long long) SIM_ENGINE->bytes);
	sim.relay->up = false;
}

/* ---------- reconcile ---------- */

static bool
all_visible(uint32_t commits)
{
	for (uint32_t i = 0; i < commits; i++)
		if (!sim.transactions.items[sim.commits.items[i]].visible)
			return false;
	return true;
}

static bool
reconcile_table(void)
{
	if (!engine_may_begin_stream(SIM_ENGINE))
		return false;
	if (sim.slot)
		begin_stream();
	else if (!sim.calm || sim_chance(10))
		ask_snapshot(false);
	else
		return false;
	return true;
}

bool
sim_reconcile(void)
{
	if (!sim.relay->up || sim.relay->asked)
		return false;
	if (!sim.relay->streaming)
		return reconcile_table();
	if (!sim.relay->gap || !sim.relay->had || sim.relay->complete ||
		SIM_ENGINE->phase != ENGINE_WAIT)
		return false;
	if (all_visible(sim.relay->wait_for))
	{
		sim.relay->complete = true;
		ask_snapshot(false);
		return true;
	}
	if (sim.relay->second_early || sim.large || !sim_chance(3))
		return false;
	sim_story("the wait is given up");
	sim.relay->second_early = sim.unordered = true;
	ask_snapshot(true);
	return true;
}

static void
answer_snapshot(const SimRequest *request)
{
	bool told = sim.relay->had || !sim.relay->streaming;

	for (uint32_t i = 0; !told && i < request->ids.count; i++)
		engine_resolved(SIM_ENGINE, request->ids.items[i].first,
						request->ids.items[i].last);
	for (uint32_t i = 0; i < request->runs.count; i++)
	{
		const WireRun *run = &request->runs.items[i];

		sim_story("  unresolved %lld-%lld, %d routes", (long long) run->first,
				  (long long) run->last, run->nroutes);
		engine_unresolved(SIM_ENGINE, run);
	}
	sim_story("snapshot, L %llu%s", (unsigned long long) request->horizon,
			  request->early ? ", early" : "");
	sim.relay->asked = false;
	engine_snapshot(SIM_ENGINE, request->horizon, request->early);
	if (!sim.relay->streaming)
		return;
	if (!sim.relay->gap)
		sim.relay->complete = true;
	sim.relay->fed = sim.relay->had = true;
}

/* ---------- answers ---------- */

static void
answer_backlog(const SimRequest *request)
{
	for (uint32_t i = 0; i < request->segments.count; i++)
	{
		const SimSegment *from = &request->segments.items[i];
		Segment segment = {.seq = from->seq,
						   .run = from->run,
						   .pos = from->pos,
						   .generation = from->generation,
						   .nids = from->nids,
						   .ids = from->ids};
		IdSet done = {0};

		for (uint32_t k = 0; k < from->nids; k++)
			if (from->done[k])
				idset_add(&done, k);
		engine_segment(SIM_ENGINE, request->backlog, &segment, &done);
		idset_reset(&done);
	}
	engine_segments(SIM_ENGINE, request->backlog);
}

static void
answer_fetch(const SimRequest *request)
{
	WireMessage wire;

	for (uint32_t i = 0; i < request->batch->count; i++)
		if (idset_has(&request->ids, request->batch->ids[i]))
		{
			sim_wire(request->batch->ids[i], &wire, false);
			if (sim_message(wire.id)->broken)
				engine_unreadable(request->batch, wire.id);
			else
				engine_body(request->batch, &wire);
		}
	engine_fetched(SIM_ENGINE, request->batch);
}

static void
answer(SimRequest *request)
{
	switch (request->ask)
	{
		case SIM_FETCH:
			answer_fetch(request);
			break;
		case SIM_BACKLOG:
			answer_backlog(request);
			break;
		case SIM_SETTLE:
			sim.relay->told_wal = request->horizon;
			engine_wal_end(SIM_ENGINE, request->horizon);
			sim.relay->confirmable = engine_settled(SIM_ENGINE);
			break;
		case SIM_READ_ROUTES:
			tell_routes(request->routes);
			if (is_latest())
				engine_routes_read(SIM_ENGINE);
			break;
		case SIM_SNAPSHOT:
			answer_snapshot(request);
			break;
	}
}

bool
sim_answer_next(void)
{
	SimRequest *request = sim.relay->first;

	if (request == NULL || !request->executed)
		return false;
	sim.relay->first = request->next;
	if (sim.relay->first == NULL)
		sim.relay->last = &sim.relay->first;
	sim_tell_time();
	answer(request);
	sim_request_free(request);
	return true;
}

#define DRAIN_LIMIT_MS 20000

static bool
is_drained(void)
{
	return engine_idle(SIM_ENGINE) &&
		   (SIM_ENGINE->phase != ENGINE_RUN || !sim.slot ||
			sim.confirmed >= SIM_ENGINE->settled_position);
}

void
sim_drain(void)
{
	if (!sim.relay->up)
		return;
	if (sim.relay->drain_until_ms == 0 && SIM_ENGINE->hold)
	{
		/* what was under way from table mode cannot be settled */
		sim.faults += !engine_idle(SIM_ENGINE);
		sim_stop();
	}
	else if (sim.relay->drain_until_ms == 0)
	{
		sim_story("drain");
		sim.relay->drain_until_ms = sim.now_ms + DRAIN_LIMIT_MS;
		engine_drain(SIM_ENGINE);
		engine_heartbeat(SIM_ENGINE);
	}
	else if (is_drained())
	{
		sim_story("drained");
		/* in a reconcile what a row was for may be forgotten with the row */
		sim.faults += SIM_ENGINE->phase != ENGINE_RUN;
		sim_stop();
	}
	else if (sim.now_ms > sim.relay->drain_until_ms)
	{
		sim.faults++;
		sim_stop();
	}
}

void
sim_turn(void)
{
	if (!sim.relay->up)
		return;
	sim_tell_time();
	engine_run(SIM_ENGINE);
	sim.relay->paused = engine_wants_pause(SIM_ENGINE);
	sim_check_turn();
	if (sim.large ? sim_chance(1) : sim_chance(20))
		sim_audit();
}
