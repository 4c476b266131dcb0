/*
 * test/unit/test_sink_kafka_flights.c
 *
 * A full window of the Kafka sink takes nothing until a quarter is left; which
 * verdicts are believed; one that is refused is found among all that went
 * with it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_flights.h"

#include "tap.h"

static Delivery delivery;

static void
add(Flights *flights, int count)
{
	while (count-- > 0)
		flights_add(flights, &delivery, 0);
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
			add(&flights, 1);
			under_way++;
		}
		if (culprit < next + under_way)
		{
			flights_fail(&flights, flights.first, OUTCOME_PERMANENT, 10, "no");
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
	ok(flights.suspects <= 0, "the search is over");
	flights_reset(&flights);
}

static void
test_all_judged(void)
{
	Flights flights = {.window = 8};

	add(&flights, 3);
	flight_judge(flights.first, OUTCOME_TRANSIENT, 7, "no");
	flights.last->passage.waits = true;
	ok(!flights_all_judged(&flights), "an answer is awaited");
	flight_hold_back(flights.last->prev, 8, "behind");
	ok(flights_all_judged(&flights), "none of what was not sent");
	flights_reset(&flights);
}

static void
test_hold_back(void)
{
	Flights flights = {.window = 8};

	flights_hold_back(&flights, 1, 9, "x");
	add(&flights, 3);
	flight_judge(flights.last, OUTCOME_TRANSIENT, 2, "no");
	flights_hold_back(&flights, 1, 9, "x");
	ok(flights.first->held_back && !flights.last->held_back,
	   "one has a verdict of its own, the others are held back");
	is_str(flights.first->error, "held back: x", "by that");
	remove_first(&flights, 3);
	add(&flights, 3);
	flight_hold_back(flights.last, 1, "purged");
	flights_hold_back(&flights, 1, 9, "x");
	ok(!flights.first->held_back, "none has: the oldest gets one");
	is_int(flights.first->code, 9, "the code told");
	ok(flights.first->next->held_back, "the next is held back");
	is_str(flights.last->error, "purged", "the last stays as it was");
	remove_first(&flights, 3);
	add(&flights, 2);
	flights_fail(&flights, flights.last, OUTCOME_PERMANENT, 10, "too large");
	flights_hold_back(&flights, 1, 9, "x");
	ok(flights.first->held_back && flights.last->held_back,
	   "one of two is refused: both, since it will be searched for");
	flights_reset(&flights);
}

int
main(void)
{
	test_window(1000, 250);
	test_window(8, 2);
	test_window(3, 0);
	test_all_judged();
	test_hold_back();
	test_search(2, 1);
	test_search(3, 0);
	test_search(1000, 0);
	test_search(1000, 500);
	test_search(1000, 999);
	test_search(3999, 1777);
	return tap_done();
}
