/*
 * test/unit/sim_faults.c
 *
 * What breaks: the relay, the server, the slot, sinks, destinations, clocks;
 * and what the operator does meanwhile.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

/* ---------- the operator ---------- */

void
sim_make_route(int r)
{
	SimRoute *route = &sim.routes[r];

	route->exists = true;
	route->keeps_order = sim_chance(50);
	route->fewest_attempts = 1 + (int32_t) sim_random(4);
	route->spec = (RouteSpec){
		.id = (int16_t) (r + 1),
		.ordered = sim_chance(85),
		.retry_initial_ms = 10,
		.retry_max_ms = 500,
		.retry_multiplier = 2,
		.max_attempts = route->fewest_attempts,
		.concurrency = 1 + (int32_t) sim_random(5),
		.trace_all = sim_chance(20),
	};
}

static void
alter_route(SimRoute *route)
{
	RouteSpec *spec = &route->spec;

	switch (sim_random(8))
	{
		case 0:
			spec->state = SPEC_DROPPED;
			break;
		case 1:
			spec->max_attempts = 1 + (int32_t) sim_random(4);
			if (spec->max_attempts < route->fewest_attempts)
				route->fewest_attempts = spec->max_attempts;
			break;
		case 2:
			/* it counts for what is read from now on, or from a start on */
			spec->ordered = !spec->ordered;
			route->loose = true;
			break;
		case 3:
			sim.faults++; /* its sink is opened anew */
			spec->concurrency = 1 + (int32_t) sim_random(5);
			break;
		default:
			spec->state =
				spec->state == SPEC_PAUSED ? SPEC_ACTIVE : SPEC_PAUSED;
			break;
	}
}

void
sim_operate(void)
{
	int r = (int) sim_random(SIM_ROUTES);
	SimRoute *route = &sim.routes[r];

	if (!route->exists && r != sim.deleted && sim_chance(30))
		sim_make_route(r);
	else if (!route->exists || route->spec.state == SPEC_DROPPED)
		return;
	else
		alter_route(route);
	sim_story("route %d: state %d", r + 1, route->spec.state);
	sim_ring();
	if (sim_chance(50))
		sim_ask_routes();
}

void
sim_weather(void)
{
	int r = (int) sim_random(SIM_ROUTES);
	SimRoute *route = &sim.routes[r];

	if (!route->down && !sim_chance(30))
		return;
	route->down = !route->down;
	sim_story("the destination of route %d is %s", r + 1,
			  route->down ? "down" : "back");
}

/* ---------- two relays ---------- */

static SimRelay *
other_relay(void)
{
	return sim.relay == &sim.relays[0] ? &sim.relays[1] : &sim.relays[0];
}

static void
change_sides(bool old)
{
	sim.relay = other_relay();
	sim.old = old;
}

void
sim_stop_old(void)
{
	if (!other_relay()->up)
		return;
	change_sides(true);
	sim_stop();
	change_sides(false);
}

/* Frozen, or cut off from the database, and another one took its place. */
static void
take_over(void)
{
	if (!sim.relay->up)
		return;
	sim_stop_old();
	while (sim_chance(70) && sim_execute_next())
		;
	sim_story("another relay takes over");
	sim.relay = other_relay();
}

/* It sends what it has, and gets the answers that were on the way to it. */
void
sim_old_relay(void)
{
	int r = (int) sim_random(SIM_ROUTES);

	if (!other_relay()->up)
		return;
	change_sides(true);
	switch (sim_random(6))
	{
		case 0:
			(void) sim_answer_next();
			break;
		case 1:
			(void) sim_ready(r);
			break;
		case 2:
			if (sim_chance(20))
				sim_stop();
			break;
		default:
			(void) sim_answer(r);
			break;
	}
	sim_turn();
	change_sides(false);
}

/* The relay is gone, or does not know yet that it is no longer wanted. */
static void
lose_relay(void)
{
	if (sim_chance(30))
		take_over();
	sim_stop();
}

/* ---------- the server ---------- */

static void
server_dies(void)
{
	sim_story("the server crashes");
	lose_relay();
	sim_end_work(true);
	sim_show(UINT32_MAX);
	sim.confirmed = sim.saved;
}

static uint64_t
lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The standby lacks the end of the WAL: commits, maybe the last settle. */
static void
promotion(void)
{
	uint64_t end;

	if (!sim.keep_before)
		return;
	lose_relay();
	end = sim.db.wal + sim_random(sim.wal - sim.db.wal + 1);
	if (sim_chance(50))
	{
		end = sim.before.wal;
		sim_db_copy(&sim.db, &sim.before);
		sim.db.wal = end;
	}
	sim_story("promotion, the WAL is lost after %llu",
			  (unsigned long long) end);
	sim_show(UINT32_MAX);
	sim_lose_work(end);
	sim_end_work(true);
	sim.slot = sim.slot && sim_chance(60);
	sim.confirmed = sim.saved = lower(sim.confirmed, end);
}

static void
slot_moves(bool lost)
{
	lose_relay();
	sim_story(lost ? "the slot is lost" : "the slot is moved ahead");
	sim.slot = sim.slot && !lost;
	if (sim.slot)
		sim.confirmed = sim.saved = sim.wal;
}

void
sim_make_slot(void)
{
	if (sim.slot)
		return;
	sim_show(UINT32_MAX); /* it waits for all that runs */
	sim.slot = true;
	sim.confirmed = sim.saved = sim.wal;
	sim_story("a new slot at %llu", (unsigned long long) sim.wal);
}

/* ---------- faults ---------- */

void
sim_sink_fails(int r)
{
	SimSink *sink = &sim.relay->sinks[r];
	bool keeps_order = sink->keeps_order;

	if (!sink->open)
		return;
	sim_story("the sink of route %d is closed and opened", r + 1);
	sim_sink_close(r);
	engine_sink_closed(SIM_ENGINE, (int16_t) (r + 1));
	sim_sink_open(r, keeps_order);
}

static void
clock_steps(void)
{
	sim.wall_ms += (int64_t) sim_random(7200000) - 3600000;
	sim_story("the wall clock steps");
}

void
sim_fault(void)
{
	sim.faults++;
	switch (sim_random(8))
	{
		case 0:
			server_dies();
			break;
		case 1:
			promotion();
			break;
		case 2:
			slot_moves(true);
			break;
		case 3:
			slot_moves(false);
			break;
		case 4:
			sim_sink_fails((int) sim_random(SIM_ROUTES));
			break;
		case 5:
			sim.relay->sinks[sim_random(SIM_ROUTES)].hung = true;
			break;
		case 6:
			clock_steps();
			break;
		default:
			lose_relay();
			break;
	}
}
