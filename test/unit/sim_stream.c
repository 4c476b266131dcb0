/*
 * test/unit/sim_stream.c
 *
 * The walsender: what it sends of the frames, and what is confirmed to it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

/* The decoder sends what committed after the start, from its beginning. */
static bool
is_sent(const SimFrame *frame)
{
	const SimTransaction *t = &sim.transactions.items[frame->transaction];

	return t->state == SIM_OPEN || t->end > sim.relay->start;
}

static const SimFrame *
next_frame(void)
{
	while (sim.relay->cursor < sim.frames.count &&
		   !is_sent(&sim.frames.items[sim.relay->cursor]))
		sim.relay->cursor++;
	return sim.relay->cursor < sim.frames.count
			   ? &sim.frames.items[sim.relay->cursor]
			   : NULL;
}

static bool
may_read(void)
{
	return sim.relay->up && sim.relay->streaming && sim.relay->fed &&
		   sim.relay->drain_until_ms == 0 && !sim.relay->paused;
}

bool
sim_feed(void)
{
	const SimFrame *frame;
	const char *error;
	uint8_t bells;

	if (!may_read() || (frame = next_frame()) == NULL)
		return false;
	sim.relay->cursor++;
	sim_tell_time();
	sim_story("frame %c of transaction %u", frame->data[0],
			  sim.transactions.items[frame->transaction].xid);
	if (!engine_frame(SIM_ENGINE, frame->data, frame->len, &bells, &error))
		sim_fail("frame: %s", error);
	/* at once; it goes on after a turn */
	sim.relay->paused = sim.relay->paused || engine_wants_pause(SIM_ENGINE);
	if (bells != 0)
		sim_ask_routes();
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
	if (lsn <= SIM_ENGINE->passed)
		return false;
	sim_story("keepalive %llu", (unsigned long long) lsn);
	engine_passed(SIM_ENGINE, lsn);
	return true;
}

bool
sim_confirm(void)
{
	if (!sim.relay->up || !sim.relay->streaming || !sim.slot ||
		sim.relay->confirmable <= sim.confirmed)
		return false;
	sim.confirmed = sim.relay->confirmable;
	if (sim.confirmed > sim.db.position)
		sim_fail("the slot is confirmed past P");
	sim_story("confirmed %llu", (unsigned long long) sim.confirmed);
	return true;
}
