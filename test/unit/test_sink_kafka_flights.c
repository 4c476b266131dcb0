/*
 * test/unit/test_sink_kafka_flights.c
 *
 * A full window of the Kafka sink takes nothing until a quarter is left,
 * nothing goes beside a delivery that opens its partition, and one that is
 * refused is found among all that went with it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_flights.h"

#include "tap.h"

static void
add(Flights *flights, int count)
{
	while (count-- > 0)
		flights_add(flights, NULL, 0);
}

static void
remove_first(Flights *flights, int count)
{
	while (count-- > 0)
		flights_remove(flights, flights->first);
}

static void
test_window(int window, int left)
{
	Flights flights = {.window = window};

	add(&flights, window - 1);
	ok(flights_admits(&flights), "window of %d: one less than full", window);
	add(&flights, 1);
	ok(!flights_admits(&flights), "window of %d: full", window);
	remove_first(&flights, window - left - 1);
	ok(!flights_admits(&flights), "window of %d: more than %d left", window,
	   left);
	remove_first(&flights, 1);
	ok(flights_admits(&flights), "window of %d: %d left", window, left);
	add(&flights, 1);
	ok(flights_admits(&flights), "window of %d: it is filled again", window);
	flights_reset(&flights);
}

static void
test_opening(void)
{
	Flights flights = {.window = 8};

	add(&flights, 3);
	flights.opening = flights.last;
	ok(!flights_admits(&flights), "none beside what opens a partition");
	remove_first(&flights, 2);
	ok(!flights_admits(&flights), "nor when the others are told");
	remove_first(&flights, 1);
	ok(flights_admits(&flights), "until it is told");
	flights_reset(&flights);
}

/* Of count in a row one is refused, and all that go with it: which one? */
static void
test_search(int count, int culprit)
{
	Flights flights = {.window = 4000};
	int next = 0; /* all before it have arrived */
	int found = -1;
	int refusals = 0;
	int trials = 0;

	while (found < 0 && next < count && trials++ < 1000)
	{
		int under_way = 0;

		while (next + under_way < count && flights_admits(&flights))
		{
			flights_add(&flights, NULL, 0);
			under_way++;
		}
		if (culprit < next + under_way)
		{
			flights_refuse(&flights, flights.first, 0, "");
			refusals++;
			if (flights.first->class == OUTCOME_PERMANENT)
				found = next;
			remove_first(&flights, under_way);
			flights_search(&flights, under_way);
		}
		else
		{
			remove_first(&flights, under_way);
			next += under_way;
		}
	}
	is_int(found, culprit, "%d of %d is refused", culprit, count);
	ok(refusals <= 12 && trials <= 24, "found by %d refusals in %d trials",
	   refusals, trials);
	add(&flights, 2);
	remove_first(&flights, 2);
	add(&flights, count);
	is_int(flights.count, count, "and the rest goes on together");
	ok(flights.suspects <= 0, "without a search");
	flights_reset(&flights);
}

static void
test_held_back(void)
{
	Flights flights = {.window = 8};

	add(&flights, 2);
	ok(!flights_all_judged(&flights), "an answer is awaited");
	flight_judge(flights.first, OUTCOME_TRANSIENT, 7, "no");
	ok(!flights_all_judged(&flights), "of the other one, too");
	flight_hold_back(flights.last, 8, "behind");
	ok(flights_all_judged(&flights), "no more");
	ok(!flights.first->held_back && flights.last->held_back,
	   "the second is held back");
	flight_judge(flights.last, OUTCOME_TRANSIENT, 7, "no");
	ok(!flights.last->held_back, "until it is judged by itself");
	flights_reset(&flights);
}

int
main(void)
{
	test_window(1000, 250);
	test_window(8, 2);
	test_window(3, 0);
	test_opening();
	test_held_back();
	test_search(2, 1);
	test_search(3, 0);
	test_search(1000, 0);
	test_search(1000, 500);
	test_search(1000, 999);
	test_search(3999, 1777);
	return tap_done();
}
