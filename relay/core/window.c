/*
 * relay/core/window.c
 *
 * What is read from the database for a route: the head of its backlog, and
 * the bodies of messages whose turn has come.  Backlog items enter the lane
 * in the order of the backlog; one that is not found (not visible yet) holds
 * up those behind it and is looked for again, never dropped.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>
#include <string.h>

#include "core/engine.h"
#include "core/mem.h"

/* Items of the backlog in memory; fewer when memory is short. */
#ifndef WINDOW_ITEMS
#define WINDOW_ITEMS 2048
#endif
#ifndef WINDOW_ITEMS_SHORT
#define WINDOW_ITEMS_SHORT 16
#endif

static uint32_t
window_size(const Route *route)
{
	if (!route_able(route) || route->engine->hold)
		return 0;
	if (route->circuit.state != CIRCUIT_CLOSED)
		return circuit_may_send(&route->circuit, (int) route->inflight,
								route->engine->now_ms)
				   ? 1
				   : 0;
	return engine_over_budget(route->engine) ? WINDOW_ITEMS_SHORT
											 : WINDOW_ITEMS;
}

static void
free_segment(Segment *segment)
{
	mem_free(segment->ids);
	mem_free(segment->gone);
	mem_free(segment);
}

static void
drop_segments(Route *route)
{
	Segment *segment;

	while ((segment = STAILQ_FIRST(&route->segments)) != NULL)
	{
		STAILQ_REMOVE_HEAD(&route->segments, link);
		free_segment(segment);
	}
}

static void
drop_loading(Route *route, Item *item)
{
	lane_set_state(route, item, ITEM_QUEUED);
	if (item->batch_slot != NULL)
		*item->batch_slot = NULL;
	message_unref(item->message);
	mem_free(item);
}

static void
load_item(Route *route, const Segment *segment, uint32_t index)
{
	Message *message = message_new(segment->ids[index], segment->generation);
	Item *item = lane_new_item(message);

	message_unref(message);
	item_set_segment(item, segment->seq, index, segment->run,
					 segment->pos + index);
	item->state = ITEM_LOADING;
	TAILQ_INSERT_TAIL(&route->loading, item, in_state);
	route->nloading++;
}

static void
load_items(Route *route)
{
	uint32_t size = window_size(route);
	Segment *segment;

	while (route->lane_count + route->nloading < size &&
		   (segment = STAILQ_FIRST(&route->segments)) != NULL)
	{
		if (segment->next == segment->nids)
		{
			STAILQ_REMOVE_HEAD(&route->segments, link);
			free_segment(segment);
			continue;
		}
		if (!segment->gone[segment->next])
			load_item(route, segment, segment->next);
		segment->next++;
	}
}

static void
read_segments(Route *route)
{
	Engine *engine = route->engine;

	if (route->backlog_reading || route->pouring ||
		!STAILQ_EMPTY(&route->segments) ||
		route->seq_read >= route->seq_written || window_size(route) == 0)
		return;
	route->backlog_reading = true;
	route->seq_asked = route->seq_written;
	engine->ops->read_backlog(engine->arg, route, route->seq_read);
}

/* Items that left memory's window before: under way, or not yet settled. */
static void
mark_gone(const Route *route, Segment *segment)
{
	const Item *item;

	TAILQ_FOREACH(item, &route->lane, in_lane)
	if (item->seq == segment->seq)
		segment->gone[item->index] = true;
	for (int i = 0; i < 2; i++)
	{
		const Facts *facts = &route->engine->facts[i];

		for (uint32_t k = 0; k < facts->progress.count; k++)
		{
			const FactProgress *p = &facts->progress.items[k];

			if (p->route_id == route->spec.id && p->seq == segment->seq)
				segment->gone[p->index] = true;
		}
	}
}

void
window_segment(Route *route, const Segment *from, const IdSet *done)
{
	Segment *segment;

	if (route->discard_read)
		return;
	segment = mem_alloc(sizeof(*segment));
	*segment = *from;
	segment->next = 0;
	segment->ids = mem_copy(from->ids, from->nids * sizeof(int64_t));
	segment->gone = mem_alloc(from->nids * sizeof(bool));
	for (uint32_t i = 0; i < segment->nids; i++)
		segment->gone[i] = idset_has(done, i);
	mark_gone(route, segment);
	STAILQ_INSERT_TAIL(&route->segments, segment, link);
	route->seq_read = segment->seq;
}

void
window_segments(Route *route)
{
	route->backlog_reading = false;
	if (route->discard_read)
	{
		/* asked for before the window was evicted */
		route->discard_read = false;
		return;
	}
	/* numbers that were reserved, or whose segment has gone */
	if (STAILQ_EMPTY(&route->segments))
		route->seq_read = route->seq_asked;
}

/* As many as are likely to bring ROUTE_FETCH_BYTES. */
static uint32_t
batch_size(const Route *route)
{
	int64_t size;

	size = route->average_bytes == 0 ? 16 /* nothing known yet */
									 : ROUTE_FETCH_BYTES / route->average_bytes;
	if (size < 1)
		size = 1;
	return size > ROUTE_FETCH_MAX ? ROUTE_FETCH_MAX : (uint32_t) size;
}

/* Something is always read, so that a route goes on when others fill memory. */
static void
add_to_batch(FetchBatch *batch, struct ItemList *list, uint32_t most)
{
	Item *item;

	TAILQ_FOREACH(item, list, in_state)
	{
		if (batch->count >= most)
			break;
		if (item->message->bytes != NULL)
			continue;
		batch->ids[batch->count] = item->message->id;
		batch->items[batch->count] = item;
		item->batch_slot = &batch->items[batch->count];
		batch->count++;
		if (engine_over_budget(batch->route->engine))
			break;
	}
}

static void
wake_read_item(Route *route, Item *item)
{
	lane_set_state(route, item, ITEM_READY);
	if (item->row == NULL && item->key != NULL)
		lane_wake(route, item->key);
}

/* Another route that has the message too may have read the body. */
static void
wake_shared(Route *route)
{
	Item *item = TAILQ_FIRST(&route->reading);

	while (item != NULL)
	{
		if (item->message->bytes == NULL)
		{
			item = TAILQ_NEXT(item, in_state);
			continue;
		}
		wake_read_item(route, item);
		item = TAILQ_FIRST(&route->reading);
	}
}

/* Over the budget what is there goes first; but what is due is always read. */
static bool
may_load(const Route *route)
{
	return !engine_over_budget(route->engine) ||
		   (route->inflight == 0 && TAILQ_EMPTY(&route->ready));
}

static void
fetch(Route *route)
{
	Engine *engine = route->engine;
	uint32_t most = batch_size(route);

	if (route->batch != NULL || engine->now_ms < route->reread_ms)
		return;
	route->reread_ms = 0;
	wake_shared(route);
	if (TAILQ_EMPTY(&route->reading) && TAILQ_EMPTY(&route->loading))
		route->missing_since_ms = 0;
	if (TAILQ_EMPTY(&route->reading) &&
		(TAILQ_EMPTY(&route->loading) || !may_load(route)))
		return;
	route->batch = mem_alloc(sizeof(FetchBatch));
	route->batch->route = route;
	add_to_batch(route->batch, &route->reading, most);
	if (may_load(route))
		add_to_batch(route->batch, &route->loading, most);
	assert(route->batch->count > 0);
	engine->ops->fetch(engine->arg, route->batch);
}

void
window_run(Route *route)
{
	if (route->mode == ROUTE_BACKLOG)
	{
		load_items(route);
		read_segments(route);
	}
	fetch(route);
}

/* The item that an answer is for; NULL: it is no longer wanted. */
static Item *
find_item(FetchBatch *batch, int64_t id)
{
	while (batch->cursor < batch->count && batch->ids[batch->cursor] != id)
		batch->cursor++;
	return batch->cursor < batch->count ? batch->items[batch->cursor++] : NULL;
}

void
window_body(FetchBatch *batch, const WireMessage *wire)
{
	Route *route = batch->route;
	Item *item = find_item(batch, wire->id);

	if (item == NULL)
		return;
	message_set_body(item->message, wire, &route->engine->bytes);
	route->average_bytes =
		route->average_bytes == 0
			? item->message->len
			: (route->average_bytes * 7 + item->message->len) / 8 + 1;
}

/* Those at the head of the loading list that have a body join the lane. */
static void
join_lane(Route *route)
{
	Item *item;

	while ((item = TAILQ_FIRST(&route->loading)) != NULL &&
		   item->message->bytes != NULL)
	{
		lane_set_state(route, item, ITEM_QUEUED);
		lane_append(route, item);
	}
}

/* A body that cannot be used: the message will be buried when its turn comes. */
void
window_unreadable(FetchBatch *batch, int64_t id)
{
	Item *item = find_item(batch, id);

	if (item != NULL)
		message_set_unreadable(item->message, &batch->route->engine->bytes);
}

/*
 * What is not under way leaves memory: the route will not send for a while,
 * and what it holds would be short for others.
 */
void
window_evict(Route *route)
{
	Item *item, *next;

	assert(route->mode == ROUTE_BACKLOG);
	route_choose_stayers(route);
	for (item = TAILQ_FIRST(&route->lane); item != NULL; item = next)
	{
		Key *key = item->key;

		next = TAILQ_NEXT(item, in_lane);
		if (item->stays || !item->from_backlog)
			continue;
		lane_remove(route, item);
		if (key != NULL)
			keys_release(&route->keys, key);
	}
	while ((item = TAILQ_FIRST(&route->loading)) != NULL)
		drop_loading(route, item);
	drop_segments(route);
	route->seq_read = 0;
	route->discard_read = route->backlog_reading;
}

void
window_fetched(FetchBatch *batch)
{
	Route *route = batch->route;
	bool missing = false;

	for (uint32_t i = 0; i < batch->count; i++)
	{
		Item *item = batch->items[i];

		if (item == NULL)
			continue;
		item->batch_slot = NULL;
		if (item->message->bytes == NULL)
			missing = true;
		else if (item->state == ITEM_READING)
			wake_read_item(route, item);
	}
	mem_free(batch);
	route->batch = NULL;
	join_lane(route);
	route->reread_ms = missing ? route->engine->now_ms + ROUTE_REREAD_MS : 0;
	if (!missing)
		route->missing_since_ms = 0;
	else if (route->missing_since_ms == 0)
		route->missing_since_ms = route->engine->now_ms;
}

void
window_reset(Route *route)
{
	drop_segments(route);
	mem_free(route->batch);
	route->batch = NULL;
}
