/*
 * test/unit/test_tail.c
 *
 * From the tail of a backlog to segments.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/tail.h"

#include "core/item.h"
#include "core/mem.h"
#include "tap.h"

static Item *
make_item(int64_t id)
{
	Item *item = mem_alloc(sizeof(*item));

	item->message = message_new(id, 0);
	return item;
}

static void
free_item(Item *item)
{
	message_unref(item->message);
	mem_free(item);
}

static void
test_segments(void)
{
	Tail tail = {.pos_next = 500};
	Facts facts;
	int64_t seq = 7;
	FactSegment like = {.route_id = 3, .run = 44};
	const FactSegment *last;

	facts_init(&facts);
	tail_add(&tail, 0, 1, TAIL_SEGMENT);
	tail_add(&tail, 0, TAIL_SEGMENT + 1, TAIL_SEGMENT + 5);
	tail_add(&tail, 1, TAIL_SEGMENT + 6, TAIL_SEGMENT + 7);
	is_int(tail.count, 2, "consecutive ids of a generation are one run");
	is_int(tail.ids, TAIL_SEGMENT + 7, "it knows how many ids it has");
	is_int(tail_flush(&tail, &facts, &like, &seq, 0), TAIL_SEGMENT + 7,
		   "all are written");
	is_int(facts.segments.count, 3, "a full one, the rest, another generation");
	is_int(seq, 10, "each has taken a number");
	last = &facts.segments.items[2];
	is_int(last->pos, 500 + TAIL_SEGMENT + 5, "places go on from one to next");
	ok(last->generation == 1 && last->nids == 2 &&
		   last->ids[1] == TAIL_SEGMENT + 7 && last->route_id == 3 &&
		   last->seq == 9,
	   "the last one in full");
	ok(facts.count > 0, "the facts know of it");
	is_int(tail.ids, 0, "nothing is left");
	facts_reset(&facts);
	tail_reset(&tail);
}

static void
test_items(void)
{
	Tail tail = {.pos_next = 10};
	Facts facts;
	int64_t seq = 1;
	FactSegment like = {.route_id = 1, .run = 44};
	Item *gone = make_item(5);
	Item *kept = make_item(6);

	facts_init(&facts);
	tail_add(&tail, 0, 1, 2);
	tail_add_item(&tail, gone);
	tail_add_item(&tail, kept);
	tail_add(&tail, 0, 7, 8);
	tail_end_item(&tail, gone);
	ok(!gone->in_tail && kept->in_tail, "one was delivered meanwhile");
	is_int(tail_flush(&tail, &facts, &like, &seq, 0), 5, "it is not written");
	is_int(facts.segments.items[0].ids[2], 6, "the other stands in its place");
	ok(kept->from_backlog && !kept->in_tail && kept->seq == 1 &&
		   kept->index == 2 && kept->run == 44 && kept->pos == 12,
	   "and has learnt it");
	facts_reset(&facts);
	free_item(gone);
	free_item(kept);
}

/* What goes to the tail of a key keeps its place, however far apart. */
static void
test_places(void)
{
	Tail tail = {.pos_next = 10};
	Facts facts;
	int64_t seq = 1;
	FactSegment like = {
		.route_id = 1, .of_key = true, .key_hash = -5, .run = 44};
	const FactSegment *s;

	facts_init(&facts);
	for (int64_t i = 0; i < TAIL_SEGMENT + 2; i++)
		tail_add_at(&tail, 0, i < TAIL_SEGMENT ? 100 + 3 * i : 9000 + i, 43,
					700 + 10 * i);
	is_int(tail_flush(&tail, &facts, &like, &seq, 0), TAIL_SEGMENT + 2,
		   "all of the key are written");
	s = facts.segments.items;
	ok(s->of_key && s->key_hash == -5 && s->run == 43 && s->pos == 700,
	   "the segment is the key's, and stands where its first one stood");
	is_int(s[1].pos, 700 + 10 * TAIL_SEGMENT, "so does the next");
	ok(s[1].nids == 2 && s[1].ids[1] == 9000 + TAIL_SEGMENT + 1,
	   "ids that follow each other share a run of the tail");
	facts_reset(&facts);
	tail_reset(&tail);
}

int
main(void)
{
	test_segments();
	test_items();
	test_places();
	return tap_done();
}
