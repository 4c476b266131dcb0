/*
 * relay/core/flight.c
 *
 * Deliveries under way.  One is some kilobytes, so what has landed is kept
 * for the next: given back to the system, its pages would have to be faulted
 * in again for every few messages.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>

#include "core/engine.h"
#include "core/mem.h"

Flight *
flight_new(Route *route, Item *item)
{
	struct FlightList *spare = &route->engine->spare_flights;
	Flight *flight = LIST_FIRST(spare);
	WireReader reader;

	if (flight != NULL)
		LIST_REMOVE(flight, link);
	else
		flight = mem_realloc(NULL, sizeof(*flight));
	wire_reader_init(&reader, item->message->bytes, item->message->len);
	wire_message_read(&reader, &flight->wire);
	/* what was written by wire_message_write reads back */
	assert(reader.error == NULL);
	flight->delivery = (Delivery){
		.message = &flight->wire,
		.attempt = item->attempts + 1,
		.owner = flight,
	};
	flight->route = route;
	flight->item = item;
	return flight;
}

void
flight_free(Flight *flight)
{
	LIST_INSERT_HEAD(&flight->route->engine->spare_flights, flight, link);
}

void
flight_reset(struct FlightList *flights)
{
	Flight *flight;

	while ((flight = LIST_FIRST(flights)) != NULL)
	{
		LIST_REMOVE(flight, link);
		mem_free(flight);
	}
}
