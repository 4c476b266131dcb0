/*
 * relay/core/window.c
 *
 * The heads of backlogs in memory: which segments are read, which of their
 * messages are loaded.  Those of the route's own backlog enter the lane, those
 * of a key's the list of the key, in the order of the backlog; one whose body
 * is not there holds up those behind it.
 *
 * Of the keys that can go, only so many are loaded at a time, and each gets a
 * window's worth a turn when others wait for theirs.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>
#include <string.h>

#include "core/engine.h"
#include "core/mem.h"

/* Items of the route's own backlog; fewer when memory is short. */
#ifndef WINDOW_ITEMS
#define WINDOW_ITEMS 2048
#endif
#ifndef WINDOW_ITEMS_SHORT
#define WINDOW_ITEMS_SHORT 16
#endif
#define WINDOW_KEY_ITEMS_SHORT 2

static uint32_t
window_size(const Backlog *backlog)
{
	const Route *route = backlog->route;
	bool is_short = engine_over_budget(route->engine);

	if (!route_able(route) || route->engine->hold)
		return 0;
	if (route->circuit.state != CIRCUIT_CLOSED)
		return park_may_probe(route, false) ? 1 : 0;
	if (backlog->key != NULL)
		return is_short ? WINDOW_KEY_ITEMS_SHORT : WINDOW_KEY_ITEMS;
	return is_short ? WINDOW_ITEMS_SHORT : WINDOW_ITEMS;
}

/* It has had its share, and others wait for theirs. */
static bool
is_turn_over(const Backlog *backlog)
{
	return backlog->key != NULL && backlog->taken >= WINDOW_KEY_ITEMS &&
		   backlog->route->nline > WINDOW_KEYS;
}

static bool
has_room(const Backlog *backlog)
{
	uint32_t used =
		backlog->key != NULL ? backlog->nitems : backlog->route->lane_count;

	return used + backlog->nloading < window_size(backlog) &&
		   !is_turn_over(backlog);
}

/* ---------- segments ---------- */

static void
free_segment(Segment *segment)
{
	mem_free(segment->ids);
	mem_free(segment->gone);
	mem_free(segment);
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

void
window_drop(Backlog *backlog)
{
	Segment *segment;
	Item *item;

	while ((item = TAILQ_FIRST(&backlog->loading)) != NULL)
		drop_loading(backlog->route, item);
	while ((segment = STAILQ_FIRST(&backlog->segments)) != NULL)
	{
		STAILQ_REMOVE_HEAD(&backlog->segments, link);
		free_segment(segment);
	}
}

static void
load_item(Backlog *backlog, const Segment *segment, uint32_t index)
{
	Message *message = message_new(segment->ids[index], segment->generation);
	Item *item = lane_new_item(message);

	message_unref(message);
	item_set_segment(item, segment->seq, index, segment->run,
					 segment->pos + index);
	item->of_key = backlog->key != NULL;
	item->key = backlog->key;
	item->state = ITEM_LOADING;
	TAILQ_INSERT_TAIL(&backlog->loading, item, in_state);
	backlog->nloading++;
	backlog->taken++;
}

static void
load_items(Backlog *backlog)
{
	Segment *segment;

	while ((segment = STAILQ_FIRST(&backlog->segments)) != NULL)
	{
		if (segment->next == segment->nids)
		{
			STAILQ_REMOVE_HEAD(&backlog->segments, link);
			free_segment(segment);
			continue;
		}
		if (!has_room(backlog))
			break;
		if (!segment->gone[segment->next])
			load_item(backlog, segment, segment->next);
		segment->next++;
	}
}

static void
read_segments(Backlog *backlog)
{
	Engine *engine = backlog->route->engine;

	if (backlog->reading || !STAILQ_EMPTY(&backlog->segments) ||
		backlog->seq_read >= backlog->seq_written ||
		window_size(backlog) == 0 || is_turn_over(backlog))
		return;
	backlog->reading = true;
	backlog->seq_asked = backlog->seq_written;
	engine->ops->read_backlog(engine->arg, backlog, backlog->seq_read);
}

/* Items that left memory's window before: under way, or not yet settled. */
static void
mark_gone(const Backlog *backlog, Segment *segment)
{
	const Route *route = backlog->route;
	const Item *item;

	if (backlog->key != NULL)
	{
		TAILQ_FOREACH(item, &backlog->key->items, in_key)
		if (item->seq == segment->seq)
			segment->gone[item->index] = true;
	}
	else
	{
		TAILQ_FOREACH(item, &route->lane, in_lane)
		if (item->seq == segment->seq)
			segment->gone[item->index] = true;
	}
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
window_segment(Backlog *backlog, const Segment *from, const IdSet *done)
{
	Segment *segment;

	if (backlog->discard)
		return;
	segment = mem_alloc(sizeof(*segment));
	*segment = *from;
	segment->next = 0;
	segment->ids = mem_copy(from->ids, from->nids * sizeof(int64_t));
	segment->gone = mem_alloc(from->nids * sizeof(bool));
	for (uint32_t i = 0; i < segment->nids; i++)
		segment->gone[i] = idset_has(done, i);
	mark_gone(backlog, segment);
	STAILQ_INSERT_TAIL(&backlog->segments, segment, link);
	backlog->seq_read = segment->seq;
}

void
window_segments(Backlog *backlog)
{
	backlog->reading = false;
	/* numbers that were reserved, or whose segment has gone */
	if (!backlog->discard && STAILQ_EMPTY(&backlog->segments))
		backlog->seq_read = backlog->seq_asked;
	/* asked for before the window was evicted */
	backlog->discard = false;
}

/* ---------- keys ---------- */

/*
 * What is under way stays, what is before it, and what is before one of the
 * lane: that one must not become the first of the key.
 */
static void
forget(Backlog *backlog)
{
	Item *item, *before;
	bool stays = false;
	bool left = backlog->reading || backlog->nloading > 0 ||
				!STAILQ_EMPTY(&backlog->segments);

	for (item = TAILQ_LAST(&backlog->key->items, ItemList); item != NULL;
		 item = before)
	{
		before = TAILQ_PREV(item, ItemList, in_key);
		if (!item->of_key || item->state == ITEM_INFLIGHT)
			stays = true;
		if (stays)
			continue;
		lane_remove(backlog->route, item);
		left = true;
	}
	window_drop(backlog);
	if (!left)
		return;
	backlog->seq_read = 0;
	backlog->discard = backlog->reading;
}

void
window_close(Backlog *backlog)
{
	if (!backlog->listed)
		return;
	forget(backlog);
	backlog_unlist(backlog);
}

static void
run_keys(Route *route)
{
	Backlog *backlog, *next;
	uint32_t n = 0;

	for (backlog = TAILQ_FIRST(&route->line);
		 backlog != NULL && n < WINDOW_KEYS; backlog = next)
	{
		next = TAILQ_NEXT(backlog, in_line);
		if (is_turn_over(backlog) && backlog->nitems + backlog->nloading == 0)
		{
			window_close(backlog);
			backlog_enlist(backlog);
			continue;
		}
		n++;
		load_items(backlog);
		read_segments(backlog);
		if (backlog->nitems == 0 && backlog_is_caught_up(backlog))
			lane_wake(route, backlog->key); /* nothing is left of it */
	}
}

/* ---------- both ---------- */

void
window_run(Route *route)
{
	if (route->mode == ROUTE_BACKLOG)
	{
		load_items(&route->backlog);
		if (!route->pouring)
			read_segments(&route->backlog);
	}
	run_keys(route);
}

static void
join_key(Backlog *backlog)
{
	Key *key = backlog->key;
	Item *item;

	if (TAILQ_EMPTY(&backlog->loading))
		return;
	while ((item = TAILQ_FIRST(&backlog->loading)) != NULL &&
		   item->message->bytes != NULL)
	{
		lane_set_state(backlog->route, item, ITEM_QUEUED);
		TAILQ_INSERT_TAIL(&key->items, item, in_key);
		backlog->nitems++;
		if (key->next_item == NULL)
			key->next_item = item;
	}
	lane_wake(backlog->route, key);
}

void
window_join(Route *route)
{
	Backlog *backlog, *next;
	Item *item;
	uint32_t i = 0;

	while ((item = TAILQ_FIRST(&route->backlog.loading)) != NULL &&
		   item->message->bytes != NULL)
	{
		lane_set_state(route, item, ITEM_QUEUED);
		lane_append(route, item);
	}
	for (backlog = TAILQ_FIRST(&route->line);
		 backlog != NULL && i < WINDOW_KEYS; backlog = next, i++)
	{
		next = TAILQ_NEXT(backlog, in_line);
		join_key(backlog);
	}
}

/*
 * What is not under way leaves memory: the route will not send for a while,
 * and what it holds would be short for others.
 */
void
window_evict(Route *route)
{
	Item *item, *next;
	Backlog *backlog;

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
	window_drop(&route->backlog);
	route->backlog.seq_read = 0;
	route->backlog.discard = route->backlog.reading;
	TAILQ_FOREACH(backlog, &route->line, in_line)
	forget(backlog);
}
