/*
 * test/unit/test_flow.c
 *
 * When the stream waits for a route, and when it must not: one rule each, told
 * as a short story.  Random schedules are test_simulation.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/flow.h"

#include "engine_bench.h"

#define LANE_MAX 64
#define FULL FLOW_FULL(LANE_MAX)
#define HELD_WAL 100000

static int64_t next_id;

/* Routes 1 .. n; the stream has yet to pass horizon. */
static void
start_held(int16_t n, uint64_t horizon)
{
	prepare(n, false);
	next_id = 0;
	engine_hold_up_to(&engine, HELD_WAL);
	engine.lane_max = LANE_MAX;
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, horizon, false);
	turn(0);
}

/* A transaction of one message, for the routes first .. last. */
static void
message_for(int16_t first, int16_t last, uint32_t len)
{
	static uint8_t payload[WIRE_FRAME_MAX];
	WireMessage wire = wire_of(++next_id, NULL, 0, false);

	for (int16_t r = first; r <= last; r++)
		wire.routes[wire.nroutes++] = r;
	wire.payload = (WireBytes){payload, len};
	transaction(&wire);
}

static void
messages(int16_t first, int16_t last, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		message_for(first, last, 10);
}

/* Answers so many deliveries of the route, the oldest first. */
static void
answer_some(int16_t route_id, uint32_t count, OutcomeClass class)
{
	Outcome outcome = {.class = class, .retry_after_ms = -1, .error = "no"};

	for (int i = 0; i < nout && count > 0;)
	{
		const Flight *flight = out[i]->owner;

		if (flight->route->spec.id != route_id)
		{
			i++;
			continue;
		}
		answer_at(i, &outcome);
		count--;
		i = 0;
	}
}

static void
test_waits(void)
{
	start_held(1, 100);
	messages(1, 1, FULL - 1);
	ok(!engine_wants_pause(&engine), "a lane with room takes more");
	messages(1, 1, 1);
	ok(engine_wants_pause(&engine), "a full one is looked at before the next");
	turn(0);
	ok(engine_wants_pause(&engine), "and the stream waits for it");
	is_int(engine_next_ms(&engine), now_ms + FLOW_TURNOVER_MS,
		   "but not without looking again");
	answer_some(1, FULL / 2, OUTCOME_OK);
	ok(engine_wants_pause(&engine), "until half of it");
	answer_some(1, 1, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "has gone");
	is_int(route_of(1)->mode, ROUTE_STREAM,
		   "the route is still in STREAM mode");
	finish("waits");
}

static void
test_counts(void)
{
	start_held(1, 100);
	messages(1, 1, FULL);
	turn(0);
	turn(100);
	answer_some(1, FULL, OUTCOME_OK);
	is_int(engine.held_ms, 100, "how long it waited is counted");
	turn(100);
	is_int(engine.held_ms, 100, "and no more than that");
	finish("counts");
}

static void
test_slow(void)
{
	start_held(1, 100);
	messages(1, 1, FULL);
	turn(0);
	answer_some(1, 2, OUTCOME_OK);
	turn(FLOW_TURNOVER_MS - 1);
	ok(engine_wants_pause(&engine), "a route is given a moment to show");
	turn(1);
	ok(!engine_wants_pause(&engine), "a slow one is not waited for");
	messages(1, 1, LANE_MAX);
	is_int(route_of(1)->mode, ROUTE_BACKLOG, "its messages go to the backlog");
	turn(0);
	ok(!engine.held, "nor is one in BACKLOG mode");
	finish("slow");
}

static void
test_keeps_up(void)
{
	start_held(1, 100);
	messages(1, 1, FULL);
	turn(0);
	answer_some(1, FULL / 2, OUTCOME_OK);
	turn(FLOW_TURNOVER_MS);
	ok(engine_wants_pause(&engine), "as much as is left, in time, is enough");
	turn(FLOW_TURNOVER_MS);
	ok(!engine_wants_pause(&engine), "but each time");
	finish("keeps up");
}

static void
test_starving(void)
{
	start_held(2, 100);
	messages(1, 1, FULL);
	turn(0);
	ok(!engine_wants_pause(&engine), "another route with nothing to do is not "
									 "kept waiting");
	messages(1, 2, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "one that is busy is");
	answer_some(2, FULL - 2, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "until it has little left");
	finish("starving");
}

static void
test_not_able(void)
{
	start_held(2, 100);
	set_route(2, SPEC_PAUSED, false);
	messages(1, 1, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "a paused route misses nothing");
	set_route(2, SPEC_ACTIVE, false);
	turn(0);
	ok(!engine_wants_pause(&engine), "until it is active again");
	messages(2, 2, 8);
	turn(0);
	answer_some(2, 8, OUTCOME_TRANSIENT);
	is_int(route_of(2)->circuit.state, CIRCUIT_OPEN, "its circuit opens");
	ok(engine_wants_pause(&engine), "then it misses nothing either");
	set_route(1, SPEC_PAUSED, false);
	turn(0);
	ok(!engine_wants_pause(&engine), "the full one is paused: no more waiting");
	is_int(route_of(1)->mode, ROUTE_BACKLOG, "it goes to the backlog");
	finish("not able");
}

static void
test_wal(void)
{
	start_held(1, 100);
	messages(1, 1, FULL);
	turn(0);
	engine_wal_end(&engine, next_lsn - 1 + HELD_WAL);
	turn(0);
	ok(engine_wants_pause(&engine), "so much WAL may wait");
	engine_wal_end(&engine, next_lsn + HELD_WAL);
	turn(0);
	ok(!engine_wants_pause(&engine), "and no more");
	engine_hold_up_to(&engine, 0);
	engine.wal_end = 0;
	turn(0);
	ok(!engine_wants_pause(&engine), "with 0 none at all");
	finish("WAL");
}

static void
test_memory(void)
{
	start_held(1, 100);
	engine.budget = 8 * 50000;
	engine.lane_max = 10000;
	while (engine.bytes < 6 * 50000 - 2000)
		message_for(1, 1, 1000);
	ok(!engine_wants_pause(&engine),
	   "the budget is nearly three quarters full");
	while (engine.bytes < 6 * 50000)
		message_for(1, 1, 1000);
	turn(0);
	ok(engine_wants_pause(&engine), "then the stream waits");
	answer_some(1, 50, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "until there is room");
	is_int(route_of(1)->mode, ROUTE_STREAM, "nothing went to the backlog");
	finish("memory");
}

/* What came while no relay ran is delivered from the lane too. */
static void
test_before_horizon(void)
{
	start_held(1, 100000);
	is_int(engine.phase, ENGINE_PASS, "the stream has yet to pass L");
	messages(1, 1, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "the stream waits there too");
	answer_some(1, FULL, OUTCOME_OK);
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && settling->segments.count == 0,
	   "nothing went to the backlog");
	is_int(idset_size(&settling->resolved[1]), FULL, "all is settled");
	is_int((int64_t) settling->position, 0, "but P stays, rule keepP");
	ok(!engine_wants_pause(&engine), "and the stream goes on");
	finish("before L");
}

int
main(void)
{
	test_waits();
	test_counts();
	test_slow();
	test_keeps_up();
	test_starving();
	test_not_able();
	test_wal();
	test_memory();
	test_before_horizon();
	return tap_done();
}
