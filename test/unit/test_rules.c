/*
 * test/unit/test_rules.c
 *
 * Rules of the engine that a random schedule does not see broken: when
 * something happens, how much at a time, and what is told about it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

/* ---------- settle ---------- */

static void
test_settle_in_time(void)
{
	start(1, false);
	for (int64_t id = 1; id <= 6; id++)
	{
		message(id, NULL, 1, false);
		turn(0);
		answer(id, OUTCOME_OK);
		turn(10);
	}
	is_int(settles, 1, "a settle goes out in time while more comes");
	settle_and_go_on();
	turn(2 * ENGINE_SETTLE_MS);
	settle_and_go_on();
	is_int(settles, 2, "and one for the rest");
	engine_heartbeat(&engine);
	turn(0);
	settle_and_go_on();
	turn(1000);
	is_int(settles, 3, "a heartbeat is one settle");
	finish("settle in time");
}

static void
test_stalled(void)
{
	start(1, false);
	message(1, NULL, 1, false);
	turn(0);
	answer(1, OUTCOME_OK);
	turn(ENGINE_SETTLE_MS);
	turn(ENGINE_STALL_MS - 1);
	ok(!engine_wants_pause(&engine), "a slow settle stops nothing");
	turn(1);
	ok(engine_wants_pause(&engine), "a stalled one stops the stream");
	message(2, NULL, 1, false);
	turn(0);
	is_int(nout, 0, "and the sending");
	settle_and_go_on();
	is_int(nout, 1, "until it is answered");
	finish("stalled");
}

static void
test_drain(void)
{
	FactPark row = {.id = 9, .route_id = 1, .status = PARKED_FAILED, .run = 1};

	prepare(1, false);
	engine_row(&engine, &row, now_ms);
	begin();
	message(1, NULL, 1, false);
	turn(0);
	engine_drain(&engine);
	give_bodies("a", "p");
	message(2, NULL, 1, false);
	turn(0);
	is_int(nout, 1, "a drain takes nothing new to the sink, no retry either");
	settle_and_go_on();
	settle_and_go_on();
	ok(!engine_idle(&engine), "it waits for what is under way");
	answer(1, OUTCOME_OK);
	ok(!engine_idle(&engine), "and for the settle");
	settle_and_go_on();
	ok(engine_idle(&engine), "then it is over");
	finish("drain");
}

/* ---------- the ordering key ---------- */

/* How many of two messages with these keys go at once. */
static int
at_once(const char *key1, const char *sharding1, const char *key2,
		const char *sharding2)
{
	WireMessage wire;
	int n;

	start(1, false);
	wire = wire_of(1, key1, 1, false);
	wire.sharding_key = bytes_of(sharding1);
	transaction(&wire);
	wire = wire_of(2, key2, 1, false);
	wire.sharding_key = bytes_of(sharding2);
	transaction(&wire);
	turn(0);
	n = nout;
	engine_reset(&engine);
	return n;
}

static void
test_ordering_key(void)
{
	is_int(at_once("a", "s", "a", "t"), 1, "the message key is the key");
	is_int(at_once("a", "s", "c", "s"), 2, "the sharding key then is not");
	is_int(at_once(NULL, "s", NULL, "s"), 1, "without one it is");
	is_int(at_once(NULL, NULL, NULL, NULL), 2, "without both is no order");
}

/* The keys of what is in memory were made by the first answer. */
static void
test_ordering_changed(void)
{
	RouteSpec spec = plain_spec(1);

	start(1, false);
	message(1, "a", 1, false);
	spec.ordered = false;
	engine_route(&engine, &spec, false);
	message(2, "a", 1, false);
	turn(0);
	is_int(nout, 1, "a change of ordering counts after the next start");
	finish("ordering");
}

/* ---------- hold ---------- */

/* Nothing is sent, and nothing is read that could be. */
static void
test_hold_reads_nothing(void)
{
	FactPark row = {.id = 1, .route_id = 1, .status = PARKED_FAILED, .run = 1};

	prepare(2, false);
	engine_row(&engine, &row, now_ms);
	engine_backlog_summary(&engine, 2, NULL, 1, 3);
	engine_begin_stream(&engine, 100, true);
	engine_snapshot(&engine, 100, false);
	turn(1000);
	is_int(nfetching + nreading, 0, "in a hold nothing is read");
	engine_snapshot(&engine, 100, false);
	turn(0);
	is_int(nfetching, 1, "after it the row is");
	is_int(nreading, 1, "and the backlog");
	finish("hold");
}

/* As session_end does it: the lease is gone, so nothing may go out. */
static void
test_hold_while_running(void)
{
	start(1, false);
	message(1, "a", 1, false);
	engine.hold = true;
	turn(0);
	is_int(nout, 0, "a hold stops what is ready to go");
	finish("hold while running");
}

static void
test_missing_route(void)
{
	start(0, false);
	message(1, "a", 1, false);
	turn(0);
	is_int(routes_asked, 1, "a route that is not known is asked for");
	engine_routes_read(&engine);
	turn(0);
	settle_and_go_on();
	is_int(nreading, 1, "one that is not there takes its backlog");
	is_int(route_of(1)->spec.state, SPEC_DROPPED, "to its end");
	finish("missing route");
}

/* ---------- how much ---------- */

static void
test_concurrency(void)
{
	int most = plain_spec(1).concurrency;

	start(1, false);
	for (int64_t id = 1; id <= most + 5; id++)
		message(id, NULL, 1, false);
	turn(0);
	is_int(nout, most, "so many are under way");
	answer(1, OUTCOME_OK);
	is_int(nout, most, "one for each that landed");
	finish("concurrency");
}

static void
test_budget_of_lanes(void)
{
	Route *route;

	start(1, false);
	engine.budget = 100;
	route = route_of(1);
	for (int64_t id = 1; id <= ROUTE_LANE_SHORT; id++)
		message(id, "a", 1, false);
	is_int(route->mode, ROUTE_STREAM, "a short lane is not cut");
	message(1000, "a", 1, false);
	is_int(route->mode, ROUTE_BACKLOG, "a longer one is, over the budget");
	finish("budget of lanes");
}

static void
test_budget_of_window(void)
{
	int64_t ids[] = {1, 2, 3};

	prepare(1, false);
	engine.budget = 100;
	engine_backlog_summary(&engine, 1, NULL, 1, 3);
	begin();
	is_int(nreading, 1, "the backlog is read");
	give_ids(1, 1, ids, 3);
	is_int(fetching[0]->count, 3, "what is within the budget");
	give_bodies(NULL, "a payload that takes up what there is of memory and "
					  "therefore leaves no room for any other one");
	is_int(nout, 3, "goes");
	finish("budget of window");
}

static void
test_budget_exceeded(void)
{
	int64_t ids[] = {1, 2, 3};

	prepare(2, false);
	engine.budget = 10;
	engine_backlog_summary(&engine, 2, NULL, 1, 3);
	begin();
	message(9, NULL, 1, false);
	turn(0);
	give_ids(2, 1, ids, 3);
	is_int(fetching[0]->count, 1, "over the budget one is read");
	give_bodies(NULL, "p");
	ok(out_at(1) >= 0, "and sent");
	is_int(nfetching, 0, "the next is not read");
	answer(1, OUTCOME_OK);
	is_int(nfetching, 1, "until that has gone");
	finish("budget exceeded");
}

static void
test_too_old(void)
{
	Route *route;

	start(1, false);
	route = route_of(1);
	message(1, "a", 1, false);
	turn(ROUTE_LANE_MS - 1);
	is_int(route->mode, ROUTE_STREAM, "a slow answer is waited for");
	turn(1);
	is_int(route->mode, ROUTE_BACKLOG, "then it must not hold up P");
	is_int(settle_and_go_on(), 210, "which goes past it");
	finish("too old");
}

static void
test_paused(void)
{
	RouteSpec spec = plain_spec(1);

	prepare(1, false);
	spec.state = SPEC_PAUSED;
	engine_route(&engine, &spec, false);
	engine_backlog_summary(&engine, 1, NULL, 1, 3);
	begin();
	is_int(nreading, 0, "of a paused route nothing is read");
	spec.state = SPEC_ACTIVE;
	engine_route(&engine, &spec, false);
	turn(0);
	is_int(nreading, 1, "until it goes on");
	finish("paused");
}

/* ---------- the gate ---------- */

/* Milliseconds until the stream is held up again, at most this. */
static int64_t
until_gate(int64_t most)
{
	int64_t from = now_ms;

	while (!engine_wants_pause(&engine) && now_ms - from < most)
		turn(10);
	return now_ms - from;
}

static void
test_gate(void)
{
	prepare(1, false);
	engine_backlog_summary(&engine, 1, NULL, 1, 3);
	begin();
	ok(engine_wants_pause(&engine), "an ending backlog stops the stream");
	turn(ENGINE_GATE_MS);
	ok(!engine_wants_pause(&engine), "for a moment");
	is_int(until_gate(10000), ENGINE_GATE_EVERY_MS - ENGINE_GATE_MS,
		   "and again");
	turn(ENGINE_GATE_MS);
	is_int(until_gate(10000), 2 * ENGINE_GATE_EVERY_MS - ENGINE_GATE_MS,
		   "but later when that was in vain");
	finish("gate");
}

int
main(void)
{
	test_settle_in_time();
	test_stalled();
	test_drain();
	test_ordering_key();
	test_ordering_changed();
	test_hold_reads_nothing();
	test_hold_while_running();
	test_missing_route();
	test_concurrency();
	test_budget_of_lanes();
	test_budget_of_window();
	test_budget_exceeded();
	test_too_old();
	test_paused();
	test_gate();
	return tap_done();
}
