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
#include "sink_kafka_partitions.h"

/* One delivery that has been taken. */
typedef struct Flight
{
	Delivery *delivery;
	int64_t start_us;
	Passage passage; /* until the producer is given up */
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
	int suspects; /* verdicts that were not believed, see flights_fail */
} Flights;

/* flights_add: at the end. alone: no other was in the list with it, ever. */
extern Flight *flights_add(Flights *flights, Delivery *delivery,
						   int64_t now_us);
/* flights_admits: may another be added now. */
extern bool flights_admits(const Flights *flights);
/* flights_admits_beside: while there are suspects, these go alone. */
extern bool flights_admits_beside(const Flights *flights,
								  const Delivery *delivery);
/* flights_remove: the flight may be read until the next flights_add. */
extern void flights_remove(Flights *flights, Flight *flight);
extern void flights_reset(Flights *flights);

extern void flight_judge(Flight *flight, OutcomeClass class, int code,
						 const char *text);
/*
 * flights_fail: by a report.  A broker judges batches, not messages, so
 * PERMANENT is believed only of one that was alone, else it is a suspect.
 */
extern void flights_fail(Flights *flights, Flight *flight, OutcomeClass class,
						 int code, const char *text);
/* flights_judge_late: TRANSIENT, what began until then and is not judged. */
extern void flights_judge_late(Flights *flights, int64_t before_us, int code,
							   const char *text);
/* flight_outcome: all but held_back. */
extern void flight_outcome(const Flight *flight, int64_t now_us,
						   Outcome *outcome);
/*
 * flights_blame: when none has a verdict of its own but held_back, one must
 * yet count as tried, or all would be sent again at once, for ever: the
 * oldest fails.
 */
extern void flights_blame(Flights *flights, int held_back, int code,
						  const char *text);

#endif /* OUTBOX_SINK_KAFKA_FLIGHTS_H */
