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
	*ARRAY_PUSH(tail) =
		(TailRun){.first = first, .last = last, .generation = generation};
}

/* Ids that follow each other share a run: their places only rise faster. */
void
tail_add_at(Tail *tail, int16_t generation, int64_t id, int64_t run_number,
			int64_t pos)
{
	uint32_t before = tail->count;
	TailRun *run;

	tail_add(tail, generation, id, id);
	run = &tail->items[tail->count - 1];
	if (tail->count == before)
		return;
	run->run = run_number;
	run->pos = pos;
}

void
tail_add_item(Tail *tail, Item *item)
{
	const Message *message = item->message;

	tail->ids++;
	item->in_tail = true;
	item->tail_index = tail->count;
	*ARRAY_PUSH(tail) = (TailRun){.first = message->id,
								  .last = message->id,
								  .generation = message->generation,
								  .item = item};
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

/* A new one for an id of this run; the run of like where it has no place. */
static FactSegment *
open_segment(const Tail *tail, Facts *facts, const FactSegment *like,
			 const TailRun *run, int64_t id)
{
	FactSegment *segment = ARRAY_PUSH(&facts->segments);

	*segment = *like;
	segment->generation = run->generation;
	segment->pos = tail->pos_next;
	if (run->run != 0)
	{
		segment->run = run->run;
		segment->pos = run->pos + id - run->first;
	}
	segment->ids = mem_alloc(TAIL_SEGMENT * sizeof(int64_t));
	segment->nids = 0;
	return segment;
}

int64_t
tail_flush(Tail *tail, Facts *facts, const FactSegment *like, int64_t *seq_next,
		   int64_t now_ms)
{
	FactSegment *segment = NULL;
	int64_t written = 0;

	for (uint32_t i = 0; i < tail->count; i++)
	{
		TailRun *run = &tail->items[i];

		for (int64_t id = run->first; id <= run->last; id++)
		{
			if (segment == NULL || segment->generation != run->generation ||
				segment->nids == TAIL_SEGMENT)
			{
				segment = open_segment(tail, facts, like, run, id);
				segment->seq = (*seq_next)++;
			}
			if (run->item != NULL)
				item_set_segment(run->item, segment->seq, segment->nids,
								 like->run, tail->pos_next);
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
