/*
 * relay/core/lane.c
 *
 * Which item of a route may go.  Within a key one after the other, in the
 * order of the list; not before the waiting rows of the key, and not while a
 * settle that says DEAD of the key is not known to be committed.  With a sink
 * that keeps order several of a key may be under way together.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>

#include "core/engine.h"
#include "core/mem.h"

Item *
lane_new_item(Message *message)
{
	Item *item = mem_alloc(sizeof(*item));

	item->message = message;
	item->state = ITEM_QUEUED;
	message->refs++;
	return item;
}

/* The backlog that an item with a place in a segment is of. */
static Backlog *
backlog_of(Route *route, const Item *item)
{
	return item->of_key ? item->key->backlog : &route->backlog;
}

static struct ItemList *
list_of(Route *route, const Item *item, ItemState state)
{
	switch (state)
	{
		case ITEM_LOADING:
			return &backlog_of(route, item)->loading;
		case ITEM_READING:
			return &route->reading;
		case ITEM_READY:
			return &route->ready;
		case ITEM_QUEUED:
		case ITEM_INFLIGHT:
			break;
	}
	return NULL;
}

void
lane_set_state(Route *route, Item *item, ItemState state)
{
	struct ItemList *from = list_of(route, item, item->state);
	struct ItemList *to = list_of(route, item, state);

	if (from != NULL)
		TAILQ_REMOVE(from, item, in_state);
	if (to != NULL)
		TAILQ_INSERT_TAIL(to, item, in_state);
	if (item->state == ITEM_LOADING)
		backlog_of(route, item)->nloading--;
	item->state = state;
}

/* Its turn has come: to the ready list, by way of the table if need be. */
static void
advance(Route *route, Item *item)
{
	lane_set_state(route, item,
				   item->message->bytes != NULL ? ITEM_READY : ITEM_READING);
}

static bool
is_blocked(const Key *key)
{
	return !TAILQ_EMPTY(&key->rows) || key->dead_pending > 0;
}

/* The first of its key, or with a sink that keeps order any but an unread. */
static bool
may_be_called(const Route *route, const Item *item)
{
	const Item *before = TAILQ_PREV(item, ItemList, in_key);

	return before == NULL ||
		   (route->keeps_order && before->state != ITEM_READING);
}

static void
advance_key(Route *route, Key *key)
{
	Item *item;

	if (key->inflight > 0 && (key->regroup || !route->keeps_order))
		return;
	key->regroup = false;
	while ((item = key->next_item) != NULL && may_be_called(route, item))
	{
		key->next_item = TAILQ_NEXT(item, in_key);
		item->called = true;
		advance(route, item);
	}
}

void
lane_recall(Route *route, Item *item)
{
	Key *key = item->key;

	if (!item->called)
		return;
	key->next_item = item;
	key->regroup = true;
	for (; item != NULL && item->called; item = TAILQ_NEXT(item, in_key))
	{
		item->called = false;
		if (item->state != ITEM_INFLIGHT)
			lane_set_state(route, item, ITEM_QUEUED);
	}
}

void
lane_wake(Route *route, Key *key)
{
	if (key->backlog != NULL)
		backlog_release(key->backlog);
	if (!TAILQ_EMPTY(&key->rows) && key->inflight == 0)
	{
		/* not before: what is under way may yet go to the backlog */
		park_followers(route, key);
		park_wake(route, TAILQ_FIRST(&key->rows));
	}
	else if (!is_blocked(key))
		advance_key(route, key);
	if (key->backlog != NULL && TAILQ_EMPTY(&key->rows))
		backlog_enlist(key->backlog);
	keys_release(&route->keys, key);
}

void
lane_append(Route *route, Item *item)
{
	const Message *message = item->message;

	TAILQ_INSERT_TAIL(&route->lane, item, in_lane);
	route->lane_count++;
	if (!route->spec.ordered || !message->has_key)
	{
		advance(route, item);
		return;
	}
	item->key = keys_get(&route->keys, message->key_hash);
	TAILQ_INSERT_TAIL(&item->key->items, item, in_key);
	if (item->key->next_item == NULL)
		item->key->next_item = item;
	if (item->key->backlog != NULL && !backlog_is_caught_up(item->key->backlog))
		backlog_take(route, item); /* rule behind */
	else
		lane_wake(route, item->key);
}

/* The key may have changed since the item became ready. */
static bool
may_go(const Item *item)
{
	const Key *key = item->key;

	if (key == NULL || item->row != NULL)
		return true; /* nothing of its key passes a row */
	return !is_blocked(key);
}

static Item *
first_ready(const Route *route, bool held_only)
{
	Item *item = TAILQ_FIRST(&route->ready);

	while (item != NULL && held_only && item->row == NULL && !item->of_key)
		item = TAILQ_NEXT(item, in_state);
	return item;
}

bool
lane_has_next(const Route *route, bool held_only)
{
	return first_ready(route, held_only) != NULL;
}

Item *
lane_next(Route *route, bool held_only)
{
	Item *item;

	while ((item = first_ready(route, held_only)) != NULL)
	{
		lane_set_state(route, item, ITEM_QUEUED);
		if (may_go(item))
			return item;
		lane_recall(route, item);
	}
	return NULL;
}

void
lane_put_back(Route *route, Item *item)
{
	item->state = ITEM_READY;
	TAILQ_INSERT_HEAD(&route->ready, item, in_state);
}

void
lane_leave_place(Route *route, Item *item)
{
	Engine *engine = route->engine;
	Facts *facts = engine_facts(engine);

	if (item->row != NULL)
		return;
	if (item->in_tail)
		tail_end_item(&route->backlog.tail, item);
	else if (item->from_backlog)
	{
		*ARRAY_PUSH(&facts->progress) =
			(FactProgress){route->spec.id, item->index, item->seq};
		facts_touch(facts, engine->now_ms);
		backlog_of(route, item)->ids--;
		route->behind_ids -= item->of_key;
	}
	else
		engine_placed(engine, item->message);
}

static void
leave_key(Item *item)
{
	Key *key = item->key;

	if (key->next_item == item)
		key->next_item = TAILQ_NEXT(item, in_key);
	TAILQ_REMOVE(&key->items, item, in_key);
}

void
lane_remove(Route *route, Item *item)
{
	lane_set_state(route, item, ITEM_QUEUED);
	if (item->batch_slot != NULL)
		*item->batch_slot = NULL;
	if (item->row != NULL)
	{
		item->row->item = NULL;
		route->nretries--;
	}
	else
	{
		if (item->of_key)
			item->key->backlog->nitems--;
		else
		{
			TAILQ_REMOVE(&route->lane, item, in_lane);
			route->lane_count--;
		}
		if (item->key != NULL)
			leave_key(item);
	}
	message_unref(item->message);
	mem_free(item);
}
