/*
 * test/unit/sink_bench.h
 *
 * What every test of a sink needs: messages, a caller that counts what it is
 * told, and waiting for a condition with a deadline.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TEST_SINK_BENCH_H
#define OUTBOX_TEST_SINK_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "loop.h"
#include "sink.h"
#include "tap.h"

#define BENCH_MAX 2000
#define TIMEOUT_MS 10000 /* of an attempt; longer than any test waits */
#define SLOW_MS 300
#define WINDOW 4 /* what a subject takes when it is made small */

typedef enum Mood
{
	GOOD,
	FAIL, /* the next delivery fails, all else GOOD */
	HANG, /* no answer until GOOD */
	SLOW  /* the answer takes SLOW_MS */
} Mood;

typedef struct Bench
{
	Loop *loop;
	Sink *sink;
	Timer *tick;
	int64_t deadline_ms;
	bool (*until)(struct Bench *bench);
	int wanted;
	int submitted; /* taken */
	int ndone;
	int nready;
	int nheld;    /* of dones: held back */
	bool in_call; /* of the sink's */
	bool broke_rule;
	bool close_in_done;
	int order[BENCH_MAX * 4]; /* of dones, by index */
	int times[BENCH_MAX];
	OutcomeClass class[BENCH_MAX];
	Outcome last;
	char payload[BENCH_MAX][24];
	WireMessage message[BENCH_MAX];
	Delivery delivery[BENCH_MAX];
} Bench;

static TAP_UNUSED int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static WireBytes
wire_text(const char *text)
{
	return (WireBytes){(const uint8_t *) text, (uint32_t) strlen(text)};
}

static void
bench_done(void *arg, Delivery *delivery, const Outcome *outcome)
{
	Bench *bench = arg;
	int i = (int) (delivery - bench->delivery);

	bench->broke_rule |= bench->in_call || delivery->owner != bench;
	bench->order[bench->ndone++] = i;
	bench->times[i]++;
	bench->nheld += outcome->held_back;
	bench->class[i] = outcome->class;
	bench->last = *outcome;
	if (bench->close_in_done)
	{
		bench->sink->ops->close(bench->sink);
		bench->sink = NULL;
	}
}

static void
bench_ready(void *arg)
{
	Bench *bench = arg;

	bench->broke_rule |= bench->in_call;
	bench->nready++;
}

static void
bench_tick(void *arg)
{
	Bench *bench = arg;

	if (bench->until(bench) || clock_ms() > bench->deadline_ms)
		loop_stop(bench->loop, 0);
	else
		timer_set(bench->tick, 1);
}

/* bench_wait: runs the loop until the condition or for most_ms; which. */
static bool
bench_wait(Bench *bench, bool (*until)(Bench *), int wanted, int64_t most_ms)
{
	bench->until = until;
	bench->wanted = wanted;
	bench->deadline_ms = clock_ms() + most_ms;
	timer_set(bench->tick, 0);
	loop_run(bench->loop);
	return until(bench);
}

static bool
has_done(Bench *bench)
{
	return bench->ndone >= bench->wanted;
}

static TAP_UNUSED bool
has_ready(Bench *bench)
{
	return bench->nready >= bench->wanted;
}

static void
bench_message(Bench *bench, int i)
{
	WireMessage *message = &bench->message[i];

	snprintf(bench->payload[i], sizeof(bench->payload[i]), "{\"n\": %d}", i);
	message->id = 1000 + i;
	message->create_time = 1767323045000006;
	message->type = wire_text("order.created");
	message->message_key = wire_text("key");
	message->content_type = wire_text("application/json");
	message->payload = wire_text(bench->payload[i]);
	bench->delivery[i] = (Delivery){message, 1, bench};
}

static Bench *
bench_open(const SinkOps *ops, const Config *config, const RouteSpec *spec)
{
	Bench *bench = calloc(1, sizeof(*bench));
	char err[512] = "";

	bench->loop = loop_new();
	bench->tick = loop_timer(bench->loop, bench_tick, bench);
	for (int i = 0; i < BENCH_MAX; i++)
		bench_message(bench, i);
	bench->sink = ops->open(bench->loop, config, spec,
							(SinkCaller){bench, bench_done, bench_ready}, err,
							sizeof(err));
	if (bench->sink == NULL)
	{
		diag("could not open the sink: %s", err);
		exit(2);
	}
	return bench;
}

static bool
bench_submit(Bench *bench, int i)
{
	bool taken;

	bench->in_call = true;
	taken = bench->sink->ops->submit(bench->sink, &bench->delivery[i]);
	bench->in_call = false;
	bench->submitted += taken;
	return taken;
}

static TAP_UNUSED bool
never(Bench *bench)
{
	(void) bench;
	return false;
}

/* Submits all of [from, to), waiting for ready when refused. */
static TAP_UNUSED void
submit_all(Bench *bench, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		while (!bench_submit(bench, i))
		{
			if (!bench_wait(bench, has_ready, bench->nready + 1, 5000))
			{
				diag("not ready again for delivery %d", i);
				return;
			}
		}
	}
}

/* Delivery 0 arrives: whatever goes before the first is done with. */
static TAP_UNUSED void
open_the_way(Bench *bench)
{
	submit_all(bench, 0, 1);
	bench_wait(bench, has_done, 1, 5000);
}

static TAP_UNUSED RouteSpec
bench_spec(const char *target, int concurrency)
{
	RouteSpec spec = {.timeout_ms = TIMEOUT_MS,
					  .connect_timeout_ms = 2000,
					  .concurrency = concurrency};

	snprintf(spec.name, sizeof(spec.name), "r");
	snprintf(spec.target, sizeof(spec.target), "%s", target);
	return spec;
}

static void
bench_close(Bench *bench)
{
	bench->in_call = true;
	if (bench->sink != NULL)
		bench->sink->ops->close(bench->sink);
	bench->in_call = false;
	bench->sink = NULL;
}

static TAP_UNUSED void
bench_free(Bench *bench)
{
	bench_close(bench);
	timer_free(bench->tick);
	loop_free(bench->loop);
	free(bench);
}

#endif /* OUTBOX_TEST_SINK_BENCH_H */
