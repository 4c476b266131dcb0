/*
 * test/unit/test_attempts.c
 *
 * What becomes of a message that fails: its attempts, its row, its followers,
 * and the circuit of its route.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/retry.h"

#include "engine_bench.h"

/* Fails message id, the only one, and lets its time come. */
static void
fail_and_wait(int64_t id)
{
	answer(id, OUTCOME_TRANSIENT);
	settle_and_go_on();
	turn(1000);
	if (nfetching > 0)
		give_bodies("a", "p");
}

static void
test_attempts(void)
{
	start(1, false);
	message(1, "a", 1, false);
	turn(0);
	is_int(out[0]->attempt, 1, "the first attempt");
	fail_and_wait(1);
	is_int(out[0]->attempt, 2, "the second");
	fail_and_wait(1);
	is_int(out[0]->attempt, 3, "the last");
	answer(1, OUTCOME_TRANSIENT);
	turn(ENGINE_SETTLE_MS);
	is_int(settling->parks.items[0].status, PARKED_DEAD, "then DEAD");
	is_int(settling->parks.items[0].retry_count, 3, "after so many");
	finish("attempts");
}

static void
test_attempts_of_before(void)
{
	FactPark row = {.id = 1,
					.route_id = 1,
					.status = PARKED_FAILED,
					.retry_count = 2,
					.run = 1};

	prepare(1, false);
	engine_row(&engine, &row, now_ms);
	begin();
	give_bodies("a", "p");
	is_int(out[0]->attempt, 3, "a start knows of the attempts before");
	finish("attempts of before");
}

/* As a clock left it that was a day ahead. */
static void
test_put_off_too_far(void)
{
	FactPark row = {.id = 1, .route_id = 1, .status = PARKED_FAILED, .run = 1};

	prepare(1, false);
	engine_row(&engine, &row, now_ms + 24 * RETRY_AFTER_MAX_MS);
	begin();
	turn(RETRY_AFTER_MAX_MS - 1);
	is_int(nfetching, 0, "a retry may be an hour away");
	turn(1);
	is_int(nfetching, 1, "and no more");
	finish("put off too far");
}

static void
test_attempt_told(void)
{
	Outcome outcome = {.class = OUTCOME_TRANSIENT,
					   .retry_after_ms = -1,
					   .duration_us = 30000,
					   .error = "no"};
	const FactPark *park;

	start(1, false);
	message(1, "a", 1, false);
	turn(500);
	answer_by(1, &outcome);
	turn(ENGINE_SETTLE_MS);
	park = &settling->parks.items[0];
	is_int(settling->attempts.items[0].started_ms, 1470,
		   "an attempt began when it was sent");
	ok(park->retry_in_ms >= 50 && park->retry_in_ms <= 100,
	   "the next one comes between half the delay and all of it");
	settle_and_go_on();
	is_int(nfetching, 0, "not at once");
	turn(100);
	is_int(nfetching, 1, "but then");
	finish("attempt told");
}

static void
test_held_back(void)
{
	Outcome outcome = {
		.class = OUTCOME_TRANSIENT, .held_back = true, .retry_after_ms = -1};

	start(1, false);
	message(1, "a", 1, false);
	turn(0);
	for (int i = 0; i < 2 * CIRCUIT_TRIP; i++)
		answer_by(1, &outcome);
	is_int(nout, 1, "what the sink held back goes again");
	is_int(out[0]->attempt, 1, "and has used up no attempt");
	is_int(route_of(1)->circuit.failures, 0, "nor says it of the route");
	is_int(route_of(1)->stats.outcomes[OUTCOME_TRANSIENT], 0, "or counts it");
	is_int(engine_facts(&engine)->attempts.count, 0, "or traces it");
	finish("held back");
}

/* Past ROUTE_HELD_MAX nothing is sent that might be one more. */
static void
test_rows_full(void)
{
	RouteSpec spec = plain_spec(1);
	Route *route;

	start(1, false);
	spec.concurrency = 1;
	engine_route(&engine, &spec, false);
	route = route_of(1);
	message(1, "a", 1, false);
	turn(0);
	message(2, "b", 1, false);
	add_rows(1, 3, ROUTE_HELD_MAX + 1);
	answer(1, OUTCOME_TRANSIENT);
	is_int(route->nrows, ROUTE_HELD_MAX, "so many rows and no more");
	is_int(nout, 0, "another key waits until there is room");
	settle_and_go_on();
	turn(1000);
	give_bodies("a", "p");
	ok(out_at(1) >= 0, "a retry makes some");
	finish("rows full");
}

/* ---------- the circuit ---------- */

/* Messages first .. last, each of its own key, fail. */
static void
fail_each(int64_t first, int64_t last)
{
	for (int64_t id = first; id <= last; id++)
	{
		char key[24];

		snprintf(key, sizeof(key), "%d", (int) id);
		message(id, key, 1, false);
		turn(0);
		answer(id, OUTCOME_TRANSIENT);
	}
}

static void
test_circuit_opens(void)
{
	Route *route;

	start(1, false);
	route = route_of(1);
	fail_each(1, CIRCUIT_TRIP - 1);
	message(50, "x", 1, false);
	turn(0);
	answer(50, OUTCOME_PERMANENT);
	fail_each(11, 10 + CIRCUIT_TRIP - 1);
	is_int(route->circuit.state, CIRCUIT_CLOSED,
		   "a refusal shows the destination alive");
	is_int(route->mode, ROUTE_STREAM, "the route streams");
	fail_each(99, 99);
	is_int(route->circuit.state, CIRCUIT_OPEN, "so many failures open it");
	is_int(route->mode, ROUTE_BACKLOG, "what comes now goes to the backlog");
	settle_and_go_on();
	turn(CIRCUIT_PROBE_MIN_MS / 2);
	is_int(nfetching, 0, "due rows wait, too");
	turn(CIRCUIT_PROBE_MIN_MS);
	is_int(route->nretries, 1, "one of them is the probe");
	finish("circuit");
}

static void
test_probe_lost(void)
{
	start(1, false);
	fail_each(1, CIRCUIT_TRIP);
	settle_and_go_on();
	turn(CIRCUIT_PROBE_MIN_MS);
	give_bodies("a", "p");
	is_int(route_of(1)->circuit.state, CIRCUIT_PROBING, "a probe is out");
	nout = 0;
	engine_sink_closed(&engine, 1);
	turn(0);
	turn(0);
	is_int(nfetching, 1, "lost with its sink it is made again");
	finish("probe lost");
}

/* One that fails behind a failed one of its key only waits behind it. */
static void
test_follower(void)
{
	const FactPark *park;

	prepare(1, true);
	begin();
	message(1, "a", 1, false);
	message(2, "a", 1, false);
	turn(0);
	is_int(nout, 2, "two of a key, since the sink keeps order");
	answer(1, OUTCOME_TRANSIENT);
	answer(2, OUTCOME_TRANSIENT);
	turn(ENGINE_SETTLE_MS);
	park = settling->parks.items;
	is_int(park[0].status, PARKED_FAILED, "the first is FAILED");
	is_int(park[1].status, PARKED_NEW, "the second is NEW behind it");
	is_int(park[1].retry_count, 0, "and has used up no attempt");
	finish("follower");
}

int
main(void)
{
	test_attempts();
	test_attempts_of_before();
	test_put_off_too_far();
	test_attempt_told();
	test_held_back();
	test_rows_full();
	test_circuit_opens();
	test_probe_lost();
	test_follower();
	return tap_done();
}
