/*
 * test/unit/test_sink_kafka_partitions.c
 *
 * Which partitions know the producer, for how long, and who waits for one.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_partitions.h"

#include <stdio.h>

#include "tap.h"

#define START INT64_C(1000)

static void
test_places(void)
{
	Partitions partitions = {NULL};
	Partition *places[50];
	char name[8];
	int right = 0;

	for (int i = 0; i < 50; i++)
	{
		snprintf(name, sizeof(name), "t%d", i);
		for (int k = PARTITION_UNASSIGNED; k < 50; k++)
			partitions_get(&partitions, name, k)->waiting = 100 * i + k;
		places[i] = partitions_get(&partitions, name, i);
	}
	for (int i = 0; i < 50; i++)
	{
		snprintf(name, sizeof(name), "t%d", i * 7 % 50);
		right +=
			partitions_get(&partitions, name, i * 7 % 50) == places[i * 7 % 50];
		for (int k = PARTITION_UNASSIGNED; k < 50; k++)
			right += partitions_get(&partitions, name, k)->waiting ==
					 100 * (i * 7 % 50) + k;
	}
	is_int(right, 50 * 52, "each topic has partitions of its own, that stay");
	partitions_reset(&partitions);
	is_int(partitions_get(&partitions, "t1", 1)->waiting, 0,
		   "a new producer has none");
	partitions_reset(&partitions);
}

static void
test_opening(void)
{
	Partition one = {0};
	Partition other = {0};
	Passage first = {NULL};
	Passage second = {NULL};
	Passage third = {NULL};

	ok(passage_enter(&first, &one, START), "the first goes");
	ok(!passage_enter(&second, &one, START), "the second waits");
	ok(!passage_enter(&second, &one, START), "also when it is asked again");
	ok(passage_enter(&third, &other, START), "another partition is free");
	ok(!passage_end(&third), "for which none waits");
	ok(passage_end(&first), "the first is answered: some wait");
	one.answered_us = START;
	ok(!passage_free(&first, &one), "who comes now does not pass them");
	ok(passage_enter(&second, &one, START), "the second goes");
	ok(!second.opens, "and opens nothing");
	ok(passage_free(&first, &one), "then all are free to go");
	ok(!passage_end(&second), "whose answers release none");
}

/* First it waits for any partition of the topic, then for its own. */
static void
test_unassigned(void)
{
	Partition any = {0};
	Partition one = {0};
	Passage passages[4] = {{NULL}};

	passage_enter(&passages[0], &any, START);
	for (int i = 1; i < 4; i++)
		passage_enter(&passages[i], &any, START);
	ok(passage_end(&passages[0]), "they wait for the first");
	ok(passage_enter(&passages[1], &one, START), "the next opens its own");
	ok(!passage_enter(&passages[2], &one, START), "another waits for that");
	is_int(any.waiting, 1, "and no longer for any");
	is_int(one.waiting, 1, "but for its own");
}

static void
test_known(void)
{
	Partition one = {0};
	int64_t last_us = START + PARTITION_KNOWN_US - 1;
	Passage passage = {NULL};

	one.answered_us = START;
	passage_enter(&passage, &one, last_us);
	ok(!passage.opens, "it is known for long");
	passage_enter(&passage, &one, last_us + 1);
	ok(passage.opens, "and then forgotten");
	passage_end(&passage);
	one.answered_us = last_us;
	passage_enter(&passage, &one, last_us + 1);
	ok(!passage.opens, "unless there was an answer again");
}

int
main(void)
{
	test_places();
	test_opening();
	test_unassigned();
	test_known();
	return tap_done();
}
