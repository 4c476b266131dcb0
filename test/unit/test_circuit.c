/*
 * test/unit/test_circuit.c
 *
 * When the circuit of a route opens, probes and closes.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/circuit.h"

#include "tap.h"

static void
trip(Circuit *circuit, int64_t now_ms)
{
	for (int64_t id = 1; id <= CIRCUIT_TRIP; id++)
		circuit_failed(circuit, id, now_ms);
}

static void
test_closed(void)
{
	Circuit circuit = {0};

	for (int i = 0; i < 100; i++)
		circuit_failed(&circuit, 7, 0);
	is_int(circuit.state, CIRCUIT_CLOSED,
		   "one message that always fails does not open it");
	for (int64_t id = 1; id < CIRCUIT_TRIP - 1; id++)
		ok(!circuit_failed(&circuit, id, 0), "failure of another, %d",
		   (int) id);
	ok(!circuit_alive(&circuit), "an answer does not close what is closed");
	for (int64_t id = 1; id < CIRCUIT_TRIP; id++)
		circuit_failed(&circuit, id, 0);
	is_int(circuit.state, CIRCUIT_CLOSED, "an answer forgets the failures");
	ok(circuit_failed(&circuit, 99, 0), "one more opens it");
	is_int(circuit.state, CIRCUIT_OPEN, "OPEN");
}

static void
test_probe(void)
{
	Circuit circuit = {0};

	trip(&circuit, 10000);
	ok(circuit_failed(&circuit, 50, 10000),
	   "what was under way uses up no attempt");
	ok(!circuit_may_send(&circuit, 0, 10000), "nothing goes out at first");
	ok(!circuit_may_send(&circuit, 1, 99999), "nothing beside another");
	ok(circuit_may_send(&circuit, 0, 10000 + CIRCUIT_PROBE_MIN_MS),
	   "one goes at its time");
	circuit_sent(&circuit);
	is_int(circuit.state, CIRCUIT_PROBING, "PROBING");
	ok(!circuit_may_send(&circuit, 0, 99999), "and no other");
	ok(circuit_alive(&circuit), "an answer closes it");
	ok(circuit_may_send(&circuit, 1000, 0), "all may go again");
}

static void
test_delay(void)
{
	Circuit circuit = {0};
	int64_t now_ms = 0;

	trip(&circuit, now_ms);
	for (int i = 0; i < 20; i++)
	{
		now_ms = circuit.probe_at_ms;
		circuit_sent(&circuit);
		circuit_failed(&circuit, 1, now_ms);
		if (i == 0)
			is_int(circuit.probe_at_ms - now_ms, 2 * CIRCUIT_PROBE_MIN_MS,
				   "the second probe waits twice as long");
	}
	is_int(circuit.probe_at_ms - now_ms, CIRCUIT_PROBE_MAX_MS,
		   "and no longer than the longest");
	circuit_alive(&circuit);
	trip(&circuit, 0);
	is_int(circuit.probe_at_ms, CIRCUIT_PROBE_MIN_MS,
		   "after an answer it begins anew");
}

int
main(void)
{
	test_closed();
	test_probe();
	test_delay();
	is_str(circuit_state_name(CIRCUIT_OPEN), "OPEN", "its name");
	return tap_done();
}
