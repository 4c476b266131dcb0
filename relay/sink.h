/*
 * relay/sink.h
 *
 * A sink takes deliveries to one destination and reports what that
 * destination said.  One sink serves one route.  Who decides what: the sink
 * classifies an answer (ok, transient, permanent); whether and when to try
 * again is decided by core/retry.c, never here.
 *
 * The contract, which test/unit/test_sink.c holds against every sink:
 *	submit never blocks and never calls done itself.
 *	submit returning true takes the delivery; done follows exactly once.
 *	submit returning false leaves it with the caller; ready is called when
 *		to try again.
 *	done reports what the destination said, never what was only queued.
 *	close may be called with deliveries out; none of them gets a done.
 *	a sink never retries by itself.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_H
#define OUTBOX_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/delivery.h"
#include "core/outcome.h"
#include "core/spec.h"

typedef struct Config Config;
typedef struct Loop Loop;
typedef struct Sink Sink;

/* Both are called from the event loop, never from inside submit or close. */
typedef struct SinkCaller
{
	void *arg;
	void (*done)(void *arg, Delivery *delivery, const Outcome *outcome);
	void (*ready)(void *arg);
} SinkCaller;

typedef struct SinkOps
{
	/* The value of outbox.route.kind. */
	const char *kind;

	/*
	 * True when deliveries of one key may be under way together because the
	 * sink delivers them in the order of submit, or not at all: after one
	 * that did not go well, all submitted later for the same destination are
	 * reported TRANSIENT too.
	 */
	bool keeps_order;

	/*
	 * open: ready to take deliveries; no connection need exist.  NULL with a
	 * sentence in err (of err_size bytes) when the configuration is wrong;
	 * whoever prints it names the route.
	 */
	Sink *(*open)(Loop *loop, const Config *config, const RouteSpec *spec,
				  SinkCaller caller, char *err, size_t err_size);
	bool (*submit)(Sink *sink, Delivery *delivery);
	void (*close)(Sink *sink);
} SinkOps;

/* Every sink begins with this. */
struct Sink
{
	const SinkOps *ops;
};

extern const SinkOps sink_http;
extern const SinkOps sink_kafka;

/* sink_ops_of: by kind; the one registration. */
extern const SinkOps *sink_ops_of(SpecKind kind);

#endif /* OUTBOX_SINK_H */
