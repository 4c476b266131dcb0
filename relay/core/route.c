/*
 * relay/core/route.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/route.h"

#include <assert.h>
#include <string.h>

#include "core/flow.h"
#include "core/mem.h"
#include "core/retry.h"

Route *
route_new(Engine *engine, int16_t id)
{
	Route *route = mem_alloc(sizeof(*route));

	route->engine = engine;
	route->spec.id = id;
	route->mode = ROUTE_BACKLOG;
	backlog_init(&route->backlog, route, NULL);
	route->backlog.tail.pos_next = ROUTE_POS_STREAM;
	route->seq_next = 1;
	LIST_INIT(&route->flights);
	TAILQ_INIT(&route->lane);
	TAILQ_INIT(&route->ready);
	TAILQ_INIT(&route->reading);
	TAILQ_INIT(&route->rows_new);
	TAILQ_INIT(&route->rows_out);
	TAILQ_INIT(&route->rows_keyless);
	TAILQ_INIT(&route->line);
	TAILQ_INIT(&route->tails);
	return route;
}

static void
free_items(Route *route)
{
	Item *item;
	Flight *flight;

	while ((flight = LIST_FIRST(&route->flights)) != NULL)
	{
		LIST_REMOVE(flight, link);
		if (flight->item->row != NULL)
			lane_remove(route, flight->item);
		flight_free(flight);
	}
	while ((item = TAILQ_FIRST(&route->lane)) != NULL)
		lane_remove(route, item);
	backlog_reset_keys(route);
	window_drop(&route->backlog);
	/* what is left are retries */
	while ((item = TAILQ_FIRST(&route->ready)) != NULL)
		lane_remove(route, item);
	while ((item = TAILQ_FIRST(&route->reading)) != NULL)
		lane_remove(route, item);
}

void
route_free(Route *route)
{
	free_items(route);
	mem_free(route->batch);
	park_reset(route);
	keys_reset(&route->keys);
	tail_reset(&route->backlog.tail);
	tail_reset(&route->table_tail);
	mem_free(route);
}

bool
route_able(const Route *route)
{
	return route->known && route->spec.state != SPEC_PAUSED;
}

int64_t
route_backlog_count(const Route *route)
{
	return route->backlog.ids + route->backlog.tail.ids + route->table_tail.ids;
}

bool
route_is_full(const Route *route)
{
	return route->nrows + route->nbehind >= ROUTE_HELD_MAX;
}

/* ---------- modes ---------- */

/* What is under way stays in the lane, and what is before it of its key. */
void
route_choose_stayers(Route *route)
{
	Item *item;

	TAILQ_FOREACH_REVERSE(item, &route->lane, ItemList, in_lane)
	{
		item->stays = item->state == ITEM_INFLIGHT ||
					  (item->key != NULL && item->key->stays);
		if (item->key != NULL)
			item->key->stays = item->stays;
	}
	TAILQ_FOREACH(item, &route->lane, in_lane)
	if (item->key != NULL)
		item->key->stays = false;
}

void
route_to_backlog(Route *route)
{
	Item *item, *next;

	if (route->mode == ROUTE_BACKLOG)
		return;
	route->mode = ROUTE_BACKLOG;
	route_choose_stayers(route);
	for (item = TAILQ_FIRST(&route->lane); item != NULL; item = next)
	{
		Key *key = item->key;
		const Message *message = item->message;

		next = TAILQ_NEXT(item, in_lane);
		facts_touch(engine_facts(route->engine), route->engine->now_ms);
		if (item->stays)
		{
			tail_add_item(&route->backlog.tail, item);
			engine_placed(route->engine, item->message);
			continue;
		}
		tail_add(&route->backlog.tail, message->generation, message->id,
				 message->id);
		engine_placed(route->engine, item->message);
		lane_remove(route, item);
		if (key != NULL)
			keys_release(&route->keys, key);
	}
}

/* Some way below full, so that it does not go to and fro. */
bool
route_is_well(const Route *route)
{
	return route->known && route->spec.state == SPEC_ACTIVE &&
		   route->circuit.state == CIRCUIT_CLOSED &&
		   route->nrows + route->nbehind < ROUTE_HELD_MAX / 4 * 3;
}

/* With its backlog empty nothing of it is in memory either. */
static bool
may_stream(const Route *route)
{
	const Backlog *backlog = &route->backlog;

	return route->mode == ROUTE_BACKLOG && route_is_well(route) &&
		   route_backlog_count(route) == 0 &&
		   STAILQ_EMPTY(&backlog->segments) && !backlog->reading &&
		   engine_is_complete(route->engine) && !route->engine->settling &&
		   !engine_is_pouring(route->engine);
}

/* ---------- taking ---------- */

void
route_take(Route *route, Message *message)
{
	Item *item;

	if (route->lane_count >= route->engine->lane_max || route_is_full(route) ||
		(engine_over_budget(route->engine) &&
		 route->lane_count >= ROUTE_LANE_SHORT))
		route_to_backlog(route);
	if (route->mode == ROUTE_BACKLOG)
	{
		tail_add(&route->backlog.tail, message->generation, message->id,
				 message->id);
		facts_touch(engine_facts(route->engine), route->engine->now_ms);
		engine_placed(route->engine, message);
		return;
	}
	item = lane_new_item(message);
	item->run = route->engine->run;
	item->pos = route->backlog.tail.pos_next++;
	item->taken_ms = route->engine->now_ms;
	lane_append(route, item);
	flow_took(route);
}

/* ---------- sending ---------- */

static bool
submit(Route *route, Item *item)
{
	Engine *engine = route->engine;
	Flight *flight = flight_new(route, item);

	if (!engine->ops->submit(engine->arg, route, &flight->delivery))
	{
		flight_free(flight);
		route->sink_full = true;
		lane_put_back(route, item);
		return false;
	}
	LIST_INSERT_HEAD(&route->flights, flight, link);
	item->state = ITEM_INFLIGHT;
	route->inflight++;
	if (item->key != NULL)
		item->key->inflight++;
	circuit_sent(&route->circuit);
	return true;
}

static void
bury(Route *route, Item *item, const char *reason)
{
	Key *key = item->key;

	park_item(route, item, PARKED_DEAD, -1, reason);
	if (key != NULL)
		lane_wake(route, key);
}

static void
send_ready(Route *route)
{
	const Engine *engine = route->engine;
	Item *item;

	while (route_able(route) && !engine->hold && !engine->draining &&
		   !route->sink_full && !engine_is_stalled(engine))
	{
		bool dropped = route->spec.state == SPEC_DROPPED;

		if (!dropped &&
			(route->inflight >= (uint32_t) route->spec.concurrency ||
			 !circuit_may_send(&route->circuit, (int) route->inflight,
							   engine->now_ms)))
			break;
		/* no more can fail than can be held */
		item = lane_next(route, !dropped && route_is_full(route));
		if (item == NULL)
			break;
		if (item->message->unreadable)
			bury(route, item, "the row in outbox.message cannot be read");
		else if (dropped)
			bury(route, item, "the route was dropped");
		else if (!submit(route, item))
			break;
	}
}

static bool
is_too_old(const Route *route)
{
	const Item *item = TAILQ_FIRST(&route->lane);

	return route->mode == ROUTE_STREAM && item != NULL &&
		   route->engine->now_ms - item->taken_ms >= ROUTE_LANE_MS;
}

void
route_run(Route *route)
{
	if (is_too_old(route))
		route_to_backlog(route);
	if (route->evict)
		window_evict(route);
	route->evict = false;
	park_run(route);
	window_run(route);
	fetch_run(route);
	send_ready(route);
	if (may_stream(route))
		route->mode = ROUTE_STREAM;
}

/* ---------- answers ---------- */

static void
delivered(Route *route, Item *item)
{
	const Engine *engine = route->engine;

	route->sent[item->message->generation + 1]++;
	if (item->message->commit_time > 0)
		histogram_observe(&route->stats.commit_to_delivered,
						  engine->wall_us - item->message->commit_time);
	if (item->row != NULL)
	{
		park_delivered(route, item);
		return;
	}
	lane_leave_place(route, item);
	lane_remove(route, item);
}

/* It goes without an answer that counts, and keeps its place. */
static void
return_item(Route *route, Item *item)
{
	if (item->row != NULL)
		park_retry(route, item);
	else if (item->key == NULL)
		lane_set_state(route, item, ITEM_READY);
	else
		lane_recall(route, item);
}

static void
transient(Route *route, Item *item, const Outcome *outcome)
{
	Engine *engine = route->engine;
	const Key *key = item->key;
	CircuitState before = route->circuit.state;
	int64_t delay_ms;
	RetryVerdict verdict;

	if (outcome->held_back && before != CIRCUIT_PROBING)
	{
		/* not its fault, and no attempt of its own */
		return_item(route, item);
		return;
	}
	if (circuit_failed(&route->circuit, item->message->id, engine->now_ms))
	{
		route->stats.circuit_opened += before == CIRCUIT_CLOSED;
		/* another one has to be the next probe: it may fail by itself */
		if (before == CIRCUIT_PROBING)
			park_item(route, item, PARKED_FAILED,
					  route->circuit.probe_at_ms - engine->now_ms,
					  outcome->error);
		else
			return_item(route, item);
		route_to_backlog(route);
		route->evict = true;
		return;
	}
	if (item->row == NULL && key != NULL && TAILQ_FIRST(&key->items) != item)
	{
		/* one before it went back: as a row it would pass that */
		return_item(route, item);
		return;
	}
	if (item->row == NULL && key != NULL &&
		(!TAILQ_EMPTY(&key->rows) || key->dead_pending > 0))
	{
		/* one before it failed and took it along: it waits behind that */
		park_item(route, item, PARKED_NEW, -1, NULL);
		return;
	}
	item->attempts++;
	verdict = retry_decide(&route->spec, outcome, item->attempts,
						   engine_dice(engine), &delay_ms);
	if (verdict == RETRY_DEAD)
		park_item(route, item, PARKED_DEAD, -1, outcome->error);
	else
		park_item(route, item, PARKED_FAILED, delay_ms, outcome->error);
}

static void
decide(Route *route, Item *item, const Outcome *outcome)
{
	switch (outcome->class)
	{
		case OUTCOME_OK:
			circuit_alive(&route->circuit);
			delivered(route, item);
			break;
		case OUTCOME_TRANSIENT:
			transient(route, item, outcome);
			break;
		case OUTCOME_PERMANENT:
			circuit_alive(&route->circuit);
			item->attempts++;
			park_item(route, item, PARKED_DEAD, -1, outcome->error);
			break;
	}
}

/* land: it is back, with an outcome, or without one from a sink that closes. */
static void
land(Route *route, Item *item, const Outcome *outcome)
{
	Key *key = item->key;

	assert(item->state == ITEM_INFLIGHT);
	item->state = ITEM_QUEUED;
	route->inflight--;
	if (key != NULL)
	{
		key->inflight--;
		key->pins++;
	}
	if (outcome != NULL)
		decide(route, item, outcome);
	else
		return_item(route, item);
	if (key != NULL)
	{
		key->pins--;
		lane_wake(route, key);
	}
}

static void
note_attempt(Route *route, const Item *item, const Outcome *outcome)
{
	Engine *engine = route->engine;

	route->stats.outcomes[outcome->class]++;
	histogram_observe(&route->stats.attempt, outcome->duration_us);
	if (outcome->class == OUTCOME_OK && !route->spec.trace_all)
		return;
	facts_attempt(engine_facts(engine), item->message->id, route->spec.id,
				  item->attempts + 1, engine_wall_ms(engine), outcome);
	facts_touch(engine_facts(engine), engine->now_ms);
}

void
route_done(Route *route, Item *item, const Outcome *outcome)
{
	/* thousands may be, for the failure of one */
	if (!outcome->held_back)
		note_attempt(route, item, outcome);
	land(route, item, outcome);
}

void
route_requeue(Route *route)
{
	Flight *flight;

	route->sink_full = false;
	while ((flight = LIST_FIRST(&route->flights)) != NULL)
	{
		Item *item = flight->item;

		LIST_REMOVE(flight, link);
		flight_free(flight);
		land(route, item, NULL);
	}
	if (route->circuit.state == CIRCUIT_PROBING)
		route->circuit.state = CIRCUIT_OPEN;
}

/* ---------- settle ---------- */

static void
flush_sent(Route *route, Facts *facts)
{
	for (int i = 0; i < FACTS_GENERATIONS; i++)
		if (route->sent[i] > 0)
			*ARRAY_PUSH(&facts->sent) =
				(FactSent){route->spec.id, (int16_t) (i - 1), route->sent[i]};
	memset(route->sent, 0, sizeof(route->sent));
}

void
route_flush(Route *route, Facts *facts)
{
	backlog_flush(route, facts);
	flush_sent(route, facts);
	TAILQ_CONCAT(&route->rows_out, &route->rows_new, in_unsettled);
	for (uint32_t i = 0; i < route->dead_new.count; i++)
		*ARRAY_PUSH(&route->dead_out) = route->dead_new.items[i];
	route->dead_new.count = 0;
}

void
route_settled(Route *route)
{
	park_settled(route);
}

int64_t
route_next_ms(const Route *route)
{
	int64_t next = INT64_MAX;
	const Row *row = due_first(&route->due);

	if (!route_able(route))
		return next;
	if (row != NULL && route->nretries < park_allowed(route))
		next = row->due_ms;
	if (route->mode == ROUTE_STREAM && !TAILQ_EMPTY(&route->lane) &&
		TAILQ_FIRST(&route->lane)->taken_ms + ROUTE_LANE_MS < next)
		next = TAILQ_FIRST(&route->lane)->taken_ms + ROUTE_LANE_MS;
	if (route->reread_ms > 0 && route->reread_ms < next)
		next = route->reread_ms;
	if (route->circuit.state == CIRCUIT_OPEN && route->inflight == 0 &&
		park_probe_ms(route) < next)
		next = park_probe_ms(route);
	return next;
}
