/*
 * relay/core/tail.h
 *
 * The end of a backlog that is not yet written: runs of ids in the order in
 * which they are to go.  A settle takes it whole and turns it into segments of
 * at most TAIL_SEGMENT ids.
 *
 * A route has two, because what is read from the table is to go before what
 * the stream brought meanwhile: their seq and pos come from different ranges.
 * The ids in them are numbered when they are written.  In the tail of a key
 * they keep the place that they had: the rows of the key are ordered by it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TAIL_H
#define OUTBOX_TAIL_H

#include "core/facts.h"

#ifndef TAIL_SEGMENT
#define TAIL_SEGMENT 1000
#endif

typedef struct Item Item;

typedef struct TailRun
{
	int64_t first;
	int64_t last; /* < first: removed */
	int64_t run;  /* place of the first; 0: it is numbered when written */
	int64_t pos;
	int16_t generation;
	Item *item; /* still in the lane, then first == last */
} TailRun;

typedef struct Tail
{
	TailRun *items;
	uint32_t count;
	uint32_t room;
	int64_t ids; /* in all, removed ones too */
	int64_t pos_next;
} Tail;

extern void tail_reset(Tail *tail);
/* tail_add: behind all others. */
extern void tail_add(Tail *tail, int16_t generation, int64_t first,
					 int64_t last);
/* tail_add_at: one id that keeps its place; they come in that order. */
extern void tail_add_at(Tail *tail, int16_t generation, int64_t id, int64_t run,
						int64_t pos);
/* tail_add_item: one id that is in the lane too; sets item's index here. */
extern void tail_add_item(Tail *tail, Item *item);
/* tail_end_item: it is delivered or parked, so not to be written. */
extern void tail_end_item(Tail *tail, Item *item);
/*
 * tail_flush: everything into facts as segments of the route, key and run of
 * like, numbered from *seq_next, which is raised; items in the lane learn their
 * segment and index.  Returns how many ids were written.
 */
extern int64_t tail_flush(Tail *tail, Facts *facts, const FactSegment *like,
						  int64_t *seq_next, int64_t now_ms);

#endif /* OUTBOX_TAIL_H */
