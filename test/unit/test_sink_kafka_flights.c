/*
 * test/unit/test_sink_kafka_flights.c
 *
 * A full window of the Kafka sink takes nothing until a quarter is left, and
 * which verdicts are believed.
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

/* What a request with others was refused for goes alone the next time. */
static void
test_suspects(void)
{
	Delivery new = {.attempt = 1};
	Delivery again = {.attempt = 2};
	Flights flights = {.window = 8};

	flights_add(&flights, &new, 0);
	flights_add(&flights, &new, 0);
	flights_fail(&flights, flights.last, OUTCOME_PERMANENT, 10, "too large");
	is_int(flights.last->class, OUTCOME_TRANSIENT,
		   "not believed of one of two");
	flights_fail(&flights, flights.first, OUTCOME_TRANSIENT, 1, "x");
	remove_first(&flights, 2);
	ok(flights_admits_beside(&flights, &again), "a suspect goes");
	flights_add(&flights, &again, 0);
	ok(!flights_admits_beside(&flights, &new), "nothing beside it");
	flights_fail(&flights, flights.first, OUTCOME_PERMANENT, 10, "too large");
	is_int(flights.first->class, OUTCOME_PERMANENT, "believed of one alone");
	remove_first(&flights, 1);
	flights_add(&flights, &new, 0);
	ok(flights_admits_beside(&flights, &again), "there are no others");
	flights_reset(&flights);
}

static void
test_blame(void)
{
	Flights flights = {.window = 8};

	flights_blame(&flights, 1, 9, "x");
	add(&flights, 3);
	flight_judge(flights.last, OUTCOME_TRANSIENT, 1, "held back");
	flight_judge(flights.last->prev, OUTCOME_PERMANENT, 2, "too large");
	flights_blame(&flights, 1, 9, "x");
	ok(!flights.first->judged, "one has a verdict of its own: no other");
	flight_judge(flights.last->prev, OUTCOME_TRANSIENT, 1, "held back");
	flights_blame(&flights, 1, 9, "x");
	ok(flights.first->judged, "none has: the oldest gets one");
	is_int(flights.first->code, 9, "the code told");
	is_int(flights.last->code, 1, "the others stay as they were");
	flights_reset(&flights);
}

int
main(void)
{
	test_window(1000, 250);
	test_window(8, 2);
	test_window(3, 0);
	test_suspects();
	test_blame();
	return tap_done();
}
