/*
 * relay/core/backlog.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/backlog.h"

#include "core/engine.h"
#include "core/mem.h"

void
backlog_init(Backlog *backlog, Route *route, Key *key)
{
	*backlog = (Backlog){.route = route, .key = key};
	STAILQ_INIT(&backlog->segments);
	TAILQ_INIT(&backlog->loading);
}

Backlog *
backlog_of_key(Route *route, Key *key)
{
	if (key->backlog != NULL)
		return key->backlog;
	key->backlog = mem_alloc(sizeof(Backlog));
	backlog_init(key->backlog, route, key);
	route->nbehind++;
	return key->backlog;
}

void
backlog_take(Route *route, Item *item)
{
	Backlog *backlog = backlog_of_key(route, item->key);
	const Message *message = item->message;

	if (backlog->tail.count == 0)
		TAILQ_INSERT_TAIL(&route->tails, backlog, in_tails);
	tail_add_at(&backlog->tail, message->generation, message->id, item->run,
				item->pos);
	route->behind_ids++;
	facts_touch(engine_facts(route->engine), route->engine->now_ms);
	lane_leave_place(route, item);
	lane_remove(route, item);
}

bool
backlog_is_caught_up(const Backlog *backlog)
{
	return backlog->tail.count == 0 && !backlog->reading &&
		   backlog->seq_read >= backlog->seq_written &&
		   STAILQ_EMPTY(&backlog->segments) && backlog->nloading == 0;
}

void
backlog_enlist(Backlog *backlog)
{
	Route *route = backlog->route;

	if (backlog->listed)
		return;
	backlog->listed = true;
	backlog->taken = 0;
	TAILQ_INSERT_TAIL(&route->line, backlog, in_line);
	route->nline++;
}

void
backlog_unlist(Backlog *backlog)
{
	Route *route = backlog->route;

	if (!backlog->listed)
		return;
	backlog->listed = false;
	TAILQ_REMOVE(&route->line, backlog, in_line);
	route->nline--;
}

static void
free_backlog(Backlog *backlog)
{
	Route *route = backlog->route;

	backlog_unlist(backlog);
	route->nbehind--;
	route->behind_ids -= backlog->ids;
	backlog->key->backlog = NULL;
	tail_reset(&backlog->tail);
	mem_free(backlog);
}

void
backlog_release(Backlog *backlog)
{
	if (backlog->nitems == 0 && backlog_is_caught_up(backlog))
		free_backlog(backlog);
}

static void
flush(Backlog *backlog, Tail *tail, int64_t *seq_next, Facts *facts)
{
	const Route *route = backlog->route;
	FactSegment like = {
		.route_id = route->spec.id,
		.of_key = backlog->key != NULL,
		.key_hash = backlog->key != NULL ? backlog->key->hash : 0,
		.run = route->engine->run,
	};
	int64_t written =
		tail_flush(tail, facts, &like, seq_next, route->engine->now_ms);

	backlog->ids += written;
	if (written > 0)
		backlog->seq_written = *seq_next - 1;
}

void
backlog_flush(Route *route, Facts *facts)
{
	Backlog *backlog;

	flush(&route->backlog, &route->table_tail, &route->table_seq_next, facts);
	if (route->engine->recovering == 0)
		flush(&route->backlog, &route->backlog.tail, &route->seq_next, facts);
	while ((backlog = TAILQ_FIRST(&route->tails)) != NULL)
	{
		TAILQ_REMOVE(&route->tails, backlog, in_tails);
		flush(backlog, &backlog->tail, &route->seq_next, facts);
	}
}

bool
backlog_is_ending(const Route *route)
{
	const Backlog *backlog = TAILQ_FIRST(&route->line);

	for (uint32_t i = 0; i < WINDOW_KEYS && backlog != NULL; i++)
	{
		if (TAILQ_EMPTY(&backlog->key->rows) &&
			backlog->ids + backlog->tail.ids <= WINDOW_KEY_ITEMS &&
			!backlog_is_caught_up(backlog))
			return true;
		backlog = TAILQ_NEXT(backlog, in_line);
	}
	return false;
}

static void
reset_key(Route *route, Key *key)
{
	Item *item;

	window_drop(key->backlog);
	while ((item = TAILQ_FIRST(&key->items)) != NULL)
		lane_remove(route, item);
	free_backlog(key->backlog);
}

void
backlog_reset_keys(Route *route)
{
	for (uint32_t i = 0; i < route->keys.room; i++)
		for (Key *key = route->keys.buckets[i]; key != NULL; key = key->next)
			if (key->backlog != NULL)
				reset_key(route, key);
}
