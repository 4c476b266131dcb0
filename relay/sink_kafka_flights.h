/*
 * relay/sink_kafka_flights.h
 *
 * The deliveries that the Kafka sink has taken and not yet told, in the
 * order of submit.  Pure; what becomes of them is decided in sink_kafka.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_KAFKA_FLIGHTS_H
#define OUTBOX_SINK_KAFKA_FLIGHTS_H

#include "sink.h"

/* One delivery that has been taken. */
typedef struct Flight
{
	Delivery *delivery;
	int64_t start_us;
	bool alone;
	bool judged; /* class and so on are known */
	OutcomeClass class;
	int code; /* Kafka's */
	char error[OUTCOME_ERROR_MAX];
	struct Flight *prev; /* in the order of submit */
	struct Flight *next; /* also in idle */
} Flight;

typedef struct Flights
{
	Flight *first; /* oldest */
	Flight *last;
	Flight *idle;
	int count;
	int window; /* no more are under way */
	/*
	 * From a full window until a quarter of it is left nothing is taken.
	 * librdkafka then has few large batches to send; what comes one by one
	 * goes in many small ones, and while these wait for their turn its thread
	 * polls without a pause, which took up to three times the processor.
	 */
	bool gathers;
	Flight *opening; /* nothing is taken until it is told */
} Flights;

/* flights_add: at the end. alone: no other was in the list with it, ever. */
extern Flight *flights_add(Flights *flights, Delivery *delivery,
						   int64_t now_us);
/* flights_admits: may another be added now. */
extern bool flights_admits(const Flights *flights);
/* flights_remove: the flight may be read until the next flights_add. */
extern void flights_remove(Flights *flights, Flight *flight);
extern void flights_reset(Flights *flights);

extern void flight_judge(Flight *flight, OutcomeClass class, int code,
						 const char *text);
/*
 * flights_blame: when none has a verdict of its own but held_back, one must
 * yet count as tried, or all would be sent again at once, for ever: the
 * oldest fails.
 */
extern void flights_blame(Flights *flights, int held_back, int code,
						  const char *text);

#endif /* OUTBOX_SINK_KAFKA_FLIGHTS_H */
