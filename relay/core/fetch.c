/*
 * relay/core/fetch.c
 *
 * The bodies of messages that are not in memory: of those whose turn has come,
 * and of those of a backlog that are to join the lane or the list of their
 * key.  One that is not found (not visible yet) is looked for again, never
 * dropped.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>

#include "core/engine.h"
#include "core/mem.h"

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

/*
 * Over the budget what is there goes first, if it may; but what is due is
 * always read.
 */
static bool
may_load(const Route *route)
{
	return !engine_over_budget(route->engine) ||
		   (route->inflight == 0 &&
			!lane_has_next(route, route_is_full(route)));
}

static bool
has_loading(const Route *route)
{
	const Backlog *backlog = TAILQ_FIRST(&route->line);

	if (!TAILQ_EMPTY(&route->backlog.loading))
		return true;
	for (uint32_t i = 0; i < WINDOW_KEYS && backlog != NULL; i++)
	{
		if (!TAILQ_EMPTY(&backlog->loading))
			return true;
		backlog = TAILQ_NEXT(backlog, in_line);
	}
	return false;
}

static void
add_keys(FetchBatch *batch, uint32_t most)
{
	Backlog *backlog = TAILQ_FIRST(&batch->route->line);
	uint32_t before = batch->count;

	for (uint32_t i = 0; i < WINDOW_KEYS && backlog != NULL; i++)
	{
		add_to_batch(batch, &backlog->loading, most);
		if (engine_over_budget(batch->route->engine) && batch->count > before)
			break;
		backlog = TAILQ_NEXT(backlog, in_line);
	}
}

/* By turns, so that neither keeps the other out with long bodies. */
static void
add_loading(FetchBatch *batch, uint32_t most)
{
	Route *route = batch->route;

	if (route->keys_first)
		add_keys(batch, most);
	add_to_batch(batch, &route->backlog.loading, most);
	if (!route->keys_first)
		add_keys(batch, most);
	route->keys_first = !route->keys_first;
}

void
fetch_run(Route *route)
{
	Engine *engine = route->engine;
	uint32_t most = batch_size(route);
	bool loading;

	if (route->batch != NULL || engine->now_ms < route->reread_ms)
		return;
	route->reread_ms = 0;
	wake_shared(route);
	loading = has_loading(route);
	if (TAILQ_EMPTY(&route->reading) && !loading)
		route->missing_since_ms = 0;
	loading = loading && may_load(route);
	if (TAILQ_EMPTY(&route->reading) && !loading)
		return;
	route->batch = mem_alloc(sizeof(FetchBatch));
	route->batch->route = route;
	add_to_batch(route->batch, &route->reading, most);
	if (loading)
		add_loading(route->batch, most);
	assert(route->batch->count > 0);
	engine->ops->fetch(engine->arg, route->batch);
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
fetch_body(FetchBatch *batch, const WireMessage *wire)
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

/* A body that cannot be used: the message will be buried when its turn comes. */
void
fetch_unreadable(FetchBatch *batch, int64_t id)
{
	Item *item = find_item(batch, id);

	if (item != NULL)
		message_set_unreadable(item->message, &batch->route->engine->bytes);
}

void
fetch_done(FetchBatch *batch)
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
	window_join(route);
	route->reread_ms = missing ? route->engine->now_ms + ROUTE_REREAD_MS : 0;
	if (!missing)
		route->missing_since_ms = 0;
	else if (route->missing_since_ms == 0)
		route->missing_since_ms = route->engine->now_ms;
}
