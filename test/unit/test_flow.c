/*
 * test/unit/test_flow.c
 *
 * When the stream waits for a route, and when it must not: one rule each, told
 * as a short story.  Random schedules are test_simulation.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/flow.h"

#include <string.h>

#include "tap.h"

#define LANE_MAX 64
#define FULL FLOW_FULL(LANE_MAX)
#define OUT_MAX 256
#define BUDGET (1 << 20)
#define HELD_WAL 100000

static Engine engine;
static Delivery *out[OUT_MAX];
static int16_t out_route[OUT_MAX];
static int nout;
static const Facts *settling;
static int64_t now_ms;
static int64_t next_id;
static uint64_t next_lsn;

static bool
op_submit(void *arg, Route *route, Delivery *delivery)
{
	(void) arg;
	out_route[nout] = route->spec.id;
	out[nout++] = delivery;
	return true;
}

static void
op_fetch(void *arg, FetchBatch *batch)
{
	(void) arg, (void) batch;
}

static void
op_read_backlog(void *arg, Backlog *backlog, int64_t after)
{
	(void) arg, (void) backlog, (void) after;
}

static void
op_settle(void *arg, const Facts *facts)
{
	(void) arg;
	settling = facts;
}

static void
op_read_routes(void *arg)
{
	(void) arg;
}

static const EngineOps ops = {op_submit, op_fetch, op_read_backlog, op_settle,
							  op_read_routes};

static void
turn(int64_t ms)
{
	now_ms += ms;
	engine_clock(&engine, now_ms, now_ms * 1000);
	engine_run(&engine);
}

static void
tell_route(int16_t id, SpecState state)
{
	RouteSpec spec = {.id = id,
					  .state = state,
					  .retry_initial_ms = 100,
					  .retry_max_ms = 1000,
					  .retry_multiplier = 2,
					  .max_attempts = 3,
					  .concurrency = 8};

	engine_route(&engine, &spec, false);
}

/* Routes 1 .. n; the stream has yet to pass horizon. */
static void
start(int16_t n, uint64_t horizon)
{
	now_ms = 1000;
	next_id = 0;
	next_lsn = 200;
	nout = 0;
	settling = NULL;
	engine_init(&engine, &ops, NULL, 1, BUDGET, 1);
	engine_hold_up_to(&engine, HELD_WAL);
	engine.lane_max = LANE_MAX;
	engine_clock(&engine, now_ms, now_ms * 1000);
	for (int16_t r = 1; r <= n; r++)
		tell_route(r, SPEC_ACTIVE);
	engine_routes_read(&engine);
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, horizon, false);
	turn(0);
}

/* A transaction of one message, for the routes first .. last. */
static void
message(int16_t first, int16_t last, uint32_t len)
{
	static uint8_t bytes[WIRE_FRAME_MAX];
	static uint8_t payload[WIRE_FRAME_MAX];
	WireWriter writer;
	WireFrame frame = {.kind = WIRE_TRANSACTION,
					   .flags = WIRE_LAST,
					   .xid = 1,
					   .commit_end = next_lsn += 10,
					   .count = 1};
	WireMessage wire = {.id = ++next_id,
						.type = {(const uint8_t *) "t", 1},
						.payload = {payload, len}};
	const char *error;
	uint8_t bells;

	for (int16_t r = first; r <= last; r++)
		wire.routes[wire.nroutes++] = r;
	wire_writer_init(&writer, bytes, sizeof(bytes));
	wire_frame_write(&writer, &frame);
	wire_message_write(&writer, &wire);
	if (!engine_frame(&engine, bytes, writer.len, &bells, &error))
		diag("%s", error);
}

static void
messages(int16_t first, int16_t last, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		message(first, last, 10);
}

/* Answers so many deliveries of the route, the oldest first. */
static void
answer(int16_t route_id, uint32_t count, OutcomeClass class)
{
	Outcome outcome = {.class = class, .retry_after_ms = -1, .error = "no"};

	for (int i = 0; i < nout && count > 0;)
	{
		Delivery *delivery = out[i];

		if (out_route[i] != route_id)
		{
			i++;
			continue;
		}
		nout--;
		memmove(&out[i], &out[i + 1], (size_t) (nout - i) * sizeof(out[0]));
		memmove(&out_route[i], &out_route[i + 1],
				(size_t) (nout - i) * sizeof(out_route[0]));
		engine_done(&engine, delivery, &outcome);
		turn(0);
		count--;
		i = 0;
	}
}

static Route *
route(int16_t id)
{
	return engine_find_route(&engine, id);
}

static void
finish(const char *story)
{
	engine_reset(&engine);
	is_int(engine.bytes, 0, "%s: no bytes are left", story);
}

static void
test_waits(void)
{
	start(1, 100);
	messages(1, 1, FULL - 1);
	ok(!engine_wants_pause(&engine), "a lane with room takes more");
	messages(1, 1, 1);
	ok(engine_wants_pause(&engine), "a full one is looked at before the next");
	turn(0);
	ok(engine_wants_pause(&engine), "and the stream waits for it");
	is_int(engine_next_ms(&engine), now_ms + FLOW_TURNOVER_MS,
		   "but not without looking again");
	answer(1, FULL / 2, OUTCOME_OK);
	ok(engine_wants_pause(&engine), "until half of it");
	answer(1, 1, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "has gone");
	is_int(route(1)->mode, ROUTE_STREAM, "the route is still in STREAM mode");
	finish("waits");
}

static void
test_counts(void)
{
	start(1, 100);
	messages(1, 1, FULL);
	turn(0);
	turn(100);
	answer(1, FULL, OUTCOME_OK);
	is_int(engine.held_ms, 100, "how long it waited is counted");
	turn(100);
	is_int(engine.held_ms, 100, "and no more than that");
	finish("counts");
}

static void
test_slow(void)
{
	start(1, 100);
	messages(1, 1, FULL);
	turn(0);
	answer(1, 2, OUTCOME_OK);
	turn(FLOW_TURNOVER_MS - 1);
	ok(engine_wants_pause(&engine), "a route is given a moment to show");
	turn(1);
	ok(!engine_wants_pause(&engine), "a slow one is not waited for");
	messages(1, 1, LANE_MAX);
	is_int(route(1)->mode, ROUTE_BACKLOG, "its messages go to the backlog");
	turn(0);
	ok(!engine.held, "nor is one in BACKLOG mode");
	finish("slow");
}

static void
test_keeps_up(void)
{
	start(1, 100);
	messages(1, 1, FULL);
	turn(0);
	answer(1, FULL / 2, OUTCOME_OK);
	turn(FLOW_TURNOVER_MS);
	ok(engine_wants_pause(&engine), "as much as is left, in time, is enough");
	turn(FLOW_TURNOVER_MS);
	ok(!engine_wants_pause(&engine), "but each time");
	finish("keeps up");
}

static void
test_starving(void)
{
	start(2, 100);
	messages(1, 1, FULL);
	turn(0);
	ok(!engine_wants_pause(&engine), "another route with nothing to do is not "
									 "kept waiting");
	messages(1, 2, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "one that is busy is");
	answer(2, FULL - 2, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "until it has little left");
	finish("starving");
}

static void
test_not_able(void)
{
	start(2, 100);
	tell_route(2, SPEC_PAUSED);
	messages(1, 1, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "a paused route misses nothing");
	tell_route(2, SPEC_ACTIVE);
	turn(0);
	ok(!engine_wants_pause(&engine), "until it is active again");
	messages(2, 2, 8);
	turn(0);
	answer(2, 8, OUTCOME_TRANSIENT);
	is_int(route(2)->circuit.state, CIRCUIT_OPEN, "its circuit opens");
	ok(engine_wants_pause(&engine), "then it misses nothing either");
	tell_route(1, SPEC_PAUSED);
	turn(0);
	ok(!engine_wants_pause(&engine), "the full one is paused: no more waiting");
	is_int(route(1)->mode, ROUTE_BACKLOG, "it goes to the backlog");
	finish("not able");
}

static void
test_wal(void)
{
	start(1, 100);
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
	start(1, 100);
	engine.budget = 8 * 50000;
	engine.lane_max = 10000;
	while (engine.bytes < 6 * 50000 - 2000)
		message(1, 1, 1000);
	ok(!engine_wants_pause(&engine),
	   "the budget is nearly three quarters full");
	while (engine.bytes < 6 * 50000)
		message(1, 1, 1000);
	turn(0);
	ok(engine_wants_pause(&engine), "then the stream waits");
	answer(1, 50, OUTCOME_OK);
	ok(!engine_wants_pause(&engine), "until there is room");
	is_int(route(1)->mode, ROUTE_STREAM, "nothing went to the backlog");
	finish("memory");
}

/* What came while no relay ran is delivered from the lane too. */
static void
test_before_horizon(void)
{
	start(1, 100000);
	is_int(engine.phase, ENGINE_PASS, "the stream has yet to pass L");
	messages(1, 1, FULL);
	turn(0);
	ok(engine_wants_pause(&engine), "the stream waits there too");
	answer(1, FULL, OUTCOME_OK);
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
