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
	flight->passage = (Passage){.partition = NULL};
	flight->alone = flights->first == NULL;
	flights->together = flight->alone ? 1 : flights->together + 1;
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
	if (flights->first == NULL && flights->suspects > 0)
		flights->suspects -= flights->together;
	flight->next = flights->idle;
	flights->idle = flight;
	flights->count--;
	if (flights->count <= flights->window / 4)
		flights->gathers = false;
}

bool
flights_admits(const Flights *flights)
{
	return !flights->gathers &&
		   (flights->suspects <= 0 || flights->first == NULL ||
			flights->together < flights->suspects / 2);
}

void
flight_judge(Flight *flight, OutcomeClass class, int code, const char *text)
{
	flight->judged = true;
	flight->held_back = false;
	flight->class = class;
	flight->code = code;
	snprintf(flight->error, sizeof(flight->error), "%s", text);
}

void
flight_hold_back(Flight *flight, int code, const char *text)
{
	flight_judge(flight, OUTCOME_TRANSIENT, code, text);
	flight->held_back = true;
}

void
flight_outcome(const Flight *flight, int64_t now_us, Outcome *outcome)
{
	outcome->class = flight->class;
	outcome->held_back = flight->held_back;
	outcome->status = flight->code;
	outcome->retry_after_ms = -1;
	outcome->duration_us = now_us - flight->start_us;
	outcome->answer_len = 0;
	memcpy(outcome->error, flight->error, sizeof(outcome->error));
}

void
flights_fail(Flights *flights, Flight *flight, OutcomeClass class, int code,
			 const char *text)
{
	if (class == OUTCOME_PERMANENT && !flight->alone)
	{
		flights->refused = true;
		flight_hold_back(flight, code, text);
	}
	else
		flight_judge(flight, class, code, text);
}

bool
flights_all_judged(const Flights *flights)
{
	const Flight *it = flights->first;

	while (it != NULL && (it->judged || it->passage.waits))
		it = it->next;
	return it == NULL;
}

void
flights_judge_late(Flights *flights, int64_t before_us, int code,
				   const char *text)
{
	for (Flight *it = flights->first; it != NULL; it = it->next)
	{
		if (!it->judged && it->start_us <= before_us)
			flight_judge(it, OUTCOME_TRANSIENT, code, text);
	}
}

static bool
one_has_failed(const Flights *flights)
{
	const Flight *it = flights->first;

	while (it != NULL && (!it->judged || it->held_back))
		it = it->next;
	return it != NULL || flights->refused;
}

void
flights_hold_back(Flights *flights, int held_back, int code, const char *text)
{
	char why[OUTCOME_ERROR_MAX];

	if (flights->first != NULL && !one_has_failed(flights))
		flight_judge(flights->first, OUTCOME_TRANSIENT, code, text);
	snprintf(why, sizeof(why), "held back: %.240s", text);
	for (Flight *it = flights->first; it != NULL; it = it->next)
	{
		if (!it->judged)
			flight_hold_back(it, held_back, why);
	}
}

void
flights_search(Flights *flights, int count)
{
	if (flights->refused)
		flights->suspects = count;
	flights->refused = false;
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
