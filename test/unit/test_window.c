/*
 * test/unit/test_window.c
 *
 * What is read for a route and when: one short story each.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

/* Three of the backlog; the first is under way, the others are not found. */
static void
start_missing(void)
{
	prepare(1, false);
	engine_backlog_summary(&engine, 1, NULL, 1, 3);
	begin();
	give_segment(1, 1, 1, 1, 3);
	turn(0);
	give_body(1, NULL);
	turn(0);
}

static void
test_reread(void)
{
	start_missing();
	is_int(nout, 1, "what was found goes out");
	is_int(engine_next_ms(&engine), now_ms + ROUTE_REREAD_MS,
		   "what was not is looked for again");
	turn(ROUTE_REREAD_MS);
	is_int(nfetching, 1, "later");
	is_int(fetching[0]->count, 2, "both of them");
	finish("reread");
}

/* Memory is full and a destination hangs: there is nothing to do but wait. */
static void
test_full(void)
{
	start_missing();
	engine.budget = -1;
	turn(ROUTE_REREAD_MS);
	is_int(nfetching, 0, "nothing is read while memory is full");
	ok(engine_next_ms(&engine) > now_ms, "and no turn follows the other");
	answer(1, OUTCOME_OK);
	turn(0);
	is_int(nfetching, 1, "but when nothing is under way one message is");
	is_int(fetching[0]->count, 1, "so that the route goes on");
	finish("full");
}

static void
test_not_asked(void)
{
	WireMessage wire = wire_of(99, NULL, 1, false);

	start(1, false);
	message(1, NULL, 1, true);
	turn(0);
	engine_body(fetching[0], &wire);
	engine_unreadable(fetching[0], 98);
	give_body(1, NULL);
	turn(0);
	is_int(nout, 0, "answers come in the order of the question");
	turn(ROUTE_REREAD_MS);
	give_body(1, NULL);
	turn(0);
	is_int(nout, 1, "so it is asked again");
	finish("not asked");
}

static void
test_large(void)
{
	uint32_t len = 2 * ROUTE_FETCH_BYTES;
	uint8_t *payload = calloc(1, len);
	WireMessage wire = wire_of(1, NULL, 1, false);

	start(1, false);
	engine.budget = 10 * len;
	message(1, NULL, 1, true);
	turn(0);
	wire.payload = (WireBytes){payload, len};
	engine_body(fetching[0], &wire);
	engine_fetched(&engine, fetching[0]);
	nfetching = 0;
	message(2, NULL, 1, true);
	message(3, NULL, 1, true);
	turn(0);
	is_int(nfetching, 1, "after a long body");
	is_int(fetching[0]->count, 1, "one is asked for at a time");
	free(payload);
	finish("large");
}

/* It came back while its place is not written yet. */
static void
test_evict(void)
{
	start(1, false);
	for (int64_t id = 1; id <= CIRCUIT_TRIP + 1; id++)
		message(id, NULL, 1, false);
	turn(0);
	for (int64_t id = 1; id <= CIRCUIT_TRIP + 1; id++)
		answer(id, OUTCOME_TRANSIENT);
	is_int(route_of(1)->circuit.state, CIRCUIT_OPEN, "the circuit is open");
	is_int(route_of(1)->lane_count, 1, "the last one stood in the tail");
	settle_now();
	is_int(route_of(1)->backlog.ids, 2, "and is written with the one before");
	finish("evict");
}

/* An open circuit does not keep a row from being looked for. */
static void
test_reread_open(void)
{
	FactPark row = {.id = 99, .route_id = 1, .status = PARKED_FAILED};

	prepare(1, false);
	engine_row(&engine, &row, now_ms);
	begin();
	engine_fetched(&engine, fetching[0]);
	nfetching = 0;
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		message(id, NULL, 1, false);
	turn(0);
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		answer(id, OUTCOME_TRANSIENT);
	settle_now();
	is_int(engine_next_ms(&engine), 1000 + ROUTE_REREAD_MS,
		   "next the row is read again");
	turn(ROUTE_REREAD_MS - ENGINE_SETTLE_MS);
	is_int(nfetching, 1, "at its time");
	is_int(engine_next_ms(&engine), 1000 + CIRCUIT_PROBE_MIN_MS,
		   "then the probe is due");
	finish("reread open");
}

static void
test_row_first(void)
{
	FactPark row = {.id = 99, .route_id = 1, .status = PARKED_FAILED};

	start_missing();
	engine_row(&engine, &row, now_ms + ROUTE_REREAD_MS / 2);
	is_int(engine_next_ms(&engine), now_ms + ROUTE_REREAD_MS / 2,
		   "a row that is due before that goes before that");
	finish("row first");
}

int
main(void)
{
	test_row_first();
	test_reread();
	test_full();
	test_not_asked();
	test_large();
	test_evict();
	test_reread_open();
	return tap_done();
}
