/*
 * relay/core/circuit.h
 *
 * The circuit breaker of a route (M. Nygard, Release It!).  CLOSED lets all
 * through; after transient failures of CIRCUIT_TRIP different messages with
 * nothing in between that showed the destination alive it is OPEN: nothing
 * goes out until the probe's time, then one delivery does (PROBING).  While
 * it is not CLOSED no message uses up an attempt.
 *
 * Different messages, because one message that always fails says nothing
 * about the destination: it must reach DEAD by its own attempts.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CIRCUIT_H
#define OUTBOX_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#define CIRCUIT_TRIP 5
#define CIRCUIT_PROBE_MIN_MS 1000
#define CIRCUIT_PROBE_MAX_MS 30000

typedef enum CircuitState
{
	CIRCUIT_CLOSED,
	CIRCUIT_OPEN,
	CIRCUIT_PROBING
} CircuitState;

typedef struct Circuit
{
	CircuitState state;
	int failures;                 /* entries used in failed */
	int64_t failed[CIRCUIT_TRIP]; /* ids */
	uint32_t probes;              /* that failed, one after the other */
	int64_t probe_delay_ms;
	int64_t probe_at_ms; /* while OPEN */
} Circuit;

extern const char *circuit_state_name(CircuitState state);

/* circuit_alive: the destination answered. True if this closed the circuit. */
extern bool circuit_alive(Circuit *circuit);
/*
 * circuit_failed: message id failed transiently.  True when the circuit is
 * not closed after that: no attempt is to be used up.
 */
extern bool circuit_failed(Circuit *circuit, int64_t id, int64_t now_ms);
/* circuit_may_send: how many may be under way beside inflight; 0 none. */
extern bool circuit_may_send(const Circuit *circuit, int inflight,
							 int64_t now_ms);
/* circuit_sent: a delivery goes out now. */
extern void circuit_sent(Circuit *circuit);

#endif /* OUTBOX_CIRCUIT_H */
