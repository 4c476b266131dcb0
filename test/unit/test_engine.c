/*
 * test/unit/test_engine.c
 *
 * The engine step by step: one rule each, told as a short story.  Random
 * schedules are test_simulation.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

static void
test_delivery(void)
{
	start(1, false);
	is_int(engine.phase, ENGINE_RUN, "nothing to wait for");
	message(1, "a", 1, false);
	message(2, "a", 1, false);
	message(3, "b", 1, false);
	turn(0);
	is_int(nout, 2, "one of each key is under way");
	ok(answer(1, OUTCOME_OK), "the first is delivered");
	ok(answer(2, OUTCOME_OK), "then the second");
	ok(settling == NULL, "nothing is settled at once");
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && idset_size(&settling->resolved[1]) == 2,
	   "two are settled a little later");
	is_int(settling->position, 220, "P stops before the open one");
	is_int(engine_settled(&engine), 220, "which may be confirmed");
	finish("delivery");
}

static void
test_settle_full(void)
{
	int64_t id = 0;

	start(1, false);
	while (settling == NULL && id < ENGINE_SETTLE_FACTS)
	{
		message(++id, "a", 1, false);
		turn(0);
		answer(id, OUTCOME_OK);
	}
	ok(settling != NULL, "with so many facts a settle does not wait");
	is_int(settling == NULL ? 0 : settling->count, ENGINE_SETTLE_FACTS,
		   "nor does it go out with fewer");
	finish("settle full");
}

static void
test_dead_durable(void)
{
	start(1, false);
	message(1, "a", 1, false);
	message(2, "a", 1, false);
	turn(0);
	answer(1, OUTCOME_PERMANENT);
	is_int(nout, 0, "a DEAD one holds its key");
	turn(ENGINE_SETTLE_MS);
	is_int(settling->parks.items[0].status, PARKED_DEAD, "the settle says so");
	is_int(nout, 0, "that is not yet committed");
	engine_settled(&engine);
	turn(0);
	is_int(nout, 1, "now the follower goes");
	finish("dead");
}

/* Each delivery is counted once, by the settle after it. */
static void
test_sent(void)
{
	start(2, false);
	message(1, "a", 2, false);
	message(2, "b", 1, false);
	turn(0);
	answer(1, OUTCOME_OK);
	answer(2, OUTCOME_TRANSIENT);
	turn(ENGINE_SETTLE_MS);
	is_int(settling->sent.count, 1, "one route has delivered");
	is_int(settling->sent.items[0].count, 1, "one message");
	is_int(settling->sent.items[0].generation, 0, "of this generation");
	engine_settled(&engine);
	answer(1, OUTCOME_OK);
	turn(ENGINE_SETTLE_MS);
	is_int(settling->sent.count, 1, "what was told is not told again");
	is_int(settling->sent.items[0].route_id, 2,
		   "the other delivery of the same message is");
	finish("sent");
}

/* One moment's circuit must not turn the order round. */
static void
test_return_in_order(void)
{
	start(1, true);
	message(1, "a", 1, false);
	message(2, "a", 1, false);
	turn(0);
	is_int(nout, 2, "two of a key, since the sink keeps order");
	nout = 0;
	engine_sink_closed(&engine, 1);
	turn(0);
	is_int(nout, 2, "both go again");
	is_int(out[0]->message->id, 1, "the first one first");
	finish("return");
}

static void
test_shared_body(void)
{
	WireMessage wire = {.id = 1,
						.type = {(const uint8_t *) "t", 1},
						.payload = {(const uint8_t *) "p", 1}};

	start(2, false);
	message(1, NULL, 2, true);
	turn(0);
	is_int(nfetching, 2, "a long body is read for each route");
	engine_fetched(&engine, fetching[0]);
	engine_body(fetching[1], &wire);
	engine_fetched(&engine, fetching[1]);
	turn(0);
	is_int(nout, 1, "one found it, the other was too early");
	turn(ROUTE_REREAD_MS);
	is_int(nout, 2, "and goes by what the first has read");
	is_int(nfetching, 2, "without reading it again");
	finish("shared");
}

static void
test_isolated_settle(void)
{
	RouteSpec spec = {
		.id = 1, .ordered = true, .state = SPEC_PAUSED, .concurrency = 1};

	start(2, false);
	engine_route(&engine, &spec, false);
	message(1, "a", 2, false);
	turn(0);
	is_int(nout, 1, "one route is paused, the other has it under way");
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && settling->segments.count == 1,
	   "its backlog is written all the same");
	is_int(idset_size(&settling->resolved[1]), 0, "the message is open still");
	finish("isolated");
}

static void
test_hold(void)
{
	WireRun run = {.nroutes = 1, .routes = {1}, .first = 1, .last = 1};

	now_ms = 1000;
	next_lsn = 200;
	nout = 0;
	settling = NULL;
	engine_init(&engine, &ops, NULL, 1, 1 << 20, 1);
	set_route(1, SPEC_ACTIVE, false);
	engine_routes_read(&engine);
	engine_begin_stream(&engine, 100, true);
	engine_snapshot(&engine, 100, false);
	message(2, "a", 1, false);
	engine_heartbeat(&engine);
	turn(1000);
	ok(nout == 0 && settling == NULL, "a hold sends and settles nothing");
	engine_unresolved(&engine, &run);
	engine_snapshot(&engine, 220, false);
	turn(0);
	ok(settling == NULL, "nor until the stream has passed L");
	engine_passed(&engine, 220);
	turn(0);
	ok(settling != NULL && settling->segments.count == 2 &&
		   settling->segments.items[0].ids[0] == 1 &&
		   settling->segments.items[1].ids[0] == 2 &&
		   settling->segments.items[0].seq < settling->segments.items[1].seq,
	   "then what the stream lacked comes before what it brought");
	is_int(settling->position, 220, "and P with them");
	finish("hold");
}

static void
test_dropped(void)
{
	start(1, false);
	message(1, "a", 2, false);
	turn(0);
	is_int(routes_asked, 1, "a route not known is asked for");
	engine_routes_read(&engine);
	turn(ENGINE_SETTLE_MS);
	ok(engine_next_ms(&engine) > now_ms, "it does not spin");
	finish("dropped");
}

static void
test_bad_frame(void)
{
	const char *error = NULL;
	uint8_t bells;

	start(1, false);
	ok(!engine_frame(&engine, "X", 1, &bells, &error) && error != NULL,
	   "a frame that is none is refused with a sentence");
	finish("bad frame");
}

int
main(void)
{
	test_delivery();
	test_settle_full();
	test_dead_durable();
	test_sent();
	test_return_in_order();
	test_shared_body();
	test_isolated_settle();
	test_hold();
	test_dropped();
	test_bad_frame();
	return tap_done();
}
