/*
 * test/unit/sink_fake.h
 *
 * A sink that answers from a timer, as the mood says: the contract of sink.h
 * in its shortest form, held against the same sentences as the real ones.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_FAKE_H
#define OUTBOX_SINK_FAKE_H

#include <stdio.h>
#include <string.h>

#include "sink_bench.h"

typedef struct FakeSink
{
	Sink base;
	Loop *loop;
	SinkCaller caller;
	Timer *timer;
	Delivery *queue[BENCH_MAX];
	int64_t start_us[BENCH_MAX];
	int n;
	int window;
	bool wants_ready;
} FakeSink;

static Mood fake_mood;
static int fake_arrived;
static const SinkOps sink_fake;

static void
fake_answer(FakeSink *fake)
{
	Outcome outcome = {.retry_after_ms = -1};
	Delivery *delivery = fake->queue[0];

	outcome.duration_us = loop_now_us(fake->loop) - fake->start_us[0];
	if (fake_mood == FAIL)
	{
		outcome.class = OUTCOME_TRANSIENT;
		snprintf(outcome.error, sizeof(outcome.error), "fake");
		fake_mood = GOOD;
	}
	else
		fake_arrived++;
	fake->n--;
	memmove(fake->queue, fake->queue + 1, (size_t) fake->n * sizeof(void *));
	memmove(fake->start_us, fake->start_us + 1,
			(size_t) fake->n * sizeof(int64_t));
	fake->caller.done(fake->caller.arg, delivery, &outcome);
}

static void
fake_timer(void *arg)
{
	FakeSink *fake = arg;
	Bench *bench = fake->caller.arg;

	while (fake_mood != HANG && bench->sink != NULL && fake->n > 0)
	{
		if (fake_mood == SLOW &&
			loop_now_us(fake->loop) - fake->start_us[0] < SLOW_MS * 1000)
			break;
		fake_answer(fake);
	}
	if (bench->sink == NULL)
		return;
	if (fake->wants_ready && fake->n < fake->window)
	{
		fake->wants_ready = false;
		fake->caller.ready(fake->caller.arg);
	}
	timer_set(fake->timer, 1);
}

static Sink *
fake_open(Loop *loop, const Config *config, const RouteSpec *spec,
		  SinkCaller caller, char *err, size_t err_size)
{
	FakeSink *fake;

	(void) config;
	if (spec->target[0] == '\0')
	{
		snprintf(err, err_size, "no target");
		return NULL;
	}
	fake = calloc(1, sizeof(*fake));
	fake->base.ops = &sink_fake;
	fake->loop = loop;
	fake->caller = caller;
	fake->window = spec->concurrency;
	fake->timer = loop_timer(loop, fake_timer, fake);
	timer_set(fake->timer, 1);
	return &fake->base;
}

static bool
fake_submit(Sink *sink, Delivery *delivery)
{
	FakeSink *fake = (FakeSink *) sink;

	if (fake->n >= fake->window)
	{
		fake->wants_ready = true;
		return false;
	}
	fake->start_us[fake->n] = loop_now_us(fake->loop);
	fake->queue[fake->n++] = delivery;
	return true;
}

static void
fake_close(Sink *sink)
{
	FakeSink *fake = (FakeSink *) sink;

	timer_free(fake->timer);
	free(fake);
}

static const SinkOps sink_fake = {"fake", false, fake_open, fake_submit,
								  fake_close};

static void
fake_set_mood(Mood mood)
{
	fake_mood = mood;
}

static int
fake_count(void)
{
	return fake_arrived;
}

#endif /* OUTBOX_SINK_FAKE_H */
