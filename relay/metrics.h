/*
 * relay/metrics.h
 *
 * What /metrics says, in the Prometheus text format 0.0.4.  Counters of a
 * session go with it, so they are added to the relay's own when it ends.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_METRICS_H
#define OUTBOX_METRICS_H

#include "listener.h"
#include "session.h"

typedef struct RouteTotals
{
	int16_t id;
	RouteStats stats;
} RouteTotals;

typedef struct Metrics
{
	RouteTotals *items;
	uint32_t count;
	uint32_t room;
	uint64_t sessions; /* begun */
	uint64_t repeats;
	uint64_t settles;
	int64_t held_ms;
} Metrics;

/* metrics_absorb: of a session that ends. */
extern void metrics_absorb(Metrics *metrics, const SessionStatus *status);
/* metrics_render: totals and what the session, if any, adds to them. */
extern void metrics_render(const Metrics *metrics, const SessionStatus *status,
						   Page *page);
extern void metrics_reset(Metrics *metrics);

#endif /* OUTBOX_METRICS_H */
