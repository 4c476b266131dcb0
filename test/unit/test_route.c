/*
 * test/unit/test_route.c
 *
 * What an answer means for a message and for those of its key, one short
 * story each.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

/* One that failed must not pass, as a row, the one that only went back. */
static void
test_went_back(void)
{
	Outcome held_back = {.class = OUTCOME_TRANSIENT,
						 .held_back = true,
						 .retry_after_ms = -1,
						 .error = "held back"};

	start(1, true);
	add_rows(1, 101, 100 + ROUTE_HELD_MAX - 1);
	message(1, "a", 1, false);
	message(2, "a", 1, false);
	turn(0);
	is_int(nout, 2, "two of a key, since the sink keeps order");
	answer_by(1, &held_back);
	is_int(nout, 1, "what was held back waits for the one behind it");
	answer(2, OUTCOME_TRANSIENT);
	is_int(nout, 2, "both go again, although no more rows fit");
	ok(nout == 2 && out[0]->message->id == 1, "the first one first");
	is_int(out[0]->attempt, 1, "no attempt of its own was used up");
	finish("went back");
}

static void
test_unreadable(void)
{
	start(2, false);
	message(1, "a", 2, true);
	message(2, "a", 1, false);
	turn(0);
	is_int(nfetching, 2, "a long body is read for each route");
	engine_unreadable(fetching[0], 1);
	engine_fetched(&engine, fetching[0]);
	turn(0);
	is_int(nout, 0, "it does not go out, and holds its key");
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && settling->parks.count == 1 &&
		   settling->parks.items[0].status == PARKED_DEAD,
	   "a row that cannot be read goes DEAD");
	ok(settling->parks.items[0].has_key, "with its key");
	is_str(settling->parks.items[0].error,
		   "the row in outbox.message cannot be read", "and with the reason");
	engine_settled(&engine);
	turn(0);
	is_int(nout, 1, "then the next of the key goes");
	finish("unreadable");
}

/* Its row was spoilt after another route had read it. */
static void
test_unreadable_later(void)
{
	start(2, false);
	message(1, "a", 2, true);
	turn(0);
	give_body(1, "a");
	engine_unreadable(fetching[0], 1);
	engine_fetched(&engine, fetching[0]);
	turn(0);
	is_int(nout, 2, "a body that is there does for both");
	finish("unreadable later");
}

/* Not every route answers before a relay is asked to stop. */
static void
test_drain(void)
{
	start(2, false);
	message(1, "a", 2, false);
	turn(0);
	is_int(nout, 2, "a message is under way on two routes");
	engine_sink_closed(&engine, 1);
	out[0] = out[--nout];
	out_room = nout;
	turn(0);
	engine_drain(&engine);
	engine_heartbeat(&engine);
	answer(1, OUTCOME_OK);
	turn(ENGINE_SETTLE_MS);
	while (settling != NULL)
	{
		settling = NULL;
		engine_settled(&engine);
		turn(ENGINE_SETTLE_MS);
	}
	ok(engine_idle(&engine), "one has answered, nothing is under way");
	is_int(engine.settled_position, 210, "and it is not open any more");
	finish("drain");
}

static void
test_wal_end(void)
{
	start(1, false);
	engine_wal_end(&engine, 500);
	engine_wal_end(&engine, 400);
	is_int(engine.wal_end, 500, "the end of the WAL does not go back");
	finish("WAL end");
}

/* Before the first turn in which no backlog is about to end. */
static void
test_first_gate(void)
{
	prepare(1, false);
	engine_backlog_summary(&engine, 1, NULL, 1, 1);
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, 100, false);
	turn(0);
	ok(engine_wants_pause(&engine), "a small backlog holds up the stream");
	turn(ENGINE_GATE_MS);
	ok(!engine_wants_pause(&engine), "for a moment");
	ok(engine_next_ms(&engine) > now_ms, "and no turn follows the other");
	finish("first gate");
}

static void
fail_five(void)
{
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		message(id, NULL, 1, false);
	turn(0);
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		answer(id, OUTCOME_TRANSIENT);
}

/* Which says as much of the destination as any other failure. */
static void
test_probe_held_back(void)
{
	Outcome held_back = {.class = OUTCOME_TRANSIENT,
						 .held_back = true,
						 .retry_after_ms = -1,
						 .error = "held back"};
	int64_t probe;

	start(1, false);
	fail_five();
	is_int(route_of(1)->circuit.state, CIRCUIT_OPEN, "the circuit is open");
	settle_now();
	turn(CIRCUIT_PROBE_MIN_MS);
	is_int(nfetching, 1, "its time comes, one row is read");
	probe = fetching[0]->ids[0];
	give_body(probe, NULL);
	turn(0);
	is_int(nout, 1, "and is under way as the probe");
	engine_sink_closed(&engine, 1);
	nout = 0;
	is_int(route_of(1)->circuit.state, CIRCUIT_OPEN,
		   "without an answer, since the sink was closed");
	turn(0);
	probe = fetching[0]->ids[0];
	give_body(probe, NULL);
	turn(0);
	is_int(nout, 1, "there is another probe");
	answer_by(probe, &held_back);
	is_int(route_of(1)->circuit.state, CIRCUIT_OPEN,
		   "held back it is no answer, and the circuit stays open");
	ok(route_of(1)->circuit.probe_at_ms >= now_ms + 2 * CIRCUIT_PROBE_MIN_MS,
	   "for longer than before");
	finish("probe held back");
}

/* A row whose time has come, and one before it that came to light later. */
static void
test_row_before_row(void)
{
	FactPark row = {.id = 2,
					.route_id = 1,
					.has_key = true,
					.key_hash = murmur2((const uint8_t *) "a", 1),
					.run = 1,
					.pos = 10,
					.status = PARKED_FAILED};

	prepare(1, false);
	engine_backlog_summary(&engine, 1, NULL, 1, 1);
	engine_row(&engine, &row, now_ms + 10);
	begin();
	give_segment(1, 1, 1, 1, 1);
	turn(0);
	give_body(1, "a");
	turn(20);
	is_int(nfetching, 0, "one of its key stands before it");
	settle_now();
	turn(0);
	is_int(nfetching, 1, "and goes first");
	is_int(fetching[0]->ids[0], 1, "as soon as it has its row");
	finish("row before row");
}

/* One goes out, the others are in its way when the circuit opens. */
static void
test_open_inflight(void)
{
	start(1, false);
	for (int64_t id = 1; id <= CIRCUIT_TRIP + 1; id++)
		message(id, NULL, 1, false);
	turn(0);
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		answer(id, OUTCOME_TRANSIENT);
	settle_now();
	is_int(engine_next_ms(&engine), INT64_MAX,
		   "no probe before what is under way has its answer");
	answer(CIRCUIT_TRIP + 1, OUTCOME_OK);
	is_int(route_of(1)->circuit.state, CIRCUIT_CLOSED, "which closes it");
	finish("open inflight");
}

static void
test_inflight(void)
{
	start(1, false);
	message(1, NULL, 1, false);
	turn(0);
	is_int(engine_inflight(&engine, 1), 1, "one delivery is under way");
	is_int(engine_inflight(&engine, 2), 0, "none on a route not heard of");
	finish("inflight");
}

/* Messages without a route are resolved at once, each a fact. */
static void
test_stall(void)
{
	start(1, false);
	message(1, NULL, 0, false);
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && !engine_is_stalled(&engine), "a settle is out");
	for (int64_t id = 2; id <= ENGINE_STALL_FACTS; id++)
		message(id, NULL, 0, false);
	ok(!engine_is_stalled(&engine), "and not too much waits for it");
	message(ENGINE_STALL_FACTS + 1, NULL, 0, false);
	ok(engine_wants_pause(&engine), "now it does");
	engine_settled(&engine);
	ok(!engine_wants_pause(&engine), "until it is committed");
	finish("stall");
}

/* What always fails is not the only one that is tried while a circuit is open. */
static void
test_probe_turns(void)
{
	FactPark row = {.id = 1, .route_id = 1, .run = 1, .status = PARKED_FAILED};
	Route *route;

	prepare(1, false);
	route = route_of(1);
	engine_row(&engine, &row, now_ms);
	engine.hold = false;
	route->circuit = (Circuit){.state = CIRCUIT_OPEN, .probe_at_ms = now_ms};
	ok(park_may_probe(route, true) && !park_may_probe(route, false),
	   "a row is the probe where there is no backlog");
	route->backlog.ids = 1;
	ok(park_may_probe(route, true), "and at first where there is one");
	route->circuit.probes = 1;
	ok(!park_may_probe(route, true) && park_may_probe(route, false),
	   "after one that failed it is the backlog's turn");
	is_int(park_probe_ms(route), now_ms + CIRCUIT_PROBE_MIN_MS,
		   "which is over a little later");
	engine_clock(&engine, park_probe_ms(route), 0);
	ok(park_may_probe(route, true), "when it has offered none");
	route->backlog.ids = 0;
	finish("probe");
}

/* The probe that failed is a row then, and no attempt of it is used up. */
static void
test_probe_fails(void)
{
	start(1, false);
	message(1, "a", 1, false);
	turn(0);
	route_of(1)->circuit.state = CIRCUIT_PROBING;
	answer(1, OUTCOME_TRANSIENT);
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && settling->parks.count == 1 &&
		   settling->parks.items[0].status == PARKED_FAILED,
	   "a probe that fails makes place for another");
	is_int(settling->parks.items[0].retry_count, 0, "without an attempt");
	finish("probe fails");
}

int
main(void)
{
	test_probe_held_back();
	test_row_before_row();
	test_open_inflight();
	test_inflight();
	test_wal_end();
	test_stall();
	test_went_back();
	test_unreadable();
	test_unreadable_later();
	test_drain();
	test_first_gate();
	test_probe_turns();
	test_probe_fails();
	return tap_done();
}
