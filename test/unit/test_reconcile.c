/*
 * test/unit/test_reconcile.c
 *
 * Frames and readings at moments that are rare: one short story each.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

static size_t
write_frame(WireFrame frame, const WireRun *run)
{
	WireWriter writer;

	wire_writer_init(&writer, frame_bytes, sizeof(frame_bytes));
	wire_frame_write(&writer, &frame);
	if (run != NULL)
		wire_run_write(&writer, run);
	return writer.len;
}

/* A transaction in chunks that committed at the position. */
static void
streamed(int64_t id, uint64_t commit_end)
{
	WireRun run = {.nroutes = 1, .routes = {1}, .first = id, .last = id};

	give_frame(write_frame(
		(WireFrame){.kind = WIRE_CHUNK, .xid = 5, .count = 1}, &run));
	give_frame(write_frame((WireFrame){.kind = WIRE_STREAM_COMMIT,
									   .xid = 5,
									   .commit_end = commit_end},
						   NULL));
}

/* A hold that was given up; after it U is read once more. */
static void
start_early(const WireRun *run)
{
	prepare(1, false);
	engine_begin_stream(&engine, 100, true);
	engine_snapshot(&engine, 100, false);
	if (run != NULL)
		engine_unresolved(&engine, run);
	engine_snapshot(&engine, 100, true);
	ok(!engine.hold && engine.phase == ENGINE_WAIT, "the hold is given up");
}

static void
test_pours(void)
{
	start_early(NULL);
	streamed(7, 150);
	engine_snapshot(&engine, 120, false);
	is_int(engine.phase, ENGINE_PASS, "past L, but not all is in the tails");
	ok(!engine_idle(&engine), "for which nobody can stop now");
	turn(0);
	is_int(engine.phase, ENGINE_RUN, "with the settle that takes it over");
	ok(settling != NULL && settling->segments.count == 1 &&
		   settling->segments.items[0].ids[0] == 7,
	   "nothing that was missed can come before it any more");
	finish("pours");
}

static void
test_not_settled(void)
{
	WireRun run = {.nroutes = 1, .routes = {1}, .first = 3, .last = 3};

	start_early(&run);
	engine_unresolved(&engine, &run);
	engine_snapshot(&engine, 100, false);
	is_int(engine.phase, ENGINE_PASS, "what was read first is not settled");
	turn(0);
	ok(settling != NULL && settling->segments.count == 1, "its settle goes");
	engine_settled(&engine);
	is_int(engine.phase, ENGINE_RUN, "then what was read after it counts");
	is_int(engine.recovering, 0, "and has nothing that is new");
	finish("not settled");
}

static void
test_in_transaction(void)
{
	WireWriter writer;
	WireFrame frame = {
		.kind = WIRE_TRANSACTION, .xid = 1, .commit_end = 210, .count = 1};
	WireMessage wire = wire_of(1, NULL, 0, false);

	start(1, false);
	wire_writer_init(&writer, frame_bytes, sizeof(frame_bytes));
	wire_frame_write(&writer, &frame);
	wire_message_write(&writer, &wire);
	ok(give_frame(writer.len), "a frame that is not the last");
	engine_passed(&engine, 500);
	is_int(position_resolved(&engine.position), 100,
		   "within a transaction nothing is passed");
	finish("in transaction");
}

static void
test_bad_elements(void)
{
	WireRun run = {.first = 2, .last = 1};
	WireFrame frame = {.kind = WIRE_TRANSACTION, .count = 1};
	size_t len = write_frame(frame, NULL);

	start(1, false);
	memset(frame_bytes + len, 0xff, 100);
	ok(!give_frame(len + 100), "a message that is none");
	is_str(frame_error, "shard id out of range", "has a reason");
	frame.kind = WIRE_CHUNK;
	len = write_frame(frame, &run);
	ok(!give_frame(len), "a run that is none");
	is_str(frame_error, "run ends before it begins", "has a reason");
	run.last = 3;
	len = write_frame(frame, &run);
	frame_bytes[len] = 0;
	ok(!give_frame(len + 1), "more bytes than elements");
	is_str(frame_error, "bytes after the last element", "have a reason");
	finish("bad elements");
}

int
main(void)
{
	test_pours();
	test_not_settled();
	test_in_transaction();
	test_bad_elements();
	return tap_done();
}
