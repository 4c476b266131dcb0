/*
 * relay/core/circuit.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/circuit.h"

#include <stddef.h>

const char *
circuit_state_name(CircuitState state)
{
	static const char *const names[] = {"CLOSED", "OPEN", "PROBING"};

	return names[state];
}

bool
circuit_alive(Circuit *circuit)
{
	bool closed = circuit->state != CIRCUIT_CLOSED;

	*circuit = (Circuit){.state = CIRCUIT_CLOSED};
	return closed;
}

static void
open_circuit(Circuit *circuit, int64_t now_ms)
{
	int64_t delay = circuit->probe_delay_ms * 2;

	if (delay < CIRCUIT_PROBE_MIN_MS)
		delay = CIRCUIT_PROBE_MIN_MS;
	if (delay > CIRCUIT_PROBE_MAX_MS)
		delay = CIRCUIT_PROBE_MAX_MS;
	circuit->probe_delay_ms = delay;
	circuit->probe_at_ms = now_ms + delay;
	circuit->state = CIRCUIT_OPEN;
}

static bool
is_new_failure(const Circuit *circuit, int64_t id)
{
	for (int i = 0; i < circuit->failures; i++)
		if (circuit->failed[i] == id)
			return false;
	return true;
}

bool
circuit_failed(Circuit *circuit, int64_t id, int64_t now_ms)
{
	if (circuit->state == CIRCUIT_OPEN)
		return true; /* was under way when it opened */
	if (circuit->state == CIRCUIT_PROBING)
	{
		circuit->probes++;
		open_circuit(circuit, now_ms);
		return true;
	}
	if (is_new_failure(circuit, id))
		circuit->failed[circuit->failures++] = id;
	if (circuit->failures < CIRCUIT_TRIP)
		return false;
	open_circuit(circuit, now_ms);
	return true;
}

bool
circuit_may_send(const Circuit *circuit, int inflight, int64_t now_ms)
{
	if (circuit->state == CIRCUIT_CLOSED)
		return true;
	return circuit->state == CIRCUIT_OPEN && inflight == 0 &&
		   now_ms >= circuit->probe_at_ms;
}

void
circuit_sent(Circuit *circuit)
{
	if (circuit->state == CIRCUIT_OPEN)
		circuit->state = CIRCUIT_PROBING;
}
