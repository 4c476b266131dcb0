/*
 * test/unit/sim_audit.c
 *
 * Between two turns the engine's memory holds together: every list has what
 * its count says, every item stands where its state says, the bytes add up.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#define TRUTH(condition, what)                                                 \
	do                                                                         \
	{                                                                          \
		if (!(condition))                                                      \
			sim_fail("audit of route %d: %s", route->spec.id, what);           \
	} while (0)

/* Seen on a walk through all items, each once. */
typedef struct Counts
{
	uint32_t lane;
	uint32_t loading;
	uint32_t retries;
	uint32_t ready;
	uint32_t reading;
	uint32_t inflight;
	uint32_t rows;
	uint32_t dead;
	uint32_t behind;
	uint32_t line;
	uint32_t open;
	int64_t behind_ids;
	double bytes;
} Counts;

static void
count_item(const Route *route, const Item *item, Counts *counts)
{
	switch (item->state)
	{
		case ITEM_LOADING:
			counts->loading++;
			break;
		case ITEM_READY:
			counts->ready++;
			break;
		case ITEM_READING:
			counts->reading++;
			break;
		case ITEM_INFLIGHT:
			counts->inflight++;
			break;
		case ITEM_QUEUED:
			break;
	}
	/* shared by the items of several routes */
	if (item->message->bytes != NULL)
		counts->bytes += (double) item->message->len / item->message->refs;
	TRUTH(item->message->refs > 0, "a message without a reference");
	TRUTH(item->batch_slot == NULL || *item->batch_slot == item,
		  "an item is not where the fetch looks for it");
	TRUTH(item->state < ITEM_READY || item->message->bytes != NULL,
		  "an item is ready without a body");
}

static void
audit_lane(const Route *route, Counts *counts)
{
	const Item *item;

	TAILQ_FOREACH(item, &route->lane, in_lane)
	{
		counts->lane++;
		count_item(route, item, counts);
		TRUTH(item->row == NULL, "a row's item in the lane");
		TRUTH(!item->of_key, "an item of a key's backlog in the lane");
		TRUTH(item->state != ITEM_LOADING, "an item that loads in the lane");
		TRUTH((item->key != NULL) ==
				  (route->spec.ordered && item->message->has_key),
			  "an item without its key");
		TRUTH(!item->in_tail || !item->from_backlog, "an item at two places");
		TRUTH(route->mode == ROUTE_BACKLOG ||
				  (!item->in_tail && !item->from_backlog),
			  "STREAM mode with an item of the backlog");
		TRUTH(route->mode == ROUTE_STREAM || item->in_tail ||
				  item->from_backlog,
			  "BACKLOG mode with an item that is not in it");
	}
	TAILQ_FOREACH(item, &route->backlog.loading, in_state)
	count_item(route, item, counts);
	TRUTH(counts->loading == route->backlog.nloading, "count of loading items");
	TRUTH(counts->lane == route->lane_count, "count of the lane");
	TRUTH(route->mode == ROUTE_BACKLOG || route->lane_count <= ROUTE_LANE_MAX,
		  "too many items in the lane");
	TRUTH(route->lane_count + route->backlog.nloading <=
			  (ROUTE_LANE_MAX > WINDOW_ITEMS ? ROUTE_LANE_MAX : WINDOW_ITEMS),
		  "too many items in memory");
}

static bool
in_order(const Row *a, const Row *b)
{
	return a->run != b->run ? a->run < b->run : a->pos <= b->pos;
}

static void
audit_row(const Route *route, const Row *row, Counts *counts)
{
	counts->rows++;
	TRUTH(row->heap_index < 0 || route->due.items[row->heap_index] == row,
		  "a row is not at its place in the heap");
	TRUTH(row->settled || (row->heap_index < 0 && row->item == NULL),
		  "a row goes before its settle is committed");
	if (row->item == NULL)
		return;
	counts->retries++;
	count_item(route, row->item, counts);
	TRUTH(row->item->row == row && row->item->key == row->key,
		  "a retry that does not belong to its row");
}

/* All before the next are called, none after; how many are under way. */
static uint32_t
audit_items(const Route *route, const Key *key)
{
	const Item *item;
	uint32_t inflight = 0;
	bool called = true;

	TAILQ_FOREACH(item, &key->items, in_key)
	{
		if (item == key->next_item)
			called = false;
		inflight += item->state == ITEM_INFLIGHT;
		TRUTH(item->key == key, "an item in the list of another key");
		TRUTH(item->called == called || item->state == ITEM_INFLIGHT,
			  "an item is called out of turn");
		TRUTH(item->called || item->state == ITEM_QUEUED ||
				  item->state == ITEM_INFLIGHT,
			  "an item is called up and does not know");
	}
	return inflight;
}

/* Its items stand before those of the lane, and few are in memory. */
static void
audit_backlog(const Route *route, const Key *key, Counts *counts)
{
	const Backlog *backlog = key->backlog;
	const Item *item;
	uint32_t items = 0, loading = 0;
	bool behind = false;

	TAILQ_FOREACH(item, &backlog->loading, in_state)
	{
		loading++;
		count_item(route, item, counts);
		TRUTH(item->of_key && item->key == key, "it loads for another key");
	}
	TAILQ_FOREACH(item, &key->items, in_key)
	{
		behind = behind || !item->of_key;
		items += item->of_key;
		if (item->of_key)
			count_item(route, item, counts);
		TRUTH(!item->of_key || !behind, "a key's backlog is overtaken");
	}
	TRUTH(!behind || backlog_is_caught_up(backlog), "something in between");
	TRUTH(items == backlog->nitems && loading == backlog->nloading,
		  "count of a key's backlog");
	TRUTH(items + loading <= WINDOW_KEY_ITEMS, "too much of a key in memory");
	TRUTH(backlog->listed || items + loading == 0, "in memory out of line");
	TRUTH(TAILQ_EMPTY(&key->rows) || key->inflight > 0 || !backlog->listed,
		  "a key is in line that cannot go");
	TRUTH(backlog->ids >= 0, "less than nothing in the backlog of a key");
	counts->behind++;
	counts->behind_ids += backlog->ids + backlog->tail.ids;
	counts->open += items + loading > 0 || !STAILQ_EMPTY(&backlog->segments);
	counts->line += backlog->listed;
}

static void
audit_key(const Route *route, const Key *key, Counts *counts)
{
	const Row *row, *before = NULL;
	uint32_t inflight = audit_items(route, key), rows = 0;
	bool loose = sim.routes[route->spec.id - 1].loose;

	TAILQ_FOREACH(row, &key->rows, in_key)
	{
		rows++;
		audit_row(route, row, counts);
		TRUTH(before == NULL || in_order(before, row), "rows out of order");
		/* when a hold was given up earlier ones may come behind it */
		TRUTH(row->item == NULL || before == NULL || sim.unordered || loose,
			  "a row is tried that is not the first of its key");
		if (row->item != NULL && row->item->state == ITEM_INFLIGHT)
			inflight++;
		before = row;
	}
	counts->dead += key->dead_pending;
	TRUTH(key->inflight == inflight, "count of a key under way");
	TRUTH(key->pins == 0, "a key that is still pinned");
	TRUTH(route->keeps_order || loose || inflight <= 1,
		  "two of a key under way");
	TRUTH(rows == key->nrows, "count of the rows of a key");
	if (key->backlog != NULL)
		audit_backlog(route, key, counts);
	TRUTH(!TAILQ_EMPTY(&key->items) || !TAILQ_EMPTY(&key->rows) ||
			  key->backlog != NULL || key->inflight > 0 ||
			  key->dead_pending > 0,
		  "a key of nothing");
}

static void
audit_rows(const Route *route, Counts *counts)
{
	const Row *row;
	uint32_t keys = 0;

	for (uint32_t i = 0; i < route->keys.room; i++)
		for (const Key *key = route->keys.buckets[i]; key != NULL;
			 key = key->next)
		{
			keys++;
			audit_key(route, key, counts);
		}
	TAILQ_FOREACH(row, &route->rows_keyless, in_key)
	audit_row(route, row, counts);
	TRUTH(keys == route->keys.count, "count of the keys");
	TRUTH(counts->rows == route->nrows, "count of the rows");
	TRUTH(counts->retries == route->nretries, "count of the retries");
	TRUTH(counts->behind == route->nbehind &&
			  counts->behind_ids == route->behind_ids &&
			  counts->line == route->nline,
		  "count of the backlogs of keys");
	TRUTH(counts->open <= WINDOW_KEYS, "too many keys in memory");
	TRUTH(counts->dead == route->dead_new.count + route->dead_out.count,
		  "count of what goes DEAD");
	for (uint32_t i = 1; i < route->due.count; i++)
		TRUTH(route->due.items[(i - 1) / 2]->due_ms <=
				  route->due.items[i]->due_ms,
			  "the heap is not one");
}

static void
audit_lists(const Route *route, const Counts *counts)
{
	const Item *item;
	const Flight *flight;
	uint32_t ready = 0, reading = 0, flights = 0;

	TAILQ_FOREACH(item, &route->ready, in_state)
	ready++;
	TAILQ_FOREACH(item, &route->reading, in_state)
	reading++;
	LIST_FOREACH(flight, &route->flights, link)
	{
		flights++;
		TRUTH(flight->item->state == ITEM_INFLIGHT && flight->route == route,
			  "a flight of something else");
	}
	TRUTH(ready == counts->ready, "the list of ready items");
	TRUTH(reading == counts->reading, "the list of reading items");
	TRUTH(flights == counts->inflight && flights == route->inflight,
		  "count of what is under way");
	TRUTH(route->backlog.ids >= 0 && route->backlog.tail.ids >= 0,
		  "less than nothing in the backlog");
	TRUTH(route->inflight <= (uint32_t) route->spec.concurrency ||
			  sim.routes[route->spec.id - 1].exists,
		  "more under way than may be");
}

void
sim_audit(void)
{
	double bytes = 0;

	for (const Route *route = SIM_ENGINE->routes; route != NULL;
		 route = route->next)
	{
		Counts counts = {0};

		audit_lane(route, &counts);
		audit_rows(route, &counts);
		audit_lists(route, &counts);
		bytes += counts.bytes;
	}
	if (bytes - (double) SIM_ENGINE->bytes > 0.5 ||
		(double) SIM_ENGINE->bytes - bytes > 0.5)
		sim_fail("audit: %lld bytes in the account, %.0f in memory",
				 (long long) SIM_ENGINE->bytes, bytes);
}
