/*
 * relay/core/histogram.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/histogram.h"

const int64_t histogram_bound_us[HISTOGRAM_BUCKETS - 1] = {
	250,    500,    1000,   2500,    5000,    10000,   25000,   50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void
histogram_observe(Histogram *histogram, int64_t us)
{
	int i = 0;

	while (i < HISTOGRAM_BUCKETS - 1 && us > histogram_bound_us[i])
		i++;
	histogram->buckets[i]++;
	histogram->count++;
	histogram->sum_us += us > 0 ? us : 0;
}

void
histogram_add(Histogram *to, const Histogram *from)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
	to->count += from->count;
	to->sum_us += from->sum_us;
}
