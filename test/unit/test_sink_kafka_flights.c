/*
 * test/unit/test_sink_kafka_flights.c
 *
 * A full window of the Kafka sink takes nothing until a quarter is left.
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
	ok(!flights.gathers, "window of %d: one less than full", window);
	add(&flights, 1);
	ok(flights.gathers, "window of %d: full", window);
	remove_first(&flights, window - left - 1);
	ok(flights.gathers, "window of %d: more than %d left", window, left);
	remove_first(&flights, 1);
	ok(!flights.gathers, "window of %d: %d left", window, left);
	add(&flights, 1);
	ok(!flights.gathers, "window of %d: it is filled again", window);
	flights_reset(&flights);
}

int
main(void)
{
	test_window(1000, 250);
	test_window(8, 2);
	test_window(3, 0);
	return tap_done();
}
