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
	add_rows(1, 101, 100 + ROUTE_ROWS_MAX - 1);
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

/* Before the first turn in which no backlog is about to end. */
static void
test_first_gate(void)
{
	prepare(1, false);
	engine_backlog_summary(&engine, 1, 1, 1);
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, 100, false);
	turn(0);
	ok(engine_wants_pause(&engine), "a small backlog holds up the stream");
	turn(ENGINE_GATE_MS);
	ok(!engine_wants_pause(&engine), "for a moment");
	ok(engine_next_ms(&engine) > now_ms, "and no turn follows the other");
	finish("first gate");
}

int
main(void)
{
	test_went_back();
	test_unreadable();
	test_drain();
	test_first_gate();
	return tap_done();
}
