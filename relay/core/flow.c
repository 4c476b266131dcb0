/*
 * relay/core/flow.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/flow.h"

/* ---------- gate ---------- */

/*
 * A backlog that is nearly drained can only end if nothing is added for a
 * moment: hold up the stream for as long as that takes, within bounds.
 */
static bool
is_ending(const Route *route)
{
	if (!route_is_well(route))
		return false;
	if (route->mode == ROUTE_STREAM)
		return backlog_is_ending(route);
	return route_backlog_count(route) <= 2 * TAIL_SEGMENT;
}

void
flow_gate(Engine *engine)
{
	bool ending = false;

	for (Route *route = engine->routes; route != NULL; route = route->next)
		if (is_ending(route))
			ending = true;
	if (!ending || engine->phase != ENGINE_RUN)
	{
		engine->gate_until_ms = 0;
		engine->gate_every_ms = ENGINE_GATE_EVERY_MS;
	}
	else if (engine->now_ms >= engine->gate_next_ms)
	{
		engine->gate_until_ms = engine->now_ms + ENGINE_GATE_MS;
		engine->gate_next_ms = engine->now_ms + engine->gate_every_ms;
		if (engine->gate_every_ms < ENGINE_GATE_SELDOM_MS)
			engine->gate_every_ms *= 2;
	}
}

/* ---------- held ---------- */

/* Three quarters of the budget are full, five eighths are still full. */
static bool
is_memory_full(const Engine *engine, bool still)
{
	return engine->bytes / (still ? 5 : 6) >= engine->budget / 8;
}

static bool
is_full(const Route *route)
{
	const Engine *engine = route->engine;
	uint32_t enough =
		route->full ? FLOW_LOW(engine->lane_max) : FLOW_FULL(engine->lane_max);

	return route->mode == ROUTE_STREAM &&
		   (route->lane_count >= enough ||
			(route->lane_count >= ROUTE_LANE_SHORT &&
			 is_memory_full(engine, route->full)));
}

void
flow_took(Route *route)
{
	if (!route->full && is_full(route))
		route->engine->filled = true;
}

static void
begin_window(Route *route)
{
	route->window_ms = route->engine->now_ms;
	route->window_ok = route->stats.outcomes[OUTCOME_OK];
}

/* Until it is known better a route keeps up: its sink may just be starting. */
static void
look_at(Route *route)
{
	bool full = is_full(route);
	uint64_t delivered;

	if (!full || !route->full)
	{
		route->full = route->keeps_up = full;
		begin_window(route);
		return;
	}
	if (route->engine->now_ms - route->window_ms < FLOW_TURNOVER_MS)
		return;
	delivered = route->stats.outcomes[OUTCOME_OK] - route->window_ok;
	route->keeps_up = delivered >= route->lane_count;
	begin_window(route);
}

/* It could send more than it will have if the stream stands still. */
static bool
is_starving(const Route *route)
{
	int64_t work = route->mode == ROUTE_STREAM ? route->lane_count
											   : route_backlog_count(route);

	return route_able(route) && route->spec.state == SPEC_ACTIVE &&
		   route->circuit.state == CIRCUIT_CLOSED && !route->full &&
		   work < FLOW_WORK(route->engine->lane_max);
}

/* What the server keeps because we do not read it. */
static bool
is_far_behind(const Engine *engine)
{
	return engine->wal_end > engine->passed &&
		   engine->wal_end - engine->passed > (uint64_t) engine->held_wal_max;
}

void
flow_hold(Engine *engine)
{
	bool wanted = false;
	bool starving = false;

	if (engine->held)
		engine->held_ms += engine->now_ms - engine->held_since_ms;
	for (Route *route = engine->routes; route != NULL; route = route->next)
	{
		look_at(route);
		wanted = wanted || (route->full && route->keeps_up);
		starving = starving || is_starving(route);
	}
	engine->filled = false;
	engine->held = wanted && !starving && engine->held_wal_max > 0 &&
				   !is_far_behind(engine);
	engine->held_since_ms = engine->now_ms;
}

bool
flow_wants_pause(const Engine *engine)
{
	return engine->now_ms < engine->gate_until_ms || engine->filled ||
		   engine->held;
}

int64_t
flow_next_ms(const Engine *engine)
{
	int64_t next = INT64_MAX;

	if (engine->gate_until_ms > engine->now_ms)
		next = engine->gate_until_ms;
	for (const Route *route = engine->routes; route != NULL;
		 route = route->next)
	{
		int64_t at = INT64_MAX;

		if (engine->phase == ENGINE_RUN && is_ending(route))
			at = engine->gate_next_ms > engine->now_ms ? engine->gate_next_ms
													   : engine->now_ms;
		else if (engine->held && route->full)
			at = route->window_ms + FLOW_TURNOVER_MS;
		if (at < next)
			next = at;
	}
	return next;
}
