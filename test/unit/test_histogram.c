/*
 * test/unit/test_histogram.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/histogram.h"

#include "tap.h"

static void
test_observe(void)
{
	Histogram histogram = {0};

	histogram_observe(&histogram, -5);
	histogram_observe(&histogram, histogram_bound_us[0]);
	histogram_observe(&histogram, histogram_bound_us[0] + 1);
	histogram_observe(&histogram, INT64_C(1000000000));
	is_int(histogram.buckets[0], 2, "a bound belongs to its bucket");
	is_int(histogram.buckets[1], 1, "one more to the next");
	is_int(histogram.buckets[HISTOGRAM_BUCKETS - 1], 1, "the last has no end");
	is_int(histogram.count, 4, "all are counted");
	is_int(histogram.sum_us, 1000000501, "less than nothing adds nothing");
}

static void
test_add(void)
{
	Histogram a = {0}, b = {0};

	histogram_observe(&a, 300);
	histogram_observe(&b, 400);
	histogram_observe(&b, 3000);
	histogram_add(&a, &b);
	is_int(a.buckets[1], 2, "buckets add up");
	is_int(a.buckets[4], 1, "each by itself");
	is_int(a.count, 3, "so do counts");
	is_int(a.sum_us, 3700, "and sums");
	is_int(b.count, 2, "what was added stays");
}

int
main(void)
{
	test_observe();
	test_add();
	return tap_done();
}
