/*
 * test/callgrind/relay.c
 *
 * Messages on their way through the relay, without input or output: frame,
 * intake, lane, a sink that says yes, settle and its rendering.  A call of
 * mark() ends a section, as outbox_shard() does in server.sql.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settle.h"

#define WINDOW 64 /* deliveries under way */
#define KEYS 500
#define MESSAGES 4000
#define PAYLOAD 200

typedef struct Frame
{
	uint8_t *data;
	size_t len;
} Frame;

static Engine engine;
static Delivery *out[WINDOW];
static int nout;
static bool settling;
static int64_t now_ms = 1000;
static int64_t last_id;
static uint64_t lsn = 1000;
static uint64_t confirmed;
static const StartRow start_row = {.run = 1, .system_identifier = 7000000001};

extern void mark(const char *section);

/* Callgrind writes down what was counted whenever this is called. */
__attribute__((noinline)) void
mark(const char *section)
{
	puts(section);
}

static bool
op_submit(void *arg, Route *route, Delivery *delivery)
{
	(void) arg;
	(void) route;
	if (nout == WINDOW)
		return false;
	out[nout++] = delivery;
	return true;
}

static void
op_fetch(void *arg, FetchBatch *batch)
{
	(void) arg;
	(void) batch;
	abort();
}

static void
op_read_backlog(void *arg, Backlog *backlog, int64_t after)
{
	(void) arg;
	(void) backlog;
	(void) after;
	abort();
}

static void
op_settle(void *arg, const Facts *facts)
{
	SettleValues values;

	(void) arg;
	settle_values(&values, &start_row, facts);
	settle_values_reset(&values);
	settling = true;
}

static void
op_read_routes(void *arg)
{
	(void) arg;
	abort();
}

static const EngineOps ops = {op_submit, op_fetch, op_read_backlog, op_settle,
							  op_read_routes};

static void
turn(int64_t ms)
{
	const Outcome good = {.class = OUTCOME_OK, .retry_after_ms = -1};

	now_ms += ms;
	engine_clock(&engine, now_ms, now_ms * 1000);
	engine_run(&engine);
	while (nout > 0)
		engine_done(&engine, out[--nout], &good);
	if (settling)
		confirmed = engine_settled(&engine);
	settling = false;
}

static void
start(void)
{
	RouteSpec spec = {.id = 1,
					  .ordered = true,
					  .retry_initial_ms = 100,
					  .retry_max_ms = 1000,
					  .retry_multiplier = 2,
					  .max_attempts = 3,
					  .concurrency = WINDOW};

	engine_init(&engine, &ops, NULL, start_row.run, 1 << 24, 1);
	engine_clock(&engine, now_ms, now_ms * 1000);
	engine_route(&engine, &spec, false);
	engine_routes_read(&engine);
	engine_begin_stream(&engine, 100, false);
	engine_snapshot(&engine, 100, false);
	turn(0);
}

static void
write_message(WireWriter *writer)
{
	static const uint8_t payload[PAYLOAD];
	char key[16];
	int len = snprintf(key, sizeof(key), "key-%d", (int) (last_id % KEYS));
	WireMessage wire = {.id = ++last_id, .nroutes = 1, .routes = {1}};

	wire.type = (WireBytes){(const uint8_t *) "guard", 5};
	wire.content_type = (WireBytes){(const uint8_t *) "application/json", 16};
	wire.message_key = (WireBytes){(const uint8_t *) key, (uint32_t) len};
	wire.payload = (WireBytes){payload, sizeof(payload)};
	wire_message_write(writer, &wire);
}

/* A transaction of that many messages. */
static Frame
make_frame(uint32_t count)
{
	WireFrame head = {.kind = WIRE_TRANSACTION,
					  .flags = WIRE_LAST,
					  .xid = 1,
					  .commit_end = lsn += 100,
					  .count = count};
	Frame frame = {malloc(WIRE_FRAME_MAX), 0};
	WireWriter writer;

	wire_writer_init(&writer, frame.data, WIRE_FRAME_MAX);
	wire_frame_write(&writer, &head);
	for (uint32_t i = 0; i < count; i++)
		write_message(&writer);
	if (writer.overflow)
		abort();
	frame.len = writer.len;
	return frame;
}

static void
take(const Frame *frame)
{
	const char *error;
	uint8_t bells;

	if (!engine_frame(&engine, frame->data, frame->len, &bells, &error))
	{
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	turn(0);
}

/* The frames are made before the section begins. */
static void
measure(uint32_t per_transaction, const char *section)
{
	static Frame frames[MESSAGES];
	uint32_t count = MESSAGES / per_transaction;

	for (uint32_t i = 0; i < count; i++)
		frames[i] = make_frame(per_transaction);
	mark("");
	for (uint32_t i = 0; i < count; i++)
		take(&frames[i]);
	for (int i = 0; confirmed < lsn && i < MESSAGES; i++)
		turn(ENGINE_SETTLE_MS);
	mark(section);
	if (confirmed < lsn)
		abort();
	for (uint32_t i = 0; i < count; i++)
		free(frames[i].data);
}

int
main(void)
{
	start();
	measure(1, "");
	measure(1, "relay, one a transaction / 4000");
	measure(100, "");
	measure(100, "relay, 100 a transaction / 4000");
	engine_reset(&engine);
	return 0;
}
