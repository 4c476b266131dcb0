/*
 * test/unit/engine_bench.h
 *
 * An engine on the bench: routes, messages, answers and time by hand.  What
 * it wants done is kept here until the test does it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TEST_ENGINE_BENCH_H
#define OUTBOX_TEST_ENGINE_BENCH_H

#include "core/engine.h"

#include <stdlib.h>
#include <string.h>

#include "murmur2.h"
#include "tap.h"

#define OUT_MAX 64
#define FRAME_MAX (2 * WIRE_FRAME_MAX)

static Engine engine;
static Delivery *out[OUT_MAX];
static int out_room; /* the sinks take so many */
static int nout;
static const Facts *settling;
static int settles;
static FetchBatch *fetching[OUT_MAX];
static int nfetching;
static Backlog *reading[OUT_MAX]; /* segments are wanted of these */
static int64_t read_after[OUT_MAX];
static int nreading;
static int routes_asked;
static int64_t now_ms;
static int64_t next_lsn;
static uint8_t frame_bytes[FRAME_MAX];
static const char *frame_error;

static bool
op_submit(void *arg, Route *route, Delivery *delivery)
{
	(void) arg;
	(void) route;
	if (nout == out_room)
		return false;
	out[nout++] = delivery;
	return true;
}

static void
op_fetch(void *arg, FetchBatch *batch)
{
	(void) arg;
	fetching[nfetching++] = batch;
}

static void
op_read_backlog(void *arg, Backlog *backlog, int64_t after)
{
	(void) arg;
	reading[nreading] = backlog;
	read_after[nreading++] = after;
}

static void
op_settle(void *arg, const Facts *facts)
{
	(void) arg;
	settling = facts;
	settles++;
}

static void
op_read_routes(void *arg)
{
	(void) arg;
	routes_asked++;
}

static const EngineOps ops = {op_submit, op_fetch, op_read_backlog, op_settle,
							  op_read_routes};

static TAP_UNUSED void
turn(int64_t ms)
{
	now_ms += ms;
	engine_clock(&engine, now_ms, now_ms * 1000);
	engine_run(&engine);
}

/* What a route has when a test does not say otherwise. */
static TAP_UNUSED RouteSpec
plain_spec(int16_t id)
{
	return (RouteSpec){.id = id,
					   .ordered = true,
					   .retry_initial_ms = 100,
					   .retry_max_ms = 1000,
					   .retry_multiplier = 2,
					   .max_attempts = 3,
					   .concurrency = 8};
}

static TAP_UNUSED void
set_route(int16_t id, SpecState state, bool keeps_order)
{
	RouteSpec spec = plain_spec(id);

	spec.state = state;
	engine_route(&engine, &spec, keeps_order);
}

static TAP_UNUSED Route *
route_of(int16_t id)
{
	return engine_find_route(&engine, id);
}

/* Not yet told where its messages come from. */
static TAP_UNUSED void
prepare(int16_t n, bool keeps_order)
{
	now_ms = 1000;
	next_lsn = 200;
	nout = nfetching = nreading = routes_asked = settles = 0;
	out_room = OUT_MAX;
	settling = NULL;
	engine_init(&engine, &ops, NULL, 1, 1 << 20, 1);
	engine_clock(&engine, now_ms, now_ms * 1000);
	for (int16_t r = 1; r <= n; r++)
		set_route(r, SPEC_ACTIVE, keeps_order);
	engine_routes_read(&engine);
}

/* Nothing is unresolved, the stream lacks nothing. */
static TAP_UNUSED void
begin(void)
{
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, 100, false);
	turn(0);
}

/* A running engine with routes 1 .. n. */
static TAP_UNUSED void
start(int16_t n, bool keeps_order)
{
	prepare(n, keeps_order);
	begin();
}

static TAP_UNUSED WireBytes
bytes_of(const char *text)
{
	return (WireBytes){(const uint8_t *) text,
					   text != NULL ? (uint32_t) strlen(text) : 0};
}

static TAP_UNUSED WireMessage
wire_of(int64_t id, const char *key, int16_t nroutes, bool omitted)
{
	WireMessage wire = {
		.id = id, .nroutes = (uint16_t) nroutes, .payload_omitted = omitted};

	for (int16_t r = 0; r < nroutes; r++)
		wire.routes[r] = (int16_t) (r + 1);
	wire.type = bytes_of("t");
	if (!omitted)
		wire.payload = bytes_of("p");
	wire.message_key = bytes_of(key);
	return wire;
}

static TAP_UNUSED bool
give_frame(size_t len)
{
	uint8_t bells;

	return engine_frame(&engine, frame_bytes, len, &bells, &frame_error);
}

/* A frame with this message, or this run, or neither in it. */
static TAP_UNUSED void
frame(WireFrame head, const WireMessage *wire, const WireRun *run)
{
	WireWriter writer;

	head.xid = 1;
	head.count = wire != NULL || run != NULL;
	wire_writer_init(&writer, frame_bytes, sizeof(frame_bytes));
	wire_frame_write(&writer, &head);
	if (wire != NULL)
		wire_message_write(&writer, wire);
	if (run != NULL)
		wire_run_write(&writer, run);
	if (!give_frame(writer.len))
		diag("%s", frame_error);
}

/* A transaction of one message. */
static TAP_UNUSED void
transaction(const WireMessage *wire)
{
	frame((WireFrame){.kind = WIRE_TRANSACTION,
					  .flags = WIRE_LAST,
					  .commit_end = (uint64_t) (next_lsn += 10)},
		  wire, NULL);
}

/* The same with this key (NULL: none) for routes 1 .. n. */
static TAP_UNUSED void
message(int64_t id, const char *key, int16_t nroutes, bool omitted)
{
	WireMessage wire = wire_of(id, key, nroutes, omitted);

	transaction(&wire);
}

static TAP_UNUSED int
out_at(int64_t id)
{
	for (int i = 0; i < nout; i++)
		if (out[i]->message->id == id)
			return i;
	return -1;
}

static TAP_UNUSED void
answer_at(int i, const Outcome *outcome)
{
	Delivery *delivery = out[i];

	memmove(&out[i], &out[i + 1], (size_t) (--nout - i) * sizeof(*out));
	engine_done(&engine, delivery, outcome);
	turn(0);
}

/* Answers the delivery of a message; false when it is not under way. */
static TAP_UNUSED bool
answer_by(int64_t id, const Outcome *outcome)
{
	int i = out_at(id);

	if (i >= 0)
		answer_at(i, outcome);
	return i >= 0;
}

static TAP_UNUSED bool
answer(int64_t id, OutcomeClass class)
{
	Outcome outcome = {.class = class, .retry_after_ms = -1, .error = "no"};

	return answer_by(id, &outcome);
}

/* The answer to a reading of the backlog: one segment, ids first .. last. */
static TAP_UNUSED void
give_segment(int16_t route_id, int64_t seq, int64_t pos, int64_t first,
			 int64_t last)
{
	int64_t ids[100];
	Segment segment = {.seq = seq, .run = 1, .pos = pos, .ids = ids};
	IdSet done = {0};

	for (int64_t id = first; id <= last; id++)
		ids[segment.nids++] = id;
	engine_segment(&engine, &route_of(route_id)->backlog, &segment, &done);
	engine_segments(&engine, &route_of(route_id)->backlog);
}

/* The answer to the oldest fetch: this message alone was found. */
static TAP_UNUSED void
give_body(int64_t id, const char *key)
{
	WireMessage wire = wire_of(id, key, 1, false);
	FetchBatch *batch = fetching[0];

	memmove(fetching, fetching + 1, (size_t) --nfetching * sizeof(*fetching));
	engine_body(batch, &wire);
	engine_fetched(&engine, batch);
}

/* The settle that is due goes out and is committed: what it said of P. */
static TAP_UNUSED uint64_t
settle_now(void)
{
	turn(ENGINE_SETTLE_MS);
	if (settling == NULL)
		return 0;
	settling = NULL;
	return engine_settled(&engine);
}

/* The settle that is out, or due, is committed, and what it allows is done. */
static TAP_UNUSED uint64_t
settle_and_go_on(void)
{
	uint64_t position;

	if (settling == NULL)
		turn(ENGINE_SETTLE_MS);
	if (settling == NULL)
		return 0;
	settling = NULL;
	position = engine_settled(&engine);
	turn(0);
	return position;
}

/* The same with these ids, and a turn. */
static TAP_UNUSED void
give_ids(int16_t route_id, int64_t seq, int64_t *ids, uint32_t nids)
{
	Segment segment = {
		.seq = seq, .run = 1, .pos = seq * 1000, .nids = nids, .ids = ids};
	IdSet done = {0};

	engine_segment(&engine, &route_of(route_id)->backlog, &segment, &done);
	engine_segments(&engine, &route_of(route_id)->backlog);
	turn(0);
}

/* The last fetch finds all it asked for, with this key and payload. */
static TAP_UNUSED void
give_bodies(const char *key, const char *payload)
{
	FetchBatch *batch = fetching[--nfetching];

	for (uint32_t i = 0; i < batch->count; i++)
	{
		WireMessage wire = wire_of(batch->ids[i], key, 1, false);

		wire.payload = bytes_of(payload);
		engine_body(batch, &wire);
	}
	engine_fetched(&engine, batch);
	turn(0);
}

/* Waiting rows of messages first .. last, which are not due for long. */
static TAP_UNUSED void
add_rows(int16_t route_id, int64_t first, int64_t last)
{
	for (int64_t id = first; id <= last; id++)
	{
		FactPark row = {.id = id,
						.route_id = route_id,
						.run = 1,
						.pos = id,
						.status = PARKED_FAILED,
						.retry_count = 1};

		engine_row(&engine, &row, now_ms + 1000000);
	}
}

static TAP_UNUSED void
finish(const char *story)
{
	engine_reset(&engine);
	is_int(engine.bytes, 0, "%s: no bytes are left", story);
}

#endif /* OUTBOX_TEST_ENGINE_BENCH_H */
