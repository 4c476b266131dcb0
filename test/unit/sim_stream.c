/*
 * test/unit/sim_stream.c
 *
 * The walsender: what it sends of the frames, and what is confirmed to it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

static SimRelay *const relay = &sim.relay;
static Engine *const engine = &sim.relay.engine;

/* The decoder sends what committed after the start, from its beginning. */
static bool
is_sent(const SimFrame *frame)
{
	const SimTransaction *t = &sim.transactions.items[frame->transaction];

	return t->state == SIM_OPEN || t->end > relay->start;
}

static const SimFrame *
next_frame(void)
{
	while (relay->cursor < sim.frames.count &&
		   !is_sent(&sim.frames.items[relay->cursor]))
		relay->cursor++;
	return relay->cursor < sim.frames.count ? &sim.frames.items[relay->cursor]
											: NULL;
}

static bool
may_read(void)
{
	return relay->up && relay->streaming && relay->fed &&
		   !engine_wants_pause(engine);
}

bool
sim_feed(void)
{
	const SimFrame *frame;
	const char *error;
	uint8_t bells;

	if (!may_read() || (frame = next_frame()) == NULL)
		return false;
	relay->cursor++;
	sim_tell_time();
	sim_story("frame %c of transaction %u", frame->data[0],
			  sim.transactions.items[frame->transaction].xid);
	if (!engine_frame(engine, frame->data, frame->len, &bells, &error))
		sim_fail("frame: %s", error);
	return true;
}

bool
sim_keepalive(void)
{
	const SimFrame *frame;
	uint64_t lsn;

	if (!may_read())
		return false;
	frame = next_frame();
	lsn = frame == NULL ? sim.wal : frame->lsn - 1;
	if (lsn <= engine->passed)
		return false;
	sim_story("keepalive %llu", (unsigned long long) lsn);
	engine_passed(engine, lsn);
	return true;
}

bool
sim_confirm(void)
{
	if (!relay->up || !relay->streaming || !sim.slot ||
		relay->confirmable <= sim.confirmed)
		return false;
	sim.confirmed = relay->confirmable;
	if (sim.confirmed > sim.db.position)
		sim_fail("the slot is confirmed past P");
	sim_story("confirmed %llu", (unsigned long long) sim.confirmed);
	return true;
}
