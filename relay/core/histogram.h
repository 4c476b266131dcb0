/*
 * relay/core/histogram.h
 *
 * How long things took, in buckets, as Prometheus wants it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_HISTOGRAM_H
#define OUTBOX_HISTOGRAM_H

#include <stdint.h>

/* Upper bounds in microseconds; the last bucket has none. */
#define HISTOGRAM_BUCKETS 16
extern const int64_t histogram_bound_us[HISTOGRAM_BUCKETS - 1];

typedef struct Histogram
{
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count;
	int64_t sum_us;
} Histogram;

/* histogram_observe: less than nothing counts as nothing. */
extern void histogram_observe(Histogram *histogram, int64_t us);
extern void histogram_add(Histogram *to, const Histogram *from);

#endif /* OUTBOX_HISTOGRAM_H */
