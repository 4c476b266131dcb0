/*
 * test/unit/sim_sink.c
 *
 * The destinations, by the contract of relay/sink.h.  What arrives is checked
 * here: committed, the same bytes, and each key in commit order.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include <string.h>

#include "core/mem.h"

/* The key of one that cannot be read is not known, so it holds up nobody. */
static bool
is_done_with(int64_t id, int r)
{
	const SimMessage *message = sim_message(id);

	return !(message->routes & 1 << r) || message->sent[r] > 0 ||
		   message->excused[r] || message->broken ||
		   sim_transaction_of(id)->state == SIM_LOST;
}

/* KeyOrder: those committed before have been delivered, or were DEAD. */
static void
check_order(int64_t id, int r)
{
	const SimMessage *message = sim_message(id);
	uint32_t *frontier = &sim.frontier[message->key][r];
	int64_t *ids = sim.by_key[message->key].items;

	if (message->key == 0 || message->broken || !sim.routes[r].spec.ordered ||
		sim.routes[r].loose || sim.unordered)
		return;
	while (*frontier < sim.by_key[message->key].count &&
		   is_done_with(ids[*frontier], r))
		++*frontier;
	if (*frontier < message->order)
		sim_fail("route %d got message %lld before %lld of the same key", r + 1,
				 (long long) id, (long long) ids[*frontier]);
}

/* stale: from a relay or a sink that is no longer the one that counts. */
static void
arrive(int64_t id, int r, bool stale)
{
	SimMessage *message = sim_message(id);
	bool lost = sim_transaction_of(id)->state == SIM_LOST && !message->ghost;

	sim_story("message %lld arrives at route %d", (long long) id, r + 1);
	if (!sim_is_committed(id) && !(stale && lost))
		sim_fail("message %lld was never committed, but it was sent",
				 (long long) id);
	if (!(message->routes & 1 << r))
		sim_fail("message %lld is not for route %d", (long long) id, r + 1);
	if (!stale && sim.invisible == 0 && message->excused[r] &&
		message->sent[r] == 0 &&
		sim.db.parked[(id - 1) * SIM_ROUTES + r] != NULL &&
		sim.db.parked[(id - 1) * SIM_ROUTES + r]->status == PARKED_DEAD)
		sim_fail("message %lld is DEAD on route %d and was sent",
				 (long long) id, r + 1);
	if (message->sent[r] == 0)
		check_order(id, r);
	if (++message->sent[r] > 1 + sim.faults * (1 + (sim.invisible > 0)))
		sim_fail("message %lld came %d times to route %d, with %u faults",
				 (long long) id, message->sent[r], r + 1, sim.faults);
	sim.deliveries++;
}

static void
check_bytes(const Delivery *delivery)
{
	const WireMessage *got = delivery->message;
	WireMessage want;

	sim_wire(got->id, &want, false);
	if (got->payload_omitted || got->payload.len != want.payload.len ||
		memcmp(got->payload.data, want.payload.data, want.payload.len) != 0 ||
		got->message_key.len != want.message_key.len ||
		got->generation != want.generation)
		sim_fail("message %lld is not what was written", (long long) got->id);
}

/* One of a key at a time, unless the sink keeps the order. */
static void
check_alone(const SimSink *sink, const WireMessage *message, int r)
{
	uint8_t key = sim_message(message->id)->key;

	if (key == 0 || !sim.routes[r].spec.ordered || sim.routes[r].loose ||
		sink->keeps_order)
		return;
	for (uint32_t i = 0; i < sink->out.count; i++)
		if (sim_message(sink->out.items[i].delivery->message->id)->key == key)
			sim_fail("two of a key are under way on route %d", r + 1);
}

bool
sim_submit(void *arg, Route *route, Delivery *delivery)
{
	int r = route->spec.id - 1;
	SimSink *sink = &sim.relay->sinks[r];

	(void) arg;
	if (!sink->open)
		sim_fail("a submit to route %d, which is closed", r + 1);
	check_bytes(delivery);
	check_alone(sink, delivery->message, r);
	for (uint32_t i = 0; i < sink->out.count; i++)
		if (sim.invisible == 0 &&
			sink->out.items[i].delivery->message->id == delivery->message->id)
			sim_fail("message %lld is under way twice on route %d",
					 (long long) delivery->message->id, r + 1);
	if (sink->wants_ready || sink->out.count >= SIM_OUT_MAX || sim_chance(5))
	{
		sink->wants_ready = true;
		return false;
	}
	sim_story("submit message %lld to route %d, attempt %d",
			  (long long) delivery->message->id, r + 1, delivery->attempt);
	*ARRAY_PUSH(&sink->out) = (SimDelivery){delivery, false};
	return true;
}

static OutcomeClass
decide(const SimDelivery *out, int r)
{
	int64_t id = out->delivery->message->id;

	if (out->doomed)
		return OUTCOME_TRANSIENT;
	if (sim_message(id)->poison & 1 << r)
		return OUTCOME_PERMANENT;
	if (sim.routes[r].down || (sim_message(id)->key > 0 &&
							   sim_message(id)->key == sim.routes[r].down_key))
		return OUTCOME_TRANSIENT;
	if (sim.calm)
		return OUTCOME_OK;
	return sim.now_ms < sim_message(id)->stubborn_ms ||
				   sim_chance(sim.transient)
			   ? OUTCOME_TRANSIENT
			   : OUTCOME_OK;
}

static Outcome
outcome_of(const SimDelivery *out, int r)
{
	Outcome outcome = {.class = decide(out, r), .retry_after_ms = -1};

	outcome.held_back = sim_chance(out->doomed ? 70 : 3);
	outcome.duration_us = (int64_t) sim_random(1000000);
	if (outcome.class != OUTCOME_OK)
		strcpy(outcome.error,
			   outcome.class == OUTCOME_TRANSIENT ? "later" : "never");
	if (outcome.class == OUTCOME_TRANSIENT && sim_chance(10))
		outcome.retry_after_ms = (int64_t) sim_random(2000);
	return outcome;
}

bool
sim_answer(int r)
{
	SimSink *sink = &sim.relay->sinks[r];
	uint32_t i;
	SimDelivery out;
	Outcome outcome;

	if (!sink->open || sink->hung || sink->out.count == 0)
		return false;
	i = sink->keeps_order ? 0 : (uint32_t) sim_random(sink->out.count);
	out = sink->out.items[i];
	memmove(&sink->out.items[i], &sink->out.items[i + 1],
			(--sink->out.count - i) * sizeof(SimDelivery));
	outcome = outcome_of(&out, r);
	if (outcome.class == OUTCOME_OK)
		arrive(out.delivery->message->id, r, sim.old);
	else
	{
		for (uint32_t k = 0; sink->keeps_order && k < sink->out.count; k++)
			sink->out.items[k].doomed = true;
		sim_story("message %lld: %s from route %d",
				  (long long) out.delivery->message->id,
				  outcome_class_name(outcome.class), r + 1);
	}
	engine_done(SIM_ENGINE, out.delivery, &outcome);
	return true;
}

void
sim_sink_close(int r)
{
	SimSink *sink = &sim.relay->sinks[r];
	uint32_t queue = sim.queues++;
	bool late = false, lost = false;

	for (uint32_t i = 0; i < sink->out.count; i++)
	{
		int64_t id = sink->out.items[i].delivery->message->id;

		if (!sink->keeps_order)
			late = lost = false;
		late = late || sim_chance(30);
		lost = lost || sink->out.items[i].doomed || sim_chance(30) ||
			   (sim_message(id)->poison & 1 << r) || sim.routes[r].down;
		if (!lost && !late)
			arrive(id, r, sim.old);
		else if (!lost)
			*ARRAY_PUSH(&sim.late) =
				(SimLate){id, queue, (uint8_t) r, sink->keeps_order};
	}
	ARRAY_RESET(&sink->out);
	*sink = (SimSink){.open = false};
}

bool
sim_arrive_late(void)
{
	uint32_t i;
	SimLate late;

	if (sim.late.count == 0)
		return false;
	i = (uint32_t) sim_random(sim.late.count);
	late = sim.late.items[i];
	if (late.keeps_order)
		for (i = 0; sim.late.items[i].queue != late.queue; i++)
			;
	late = sim.late.items[i];
	memmove(&sim.late.items[i], &sim.late.items[i + 1],
			(--sim.late.count - i) * sizeof(SimLate));
	sim_story("late:");
	arrive(late.id, late.route, true);
	return true;
}

void
sim_sink_open(int r, bool keeps_order)
{
	sim.relay->sinks[r] = (SimSink){.open = true, .keeps_order = keeps_order};
}

bool
sim_ready(int r)
{
	if (!sim.relay->sinks[r].wants_ready)
		return false;
	sim.relay->sinks[r].wants_ready = false;
	engine_ready(SIM_ENGINE, (int16_t) (r + 1));
	return true;
}
