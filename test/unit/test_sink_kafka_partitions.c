/*
 * test/unit/test_sink_kafka_partitions.c
 *
 * Which partitions know the producer, and for how long.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_partitions.h"

#include <stdio.h>

#include "tap.h"

#define START INT64_C(1000)

static void
test_one_topic(void)
{
	Partitions known = {NULL};
	int64_t last_us = START + PARTITION_KNOWN_US - 1;

	ok(!partitions_know(&known, "t", 0, START), "nothing is known");
	partitions_learn(&known, "t", 5, START);
	ok(partitions_know(&known, "t", 5, START), "what was learnt is");
	for (int i = 0; i < 5; i++)
		ok(!partitions_know(&known, "t", i, START), "below it: not %d", i);
	ok(!partitions_know(&known, "t", 6, START), "nor above it");
	ok(!partitions_know(&known, "t", -1, START), "nor what is not assigned");
	partitions_learn(&known, "t", 0, START + 1);
	ok(partitions_know(&known, "t", 0, START + 1), "one below it is learnt");
	ok(partitions_know(&known, "t", 5, last_us), "it is known for long");
	ok(!partitions_know(&known, "t", 5, last_us + 1), "and then forgotten");
	partitions_learn(&known, "t", 5, last_us);
	ok(partitions_know(&known, "t", 5, last_us + 1), "unless learnt again");
	partitions_reset(&known);
	ok(!partitions_know(&known, "t", 5, last_us), "a new producer knows none");
}

static void
test_topics(void)
{
	Partitions known = {NULL};
	char name[8];
	int right = 0;

	for (int i = 0; i < 50; i++)
	{
		snprintf(name, sizeof(name), "t%d", i);
		partitions_learn(&known, name, i, START);
	}
	for (int i = 0; i < 50; i++)
	{
		snprintf(name, sizeof(name), "t%d", i * 7 % 50);
		for (int k = 0; k < 50; k++)
			right +=
				partitions_know(&known, name, k, START) == (k == i * 7 % 50);
	}
	is_int(right, 50 * 50, "each topic has partitions of its own");
	ok(!partitions_know(&known, "t", 0, START), "another topic has none");
	partitions_reset(&known);
}

int
main(void)
{
	test_one_topic();
	test_topics();
	return tap_done();
}
