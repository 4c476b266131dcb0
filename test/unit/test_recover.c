/*
 * test/unit/test_recover.c
 *
 * The steps of reconcile where order within one moment counts, which the
 * stream's pauses keep from most random schedules.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

static void
tell_unresolved(int64_t first, int64_t last)
{
	WireRun run = {.nroutes = 1, .routes = {1}, .first = first, .last = last};

	engine_unresolved(&engine, &run);
}

/* How many segments of what is being settled have this id. */
static int
times_in_backlog(int64_t id)
{
	int times = 0;

	if (settling == NULL)
		return 0;
	for (uint32_t i = 0; i < settling->segments.count; i++)
		for (uint32_t k = 0; k < settling->segments.items[i].nids; k++)
			times += settling->segments.items[i].ids[k] == id;
	return times;
}

/* In phase PASS of a gap, with L at 210 and these ids in U. */
static void
begin_gap(uint64_t horizon, int64_t first, int64_t last, bool early)
{
	prepare(1, false);
	engine_begin_stream(&engine, 100, true);
	engine_snapshot(&engine, 100, false);
	tell_unresolved(first, last);
	engine_snapshot(&engine, horizon, early);
}

static void
test_inside_transaction(void)
{
	WireMessage one = wire_of(1, NULL, 1, false);
	WireMessage two = wire_of(2, NULL, 1, false);
	WireFrame head = {.kind = WIRE_TRANSACTION, .commit_end = 210};

	begin_gap(210, 1, 2, false);
	frame(head, &one, NULL);
	engine_passed(&engine, 210);
	is_int(engine.phase, ENGINE_PASS,
		   "a keepalive between two frames is not the end");
	head.flags = WIRE_LAST;
	head.ordinal = 1;
	frame(head, &two, NULL);
	engine_passed(&engine, 210);
	is_int(engine.phase, ENGINE_RUN, "one after the last is");
	turn(ENGINE_SETTLE_MS);
	is_int(times_in_backlog(2), 1, "each message is taken once");
	finish("inside a transaction");
}

/* Not in a hold, where it would be poured at once. */
static void
test_streamed_half_taken(void)
{
	WireRun run = {.nroutes = 1, .routes = {1}, .first = 1, .last = 3};

	prepare(1, false);
	engine_begin_stream(&engine, 100, false);
	tell_unresolved(1, 3);
	engine_snapshot(&engine, 300, false);
	frame((WireFrame){.kind = WIRE_CHUNK, .subxid = 1}, NULL, &run);
	frame((WireFrame){.kind = WIRE_STREAM_COMMIT, .commit_end = 250}, NULL,
		  NULL);
	engine_passed(&engine, 300);
	is_int(engine.phase, ENGINE_PASS, "what it brought is taken first");
	turn(0);
	is_int(engine.phase, ENGINE_RUN, "then the reconcile ends");
	is_int(times_in_backlog(2), 1, "each message is taken once");
	finish("streamed");
}

/* A second reading, of the wait that was given up, may see it unsettled. */
static void
test_recovered_early(void)
{
	begin_gap(210, 1, 1, true);
	engine_passed(&engine, 210);
	is_int(engine.phase, ENGINE_WAIT, "the wait goes on");
	ok(!engine.hold, "not the hold");
	turn(0);
	is_int(times_in_backlog(1), 1, "what is known goes out");
	is_int(settling->position, 0, "P stays");
	tell_unresolved(1, 2);
	engine_snapshot(&engine, 220, false);
	engine_passed(&engine, 220);
	settle_and_go_on();
	turn(0);
	is_int(engine.phase, ENGINE_RUN, "the second reading ends it");
	is_int(times_in_backlog(1), 0, "what was recovered is not, once more");
	is_int(times_in_backlog(2), 1, "what was missing is");
	finish("recovered early");
}

static void
test_settled_first(void)
{
	prepare(1, false);
	engine_begin_table(&engine);
	ok(engine_may_begin_stream(&engine), "nothing was read yet");
	tell_unresolved(1, 1);
	engine_snapshot(&engine, 0, false);
	ok(!engine_may_begin_stream(&engine), "what was read comes first");
	turn(0);
	is_int(times_in_backlog(1), 1, "it is in a settle");
	ok(!engine_may_begin_stream(&engine), "which is not committed");
	settle_and_go_on();
	ok(engine_may_begin_stream(&engine), "now the stream may begin");
	finish("settled first");
}

int
main(void)
{
	test_inside_transaction();
	test_streamed_half_taken();
	test_recovered_early();
	test_settled_first();
	return tap_done();
}
