/*
 * relay/core/tail.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/tail.h"

#include <assert.h>
#include <string.h>

#include "core/item.h"
#include "core/mem.h"

void
tail_reset(Tail *tail)
{
	ARRAY_RESET(tail);
	tail->ids = 0;
}

void
tail_add(Tail *tail, int16_t generation, int64_t first, int64_t last)
{
	TailRun *run = tail->count > 0 ? &tail->items[tail->count - 1] : NULL;

	tail->ids += last - first + 1;
	if (run != NULL && run->item == NULL && run->generation == generation &&
		run->last == first - 1)
	{
		run->last = last;
		return;
	}
	*ARRAY_PUSH(tail) = (TailRun){first, last, generation, NULL};
}

void
tail_add_item(Tail *tail, Item *item)
{
	const Message *message = item->message;

	tail->ids++;
	item->in_tail = true;
	item->tail_index = tail->count;
	*ARRAY_PUSH(tail) =
		(TailRun){message->id, message->id, message->generation, item};
}

void
tail_end_item(Tail *tail, Item *item)
{
	TailRun *run = &tail->items[item->tail_index];

	assert(item->in_tail && run->item == item);
	run->item = NULL;
	run->last = run->first - 1;
	item->in_tail = false;
}

/* The segment that the next id of this generation goes to. */
static FactSegment *
segment_for(Tail *tail, Facts *facts, int16_t route_id, int16_t generation,
			int64_t *seq_next, FactSegment *open)
{
	if (open != NULL && open->generation == generation &&
		open->nids < TAIL_SEGMENT)
		return open;
	open = ARRAY_PUSH(&facts->segments);
	*open = (FactSegment){
		.route_id = route_id,
		.generation = generation,
		.seq = (*seq_next)++,
		.pos = tail->pos_next,
		.ids = mem_alloc(TAIL_SEGMENT * sizeof(int64_t)),
	};
	return open;
}

int64_t
tail_flush(Tail *tail, Facts *facts, int16_t route_id, int64_t run_number,
		   int64_t *seq_next, int64_t now_ms)
{
	FactSegment *segment = NULL;
	int64_t written = 0;

	for (uint32_t i = 0; i < tail->count; i++)
	{
		TailRun *run = &tail->items[i];

		for (int64_t id = run->first; id <= run->last; id++)
		{
			segment = segment_for(tail, facts, route_id, run->generation,
								  seq_next, segment);
			if (run->item != NULL)
				item_set_segment(run->item, segment->seq, segment->nids,
								 run_number, tail->pos_next);
			segment->ids[segment->nids++] = id;
			tail->pos_next++;
			written++;
		}
	}
	if (written > 0)
		facts_touch(facts, now_ms);
	tail_reset(tail);
	return written;
}
