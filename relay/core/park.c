/*
 * relay/core/park.c
 *
 * The waiting rows of a route: what is to be tried again, and what waits
 * behind it.  A row is tried when its time has come, the settle that says so
 * is committed, it is the first of its key, and nothing of the key is under
 * way.  That is a condition, looked at again on every change, not an event.
 * Followers past a number of rows go to the backlog of their key.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdio.h>

#include "core/engine.h"
#include "core/mem.h"
#include "core/retry.h"

/* Followers leave room for first ones that fail. */
#define FOLLOWERS_MAX (ROUTE_HELD_MAX / 2)

static void
list_row(Route *route, Row *row)
{
	Key *key = row->key;

	if (key != NULL)
	{
		key_insert_row(key, row);
		key->nrows++;
	}
	else
		TAILQ_INSERT_TAIL(&route->rows_keyless, row, in_key);
	route->nrows++;
}

static void
free_row(Route *route, Row *row)
{
	due_remove(&route->due, row);
	if (row->key != NULL)
	{
		TAILQ_REMOVE(&row->key->rows, row, in_key);
		row->key->nrows--;
	}
	else
		TAILQ_REMOVE(&route->rows_keyless, row, in_key);
	route->nrows--;
	mem_free(row);
}

static bool
is_free_to_go(const Row *row)
{
	const Key *key = row->key;

	if (!row->settled || row->item != NULL)
		return false;
	/* while something of its key is under way, lane_wake wakes no row */
	return key == NULL ||
		   (TAILQ_FIRST(&key->rows) == row && key->dead_pending == 0);
}

void
park_wake(Route *route, Row *row)
{
	if (row->heap_index < 0 && is_free_to_go(row))
		due_add(&route->due, row);
}

void
park_load(Route *route, const FactPark *fact, int64_t due_ms)
{
	/* a clock that was wrong when it failed may have put it off for ever */
	int64_t latest_ms = route->engine->now_ms + retry_longest_ms(&route->spec);
	Row *row = mem_alloc(sizeof(*row));

	*row = (Row){
		.id = fact->id,
		.generation = fact->generation,
		.shard_id = fact->shard_id,
		.settled = true,
		.key = fact->has_key && route->spec.ordered
				   ? keys_get(&route->keys, fact->key_hash)
				   : NULL,
		.run = fact->run,
		.pos = fact->pos,
		.status = fact->status,
		.retry_count = fact->retry_count,
		.due_ms = due_ms < latest_ms ? due_ms : latest_ms,
		.heap_index = -1,
	};
	list_row(route, row);
	if (row->key != NULL)
	{
		park_wake(route, TAILQ_FIRST(&row->key->rows));
		if (row->key->backlog != NULL)
			backlog_unlist(row->key->backlog);
	}
	else
		park_wake(route, row);
}

/* The row that an item turns into, or its own again. */
static Row *
row_of_item(Route *route, Item *item)
{
	const Message *message = item->message;
	Row *row = item->row;

	if (row != NULL)
		return row;
	row = mem_alloc(sizeof(*row));
	*row = (Row){
		.id = message->id,
		.generation = message->generation,
		.shard_id = message->shard_id,
		.key = item->key,
		.run = item->run,
		.pos = item->pos,
		.heap_index = -1,
	};
	list_row(route, row);
	return row;
}

static void
add_fact(Route *route, const Row *row, const Message *message, int64_t delay_ms,
		 const char *error)
{
	Engine *engine = route->engine;
	Facts *facts = engine_facts(engine);
	FactPark *fact = ARRAY_PUSH(&facts->parks);

	*fact = (FactPark){
		.id = row->id,
		.route_id = route->spec.id,
		.generation = row->generation,
		.shard_id = row->shard_id,
		.has_key = message->has_key,
		.key_hash = message->key_hash,
		.run = row->run,
		.pos = row->pos,
		.status = row->status,
		.retry_count = row->retry_count,
		.retry_in_ms = delay_ms,
	};
	snprintf(fact->error, sizeof(fact->error), "%s", error ? error : "");
	facts_touch(facts, engine->now_ms);
}

static void
note_dead(Route *route, Key *key)
{
	if (key == NULL)
		return;
	key->dead_pending++;
	*ARRAY_PUSH(&route->dead_new) = key->hash;
}

void
park_item(Route *route, Item *item, ParkedStatus status, int64_t delay_ms,
		  const char *error)
{
	Row *row = row_of_item(route, item);

	row->status = status;
	row->retry_count = item->attempts;
	row->due_ms = delay_ms < 0 ? 0 : route->engine->now_ms + delay_ms;
	row->settled = false;
	add_fact(route, row, item->message, delay_ms, error);
	lane_leave_place(route, item);
	lane_remove(route, item);
	if (status == PARKED_DEAD)
	{
		note_dead(route, row->key);
		route->stats.dead++;
		free_row(route, row);
		return;
	}
	TAILQ_INSERT_TAIL(&route->rows_new, row, in_unsettled);
}

static bool
may_park_follower(const Route *route, const Key *key)
{
	return key->backlog == NULL && key->nrows < ROUTE_KEY_ROWS_MAX &&
		   route->nrows + route->nbehind < FOLLOWERS_MAX;
}

/*
 * Those of the key's own backlog stay where they are and leave memory, what
 * stands behind them goes to its tail.
 */
void
park_followers(Route *route, Key *key)
{
	Item *item, *next;

	for (item = TAILQ_FIRST(&key->items); item != NULL; item = next)
	{
		next = TAILQ_NEXT(item, in_key);
		if (item->of_key)
			continue;
		if (may_park_follower(route, key))
			park_item(route, item, PARKED_NEW, -1, NULL);
		else
			backlog_take(route, item);
	}
	if (key->backlog != NULL)
		window_close(key->backlog);
}

void
park_delivered(Route *route, Item *item)
{
	Facts *facts = engine_facts(route->engine);
	Row *row = item->row;

	*ARRAY_PUSH(&facts->unparks) = (FactUnpark){row->id, route->spec.id};
	facts_touch(facts, route->engine->now_ms);
	lane_remove(route, item);
	free_row(route, row);
}

void
park_retry(Route *route, Item *item)
{
	Row *row = item->row;

	lane_remove(route, item);
	row->due_ms = route->engine->now_ms;
	park_wake(route, row);
}

static void
start_retry(Route *route, Row *row)
{
	Message *message = message_new(row->id, row->generation);
	Item *item = lane_new_item(message);

	message_unref(message);
	item->row = row;
	item->key = row->key;
	item->attempts = row->retry_count;
	item->run = row->run;
	item->pos = row->pos;
	row->item = item;
	route->nretries++;
	lane_set_state(route, item, ITEM_READING);
}

static bool
has_due_row(const Route *route)
{
	const Row *row = due_first(&route->due);

	return route->nretries > 0 ||
		   (row != NULL && row->due_ms <= route->engine->now_ms);
}

/* What is in the backlog may all be behind rows: then its turn is over. */
static int64_t
late_ms(const Route *route)
{
	return route->circuit.probe_at_ms + CIRCUIT_PROBE_MIN_MS;
}

int64_t
park_probe_ms(const Route *route)
{
	const Row *row = due_first(&route->due);
	int64_t now_ms = route->engine->now_ms;

	if (route->circuit.probe_at_ms > now_ms)
		return route->circuit.probe_at_ms;
	if (row != NULL && row->due_ms > now_ms)
		return row->due_ms;
	if (row != NULL && late_ms(route) > now_ms)
		return late_ms(route);
	return INT64_MAX;
}

bool
park_may_probe(const Route *route, bool row)
{
	bool rows_turn = has_due_row(route);

	if (!circuit_may_send(&route->circuit, (int) route->inflight,
						  route->engine->now_ms))
		return false;
	if (rows_turn && route_backlog_count(route) > 0)
		rows_turn = route->circuit.probes % 2 == 0 ||
					route->engine->now_ms >= late_ms(route);
	return rows_turn == row;
}

uint32_t
park_allowed(const Route *route)
{
	if (!route_able(route) || route->engine->hold)
		return 0;
	if (route->circuit.state == CIRCUIT_CLOSED)
		return (uint32_t) route->spec.concurrency;
	return park_may_probe(route, true) ? 1 : 0;
}

void
park_run(Route *route)
{
	uint32_t allowed = park_allowed(route);
	Row *row;

	while (route->nretries < allowed &&
		   (row = due_first(&route->due)) != NULL &&
		   row->due_ms <= route->engine->now_ms)
	{
		due_remove(&route->due, row);
		if (is_free_to_go(row))
			start_retry(route, row);
	}
}

static void
wake_row(Route *route, Row *row)
{
	if (row->key != NULL)
		lane_wake(route, row->key);
	else
		park_wake(route, row);
}

void
park_settled(Route *route)
{
	Row *row;

	for (uint32_t i = 0; i < route->dead_out.count; i++)
	{
		Key *key = keys_find(&route->keys, route->dead_out.items[i]);

		key->dead_pending--;
		lane_wake(route, key);
	}
	route->dead_out.count = 0;
	while ((row = TAILQ_FIRST(&route->rows_out)) != NULL)
	{
		TAILQ_REMOVE(&route->rows_out, row, in_unsettled);
		row->settled = true;
		wake_row(route, row);
	}
}

void
park_reset(Route *route)
{
	Row *row;

	while ((row = TAILQ_FIRST(&route->rows_keyless)) != NULL)
		free_row(route, row);
	for (uint32_t i = 0; i < route->keys.room; i++)
		for (Key *key = route->keys.buckets[i]; key != NULL; key = key->next)
			while ((row = TAILQ_FIRST(&key->rows)) != NULL)
				free_row(route, row);
	due_reset(&route->due);
	ARRAY_RESET(&route->dead_new);
	ARRAY_RESET(&route->dead_out);
}
