/*
 * relay/sink_kafka_flights.c
 *
 * See sink_kafka_flights.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_flights.h"

#include <stdio.h>
#include <string.h>

#include "core/mem.h"

Flight *
flights_add(Flights *flights, Delivery *delivery, int64_t now_us)
{
	Flight *flight = flights->idle;

	if (flight != NULL)
		flights->idle = flight->next;
	else
		flight = mem_alloc(sizeof(*flight));
	flight->delivery = delivery;
	flight->start_us = now_us;
	flight->alone = flights->first == NULL;
	flight->judged = false;
	flight->error[0] = '\0';
	flight->next = NULL;
	flight->prev = flights->last;
	if (flights->last != NULL)
	{
		flights->last->alone = false;
		flights->last->next = flight;
	}
	else
		flights->first = flight;
	flights->last = flight;
	flights->count++;
	if (flights->count >= flights->window)
		flights->gathers = true;
	return flight;
}

void
flights_remove(Flights *flights, Flight *flight)
{
	if (flight->prev != NULL)
		flight->prev->next = flight->next;
	else
		flights->first = flight->next;
	if (flight->next != NULL)
		flight->next->prev = flight->prev;
	else
		flights->last = flight->prev;
	flight->next = flights->idle;
	flights->idle = flight;
	flights->count--;
	if (flights->count <= flights->window / 4)
		flights->gathers = false;
	if (flights->opening == flight)
		flights->opening = NULL;
}

bool
flights_admits(const Flights *flights)
{
	return !flights->gathers && flights->opening == NULL;
}

void
flight_judge(Flight *flight, OutcomeClass class, int code, const char *text)
{
	flight->judged = true;
	flight->class = class;
	flight->code = code;
	snprintf(flight->error, sizeof(flight->error), "%s", text);
}

void
flights_blame(Flights *flights, int held_back, int code, const char *text)
{
	for (const Flight *it = flights->first; it != NULL; it = it->next)
	{
		if (it->judged && it->code != held_back)
			return;
	}
	if (flights->first != NULL)
		flight_judge(flights->first, OUTCOME_TRANSIENT, code, text);
}

static void
flights_free(Flight *flight)
{
	while (flight != NULL)
	{
		Flight *next = flight->next;

		mem_free(flight);
		flight = next;
	}
}

void
flights_reset(Flights *flights)
{
	flights_free(flights->first);
	flights_free(flights->idle);
	memset(flights, 0, sizeof(*flights));
}
