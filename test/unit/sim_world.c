/*
 * test/unit/sim_world.c
 *
 * The application: up to three transactions at a time write messages, some
 * with subtransactions, some large enough to be streamed, and commit in
 * another order than their ids.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "murmur2.h"

#define OPEN_MAX 3

static const char *const keys[SIM_KEYS + 1] = {NULL, "red", "green", "blue",
											   "white"};
static uint8_t frame_bytes[SIM_FRAME_MAX];
static char payload[32];

SimMessage *
sim_message(int64_t id)
{
	if (id < 1 || id > sim.messages.count)
		sim_fail("message %lld was never written", (long long) id);
	return &sim.messages.items[id - 1];
}

SimTransaction *
sim_transaction_of(int64_t id)
{
	return &sim.transactions.items[sim_message(id)->transaction];
}

bool
sim_is_committed(int64_t id)
{
	return !sim_message(id)->ghost &&
		   sim_transaction_of(id)->state == SIM_COMMITTED;
}

bool
sim_is_visible(int64_t id)
{
	return sim_is_committed(id) && sim_transaction_of(id)->visible;
}

static WireBytes
bytes_of(const char *text)
{
	return (WireBytes){(const uint8_t *) text,
					   text != NULL ? (uint32_t) strlen(text) : 0};
}

int32_t
sim_key_hash(uint8_t key)
{
	WireBytes bytes = bytes_of(keys[key]);

	return murmur2(bytes.data, bytes.len);
}

static uint16_t
routes_of(const SimMessage *message, int16_t *routes)
{
	uint16_t n = 0;

	for (int16_t r = 1; r <= SIM_ROUTES; r++)
		if (message->routes & 1 << (r - 1))
			routes[n++] = r;
	return n;
}

void
sim_wire(int64_t id, WireMessage *wire, bool in_frame)
{
	const SimMessage *message = sim_message(id);

	memset(wire, 0, sizeof(*wire));
	snprintf(payload, sizeof(payload), "payload %lld", (long long) id);
	wire->id = id;
	wire->generation = message->generation;
	wire->nroutes = routes_of(message, wire->routes);
	wire->type = bytes_of("t");
	wire->message_key = bytes_of(keys[message->key]);
	wire->payload_omitted = in_frame && message->omitted;
	if (!wire->payload_omitted)
		wire->payload = bytes_of(payload);
}

/* ---------- frames ---------- */

static void
add_frame(uint32_t transaction, uint64_t lsn, const WireWriter *writer)
{
	if (writer->overflow)
		sim_fail("a frame of the simulation is too long");
	*ARRAY_PUSH(&sim.frames) = (SimFrame){
		transaction, lsn, mem_copy(writer->data, writer->len), writer->len};
}

static void
write_frame(WireWriter *writer, const SimTransaction *t, WireFrame frame)
{
	frame.xid = t->xid;
	frame.commit_end = t->end;
	frame.commit_time = 1;
	wire_writer_init(writer, frame_bytes, sizeof(frame_bytes));
	wire_frame_write(writer, &frame);
}

/* Ids [from, to) of a transaction that are of one subtransaction. */
static void
add_chunk(uint32_t index, uint32_t from, uint32_t to)
{
	const SimTransaction *t = &sim.transactions.items[index];
	uint32_t subxid = sim_message(t->items[from])->subxid;
	WireRun runs[64];
	uint32_t count = 0;
	WireWriter writer;

	for (uint32_t i = from; i < to && count < 64; i++)
	{
		const SimMessage *message = sim_message(t->items[i]);
		WireRun run = {.generation = message->generation,
					   .first = t->items[i],
					   .last = t->items[i]};
		WireRun *last = count > 0 ? &runs[count - 1] : NULL;

		run.nroutes = routes_of(message, run.routes);
		if (last != NULL && last->last == run.first - 1 &&
			last->generation == run.generation &&
			last->nroutes == run.nroutes &&
			memcmp(last->routes, run.routes, sizeof(run.routes)) == 0)
			last->last = run.last;
		else
			runs[count++] = run;
	}
	write_frame(
		&writer, t,
		(WireFrame){.kind = WIRE_CHUNK, .subxid = subxid, .count = count});
	for (uint32_t i = 0; i < count; i++)
		wire_run_write(&writer, &runs[i]);
	add_frame(index, sim.wal++, &writer);
}

static void
add_chunks(uint32_t index)
{
	SimTransaction *t = &sim.transactions.items[index];

	while (t->chunked < t->count)
	{
		uint32_t to = t->chunked + 1;
		const SimMessage *first = sim_message(t->items[t->chunked]);
		uint32_t most = sim.large ? 5000 : 4;

		while (
			to < t->count && to - t->chunked < most &&
			sim_message(t->items[to])->subxid == first->subxid &&
			(!sim.large || sim_message(t->items[to])->routes == first->routes))
			to++;
		if (!first->ghost)
			add_chunk(index, t->chunked, to);
		t->chunked = to;
	}
}

static void
add_end(uint32_t index, WireKind kind, uint32_t subxid)
{
	WireWriter writer;

	write_frame(&writer, &sim.transactions.items[index],
				(WireFrame){.kind = kind, .subxid = subxid});
	add_frame(index, sim.transactions.items[index].end, &writer);
}

/* The messages that were not rolled back, in one or several frames. */
static void
add_transaction(uint32_t index)
{
	const SimTransaction *t = &sim.transactions.items[index];
	uint32_t most = 1 + (uint32_t) sim_random(4);
	int64_t *ids = mem_alloc(t->count * sizeof(int64_t));
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->count; i++)
		if (!sim_message(t->items[i])->ghost)
			ids[n++] = t->items[i];
	for (uint32_t i = 0; i < n; i += most)
	{
		uint32_t count = n - i < most ? n - i : most;
		WireWriter writer;

		write_frame(&writer, t,
					(WireFrame){.kind = WIRE_TRANSACTION,
								.flags = i + count == n ? WIRE_LAST : 0,
								.ordinal = i,
								.count = count});
		for (uint32_t k = i; k < i + count; k++)
		{
			WireMessage wire;

			sim_wire(ids[k], &wire, true);
			wire_message_write(&writer, &wire);
		}
		add_frame(index, t->end, &writer);
	}
	mem_free(ids);
}

/* ---------- transactions ---------- */

static void
begin(void)
{
	*ARRAY_PUSH(&sim.transactions) = (SimTransaction){
		.xid = ++sim.xids,
		.streamed = sim_chance(sim.streamed),
	};
}

static void
write_message(uint32_t index, uint32_t subxid)
{
	SimTransaction *t = &sim.transactions.items[index];
	SimMessage *message = ARRAY_PUSH(&sim.messages);

	*message = (SimMessage){
		.transaction = index,
		.subxid = subxid,
		.generation = (int16_t) (sim_chance(90) ? 0 : (int) sim_random(4) - 1),
		.key = sim.crowded && sim_chance(60)
				   ? 1
				   : (uint8_t) sim_random(SIM_KEYS + 1),
		.omitted = sim_chance(15),
		.broken = sim_chance(2),
	};
	for (int r = 0; r < SIM_ROUTES; r++)
		if (sim.routes[r].spec.state != SPEC_DROPPED &&
			(sim.routes[r].exists || r == sim.deleted) && sim_chance(70))
			message->routes |= (uint8_t) (1 << r);
	if (sim_chance(5))
		message->poison = (uint8_t) sim_random(1 << SIM_ROUTES);
	if (sim.crowded && sim_chance(10))
		message->stubborn_ms = sim.now_ms + (int64_t) sim_random(1500);
	*ARRAY_PUSH(t) = sim.messages.count;
}

/* One that writes some rows, all of which may be rolled back at once. */
static void
write_some(uint32_t index)
{
	SimTransaction *t = &sim.transactions.items[index];
	bool sub = sim_chance(25);
	uint32_t subxid = sub ? ++sim.xids : t->xid;
	uint32_t n = sim.large && sim_chance(20) ? 1 + (uint32_t) sim_random(5000)
											 : 1 + (uint32_t) sim_random(4);
	uint32_t from = t->count;

	for (uint32_t i = 0; i < n && sim.messages.count < sim.messages_max; i++)
		write_message(index, subxid);
	t = &sim.transactions.items[index];
	if (t->streamed && sim_chance(50))
		add_chunks(index);
	if (!sub || sim_chance(50))
		return;
	for (uint32_t i = 0; i < t->count; i++)
		if (sim_message(t->items[i])->subxid == subxid)
			sim_message(t->items[i])->ghost = true;
	t->end = sim.wal++;
	if (t->streamed && t->chunked > from)
		add_end(index, WIRE_STREAM_ABORT, subxid);
	sim_story("savepoint %u rolled back", subxid);
}

static void
roll_back(uint32_t index)
{
	SimTransaction *t = &sim.transactions.items[index];

	t->state = SIM_ROLLED_BACK;
	t->end = sim.wal++;
	if (t->streamed && t->chunked > 0)
		add_end(index, WIRE_STREAM_ABORT, t->xid);
	sim_story("transaction %u rolled back", t->xid);
}

/* The application writes one key by one session after the other. */
static void
show_key(uint8_t key)
{
	for (uint32_t i = 0; i < sim.by_key[key].count; i++)
		sim_transaction_of(sim.by_key[key].items[i])->visible = true;
}

static void
list_messages(const SimTransaction *t)
{
	for (uint32_t i = 0; i < t->count; i++)
	{
		SimMessage *message = sim_message(t->items[i]);

		if (message->ghost)
			continue;
		if (sim.serial && sim.invisible > 0)
			show_key(message->key);
		message->order = sim.by_key[message->key].count;
		*ARRAY_PUSH(&sim.by_key[message->key]) = t->items[i];
	}
}

static void
commit(uint32_t index)
{
	SimTransaction *t = &sim.transactions.items[index];

	if (t->streamed)
		add_chunks(index);
	list_messages(t);
	t->state = SIM_COMMITTED;
	t->visible = !sim_chance(sim.invisible);
	sim.wal += 8;
	t->end = sim.wal++;
	if (t->streamed)
		add_end(index, WIRE_STREAM_COMMIT, 0);
	else
		add_transaction(index);
	*ARRAY_PUSH(&sim.commits) = index;
	sim_story("transaction %u (%u messages, %s%s) committed at %llu", t->xid,
			  t->count, t->streamed ? "streamed" : "whole",
			  t->visible ? "" : ", not visible yet",
			  (unsigned long long) t->end);
	for (uint32_t i = 0; sim.verbose && !sim.large && i < t->count; i++)
		sim_story("  message %lld key %d routes %x%s%s%s%s%s",
				  (long long) t->items[i], sim_message(t->items[i])->key,
				  sim_message(t->items[i])->routes,
				  sim_message(t->items[i])->ghost ? " ghost" : "",
				  sim_message(t->items[i])->omitted ? " omitted" : "",
				  sim_message(t->items[i])->poison ? " poison" : "",
				  sim_message(t->items[i])->stubborn_ms > 0 ? " stubborn" : "",
				  sim_message(t->items[i])->broken ? " broken" : "");
}

void
sim_work(void)
{
	uint32_t open[OPEN_MAX];
	uint32_t n = 0;
	uint32_t which;

	for (uint32_t i = 0; i < sim.transactions.count; i++)
		if (sim.transactions.items[i].state == SIM_OPEN)
			open[n++] = i;
	if (n < OPEN_MAX && sim.messages.count < sim.messages_max && sim_chance(40))
	{
		begin();
		return;
	}
	if (n == 0)
		return;
	which = open[sim_random(n)];
	if (sim.messages.count < sim.messages_max && sim_chance(60))
		write_some(which);
	else if (sim_chance(15))
		roll_back(which);
	else
		commit(which);
}

void
sim_end_work(bool lose)
{
	for (uint32_t i = 0; i < sim.transactions.count; i++)
		if (sim.transactions.items[i].state == SIM_OPEN)
		{
			if (lose)
				roll_back(i);
			else
				commit(i);
		}
}

void
sim_ring(void)
{
	WireWriter writer;
	WireFrame frame = {.kind = WIRE_DOORBELL, .bells = WIRE_BELL_ROUTE};

	begin();
	sim.transactions.items[sim.transactions.count - 1].state = SIM_COMMITTED;
	sim.transactions.items[sim.transactions.count - 1].visible = true;
	sim.transactions.items[sim.transactions.count - 1].end = sim.wal;
	frame.commit_end = sim.wal;
	wire_writer_init(&writer, frame_bytes, sizeof(frame_bytes));
	wire_frame_write(&writer, &frame);
	add_frame(sim.transactions.count - 1, sim.wal++, &writer);
}

void
sim_lose_work(uint64_t wal)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < sim.transactions.count; i++)
	{
		SimTransaction *t = &sim.transactions.items[i];

		if (t->state != SIM_COMMITTED || t->end <= wal)
			continue;
		t->state = SIM_LOST;
		sim_story("transaction %u is lost", t->xid);
	}
	for (uint32_t i = 0; i < sim.frames.count; i++)
	{
		if (sim.frames.items[i].lsn <= wal)
			sim.frames.items[left++] = sim.frames.items[i];
		else
			mem_free(sim.frames.items[i].data);
	}
	sim.frames.count = left;
	sim.wal = wal + 1;
	/* of what is lost, and of what was rolled back later than that */
	for (uint32_t i = 0; i < sim.transactions.count; i++)
	{
		SimTransaction *t = &sim.transactions.items[i];

		if (t->state == SIM_OPEN || t->end <= wal)
			continue;
		t->end = sim.wal++;
		if (t->streamed && t->chunked > 0)
			add_end(i, WIRE_STREAM_ABORT, t->xid);
	}
}

void
sim_show(uint32_t most)
{
	for (uint32_t i = 0; i < sim.commits.count && most > 0; i++)
	{
		SimTransaction *t = &sim.transactions.items[sim.commits.items[i]];

		if (t->visible)
			continue;
		t->visible = true;
		most--;
		sim_story("transaction %u is visible", t->xid);
	}
}

void
sim_world_reset(void)
{
	for (uint32_t i = 0; i < sim.transactions.count; i++)
		ARRAY_RESET(&sim.transactions.items[i]);
	for (uint32_t i = 0; i < sim.frames.count; i++)
		mem_free(sim.frames.items[i].data);
	for (int k = 0; k <= SIM_KEYS; k++)
		ARRAY_RESET(&sim.by_key[k]);
	ARRAY_RESET(&sim.transactions);
	ARRAY_RESET(&sim.frames);
	ARRAY_RESET(&sim.messages);
	ARRAY_RESET(&sim.commits);
	ARRAY_RESET(&sim.late);
}
