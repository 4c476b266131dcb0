/*
 * relay/core/item.h
 *
 * An item is one message on one route while it is in memory; a key is the
 * items and the waiting rows of one route that have the same key hash, which
 * go one after the other; a row is a waiting row of outbox.parked.
 *
 * An item stands in the list of its key and in the lane of its route until it
 * is delivered, parked, or moved to a backlog; one of its key's own backlog
 * only in the list of the key.  Plain structs; route.c and lane.c say what
 * happens to them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ITEM_H
#define OUTBOX_ITEM_H

#include <sys/queue.h>

#include "core/facts.h"
#include "core/message.h"

typedef struct Backlog Backlog;
typedef struct Item Item;
typedef struct Key Key;
typedef struct Row Row;

TAILQ_HEAD(ItemList, Item);
TAILQ_HEAD(RowList, Row);

typedef enum ItemState
{
	ITEM_LOADING, /* of the backlog, body not read, no key yet */
	ITEM_QUEUED,  /* waits behind others of its key */
	ITEM_READING, /* its turn has come, body not read */
	ITEM_READY,   /* in the ready list */
	ITEM_INFLIGHT /* with the sink */
} ItemState;

struct Item
{
	Message *message;
	Key *key; /* NULL: ordered against nothing */
	Row *row; /* it is the retry of this row; not in the lane */
	ItemState state;
	bool called;       /* it stands before the next of its key */
	bool stays;        /* in the lane when the route goes to BACKLOG */
	bool in_tail;      /* in the lane, and in the tail as well */
	bool from_backlog; /* has a place (seq, index) in a segment */
	bool of_key;       /* in one of its key's backlog; not in the lane */
	uint32_t tail_index;
	uint32_t index;
	int64_t seq;
	int64_t run;
	int64_t pos;
	int32_t attempts;  /* made so far */
	int64_t taken_ms;  /* by the lane, from the stream */
	Item **batch_slot; /* in the fetch under way; NULL: in none */
	TAILQ_ENTRY(Item) in_key;
	TAILQ_ENTRY(Item) in_lane;
	TAILQ_ENTRY(Item) in_state; /* list of loading, reading or ready ones */
};

struct Row
{
	int64_t id;
	int16_t generation;
	int16_t shard_id;
	bool settled; /* the settle that says so is committed */
	bool listed;  /* in rows_new or rows_out of the route */
	Key *key;
	int64_t run;
	int64_t pos;
	ParkedStatus status;
	int32_t retry_count;
	int64_t due_ms;          /* monotonic; 0: at once */
	Item *item;              /* its retry under way */
	int32_t heap_index;      /* in the heap of due rows; -1: not */
	TAILQ_ENTRY(Row) in_key; /* by (run, pos) */
	TAILQ_ENTRY(Row) in_unsettled;
};

struct Key
{
	int32_t hash;
	uint32_t inflight;
	uint32_t dead_pending; /* DEAD, the settle that says so not committed */
	uint32_t pins;         /* not to be freed now */
	bool regroup;          /* one came back: wait until all have landed */
	bool stays;            /* a later item stays in the lane */
	struct ItemList items;
	Item *next_item; /* the first not called up; NULL: none */
	struct RowList rows;
	uint32_t nrows;
	Backlog *backlog; /* of its own, behind the rows; NULL: none */
	Key *next;        /* in the bucket */
};

/* item_set_segment: it has got a place in a segment of the backlog. */
static inline void
item_set_segment(Item *item, int64_t seq, uint32_t index, int64_t run,
				 int64_t pos)
{
	item->in_tail = false;
	item->from_backlog = true;
	item->seq = seq;
	item->index = index;
	item->run = run;
	item->pos = pos;
}

#endif /* OUTBOX_ITEM_H */
