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
	bool held_back; /* by the failure of another */
	int code;       /* Kafka's */
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
	/*
	 * Among so many that come next is one that is refused for good, which a
	 * broker says of its whole batch only.  Half of them go together, and the
	 * next when all are told, until it is refused alone.
	 */
	int suspects;
	int together; /* taken since none was under way */
	bool refused; /* one of those under way */
} Flights;

/* flights_add: at the end. alone: no other was in the list with it, ever. */
extern Flight *flights_add(Flights *flights, Delivery *delivery,
						   int64_t now_us);
/* flights_admits: may another be added now. */
extern bool flights_admits(const Flights *flights);
/* flights_remove: the flight may be read until the next flights_add. */
extern void flights_remove(Flights *flights, Flight *flight);
extern void flights_reset(Flights *flights);

/* flight_judge: by an answer of its own. */
extern void flight_judge(Flight *flight, OutcomeClass class, int code,
						 const char *text);
/* flight_hold_back: for no fault of its own, so to be sent again soon. */
extern void flight_hold_back(Flight *flight, int code, const char *text);
/*
 * flights_fail: by a report.  A broker judges batches, not messages, so
 * PERMANENT is believed only of one that was alone, else it is held back.
 */
extern void flights_fail(Flights *flights, Flight *flight, OutcomeClass class,
						 int code, const char *text);
/* flights_judge_late: TRANSIENT, what began until then and is not judged. */
extern void flights_judge_late(Flights *flights, int64_t before_us, int code,
							   const char *text);
/* flights_all_judged: what has been sent; there is no report to come. */
extern bool flights_all_judged(const Flights *flights);
extern void flight_outcome(const Flight *flight, int64_t now_us,
						   Outcome *outcome);
/*
 * flights_hold_back: all that are not judged.  When none has a verdict of its
 * own one must yet count as tried, or all would be sent again at once, for
 * ever: the oldest fails, with the code, unless one of them was refused.
 */
extern void flights_hold_back(Flights *flights, int held_back, int code,
							  const char *text);
/* flights_search: so many are to go again; if one was refused, which. */
extern void flights_search(Flights *flights, int count);

#endif /* OUTBOX_SINK_KAFKA_FLIGHTS_H */
