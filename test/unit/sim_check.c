/*
 * test/unit/sim_check.c
 *
 * What has to be true when all is quiet: nothing lost, nothing left behind;
 * and after each turn: no lane too long, no stream held for nothing.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include "core/flow.h"

int64_t sim_holds;

static void
check_message(int64_t id, int except)
{
	const SimMessage *message = sim_message(id);

	if (!sim_is_committed(id))
		return;
	if (!sim.db.resolved[id - 1])
		sim_fail("message %lld is not resolved", (long long) id);
	for (int r = 0; r < SIM_ROUTES; r++)
	{
		size_t at = (size_t) (id - 1) * SIM_ROUTES + (size_t) r;
		const FactPark *row = sim.db.parked[at];

		if (r == except && (sim.routes[r].down_key == 0 ||
							message->key == sim.routes[r].down_key))
			continue;
		if (row != NULL && row->status != PARKED_DEAD)
			sim_fail("message %lld is left %s on route %d", (long long) id,
					 parked_status_name(row->status), r + 1);
		if ((message->routes & 1 << r) && message->sent[r] == 0 &&
			(row == NULL || row->error[0] == '\0'))
			sim_fail("message %lld was lost on route %d", (long long) id,
					 r + 1);
	}
}

static void
check_engine(const Engine *engine, int except)
{
	if (engine->phase != ENGINE_RUN)
		sim_fail("the reconcile has not ended");
	for (const Route *route = engine->routes; route != NULL;
		 route = route->next)
	{
		if (route->spec.id - 1 == except)
			continue;
		/* open with nothing left to probe, it stays so until there is */
		if (route->spec.state == SPEC_ACTIVE && route->mode != ROUTE_STREAM &&
			route->circuit.state == CIRCUIT_CLOSED)
			sim_fail("route %d is still in BACKLOG mode", route->spec.id);
		if (route->lane_count > 0 || route->backlog.nloading > 0 ||
			route->nretries > 0 || route->inflight > 0 || route->nrows > 0 ||
			route->keys.count > 0)
			sim_fail("route %d has something in memory", route->spec.id);
	}
	if (except < 0 && engine->bytes != 0)
		sim_fail("%lld bytes are left", (long long) engine->bytes);
}

void
sim_check(int except)
{
	for (int64_t id = 1; id <= sim.messages.count; id++)
		check_message(id, except);
	for (uint32_t i = 0; i < sim.db.segments.count; i++)
		if (sim.db.segments.items[i].left > 0 &&
			sim.db.segments.items[i].route_id - 1 != except)
			sim_fail("the backlog is not empty");
	check_engine(SIM_ENGINE, except);
}

/* Nobody else waits with the stream, and what it leaves unread is bounded. */
static void
check_held(void)
{
	bool full = false;

	for (Route *route = SIM_ENGINE->routes; route != NULL; route = route->next)
	{
		if (route->mode == ROUTE_STREAM &&
			(route->lane_count >= FLOW_LOW(sim.relay->lane_max) ||
			 (route->lane_count >= ROUTE_LANE_SHORT &&
			  SIM_ENGINE->bytes > SIM_ENGINE->budget / 2)))
			full = true;
		if (route_able(route) && route->spec.state == SPEC_ACTIVE &&
			route->circuit.state == CIRCUIT_CLOSED && route->lane_count == 0 &&
			route_backlog_count(route) == 0)
			sim_fail("the stream is held while route %d has nothing to do",
					 route->spec.id);
	}
	if (!full)
		sim_fail("the stream is held for nobody");
	if (sim.relay->told_wal >
		SIM_ENGINE->passed + (uint64_t) sim.relay->held_wal)
		sim_fail("the stream is held with too much WAL unread");
	sim_holds++;
}

void
sim_check_turn(void)
{
	if (SIM_ENGINE->held)
		check_held();
	for (Route *route = SIM_ENGINE->routes; route != NULL; route = route->next)
		/* in BACKLOG mode it is a window, which sim_audit.c looks at */
		if (route->mode == ROUTE_STREAM &&
			route->lane_count > sim.relay->lane_max)
			sim_fail("the lane of route %d has %u items", route->spec.id,
					 route->lane_count);
}
