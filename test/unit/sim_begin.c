/*
 * test/unit/sim_begin.c
 *
 * What the relay reads of the tables at a start: how much there is in which
 * backlog, and the waiting rows.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include <stdlib.h>

#include "core/mem.h"

/* Of the route itself with key 0. */
static void
tell_one(int16_t r, uint8_t key)
{
	int32_t key_hash = key > 0 ? sim_key_hash(key) : 0;
	int64_t seq = 0, messages = 0;

	for (uint32_t i = 0; i < sim.db.segments.count; i++)
	{
		const SimSegment *segment = &sim.db.segments.items[i];

		if (segment->left == 0 || segment->route_id != r ||
			segment->of_key != (key > 0) || segment->key_hash != key_hash)
			continue;
		seq = segment->seq > seq ? segment->seq : seq;
		messages += segment->left;
	}
	if (messages > 0)
		engine_backlog_summary(SIM_ENGINE, r, key > 0 ? &key_hash : NULL, seq,
							   messages);
}

void
sim_tell_backlog(void)
{
	for (int16_t r = 1; r <= SIM_ROUTES; r++)
		for (uint8_t key = 0; key <= SIM_KEYS; key++)
			tell_one(r, key);
}

static int
compare_rows(const void *a, const void *b)
{
	const FactPark *x = *(FactPark *const *) a;
	const FactPark *y = *(FactPark *const *) b;

	if (x->run != y->run)
		return x->run < y->run ? -1 : 1;
	if (x->pos != y->pos)
		return x->pos < y->pos ? -1 : 1;
	return x->route_id - y->route_id;
}

void
sim_tell_rows(void)
{
	FACTS_ARRAY(FactPark *) rows = {0};

	for (size_t i = 0; i < (size_t) sim.messages.count * SIM_ROUTES; i++)
		if (sim.db.parked[i] != NULL && sim.db.parked[i]->status != PARKED_DEAD)
			*ARRAY_PUSH(&rows) = sim.db.parked[i];
	if (rows.count > 0)
		qsort(rows.items, rows.count, sizeof(FactPark *), compare_rows);
	for (uint32_t i = 0; i < rows.count; i++)
		engine_row(SIM_ENGINE, rows.items[i],
				   sim.now_ms + (rows.items[i]->retry_in_ms > 0
									 ? rows.items[i]->retry_in_ms
									 : 0));
	ARRAY_RESET(&rows);
}
