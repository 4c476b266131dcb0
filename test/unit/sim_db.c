/*
 * test/unit/sim_db.c
 *
 * The tables, as settle writes them and a snapshot sees them.  Each settle is
 * checked when it is applied: P is honest, and what turns SENT was delivered.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static size_t
place(int64_t id, int16_t route_id)
{
	(void) sim_message(id);
	return (size_t) (id - 1) * SIM_ROUTES + (size_t) (route_id - 1);
}

void
sim_db_init(SimDb *db)
{
	size_t n = (size_t) sim.messages_max * SIM_ROUTES;

	memset(db, 0, sizeof(*db));
	db->resolved = mem_alloc(sim.messages_max);
	db->backlog = mem_alloc(n);
	db->parked = mem_alloc(n * sizeof(FactPark *));
}

static void
reset_segments(SimDb *db)
{
	for (uint32_t i = 0; i < db->segments.count; i++)
	{
		mem_free(db->segments.items[i].ids);
		mem_free(db->segments.items[i].done);
	}
	ARRAY_RESET(&db->segments);
}

void
sim_db_reset(SimDb *db)
{
	if (db->parked != NULL)
		for (size_t i = 0; i < (size_t) sim.messages_max * SIM_ROUTES; i++)
			mem_free(db->parked[i]);
	reset_segments(db);
	mem_free(db->resolved);
	mem_free(db->backlog);
	mem_free(db->parked);
	memset(db, 0, sizeof(*db));
}

static SimSegment
copy_segment(const SimSegment *from)
{
	SimSegment to = *from;

	to.ids = mem_copy(from->ids, from->nids * sizeof(int64_t));
	to.done = mem_copy(from->done, from->nids);
	return to;
}

void
sim_db_copy(SimDb *to, const SimDb *from)
{
	size_t n = (size_t) sim.messages_max * SIM_ROUTES;

	sim_db_reset(to);
	*to = *from;
	to->wal = sim.wal;
	to->resolved = mem_copy(from->resolved, sim.messages_max);
	to->backlog = mem_copy(from->backlog, n);
	to->parked = mem_alloc(n * sizeof(FactPark *));
	for (size_t i = 0; i < n; i++)
		if (from->parked[i] != NULL)
			to->parked[i] = mem_copy(from->parked[i], sizeof(FactPark));
	to->segments.items = NULL;
	to->segments.count = to->segments.room = 0;
	to->first_segment = 0;
	for (uint32_t i = 0; i < from->segments.count; i++)
		if (from->segments.items[i].left > 0)
			*ARRAY_PUSH(&to->segments) = copy_segment(&from->segments.items[i]);
}

/* ---------- settle ---------- */

static void
add_segment(const FactSegment *fact)
{
	SimDb *db = &sim.db;

	for (uint32_t i = db->first_segment; i < db->segments.count; i++)
		if (!sim.large && db->segments.items[i].left > 0 &&
			db->segments.items[i].route_id == fact->route_id &&
			db->segments.items[i].seq == fact->seq)
			sim_fail("segment %lld of route %d is there already",
					 (long long) fact->seq, fact->route_id);
	*ARRAY_PUSH(&db->segments) = (SimSegment){
		.route_id = fact->route_id,
		.generation = fact->generation,
		.of_key = fact->of_key,
		.key_hash = fact->key_hash,
		.seq = fact->seq,
		.run = fact->run,
		.pos = fact->pos,
		.nids = fact->nids,
		.left = fact->nids,
		.ids = mem_copy(fact->ids, fact->nids * sizeof(int64_t)),
		.done = mem_alloc(fact->nids),
	};
	for (uint32_t i = 0; i < fact->nids; i++)
	{
		int64_t id = fact->ids[i];

		sim_story("  + backlog %d/%lld[%u] message %lld", fact->route_id,
				  (long long) fact->seq, i, (long long) id);
		if (sim_message(id)->generation != fact->generation)
			sim_fail("message %lld is not of generation %d", (long long) id,
					 fact->generation);
		if (fact->of_key &&
			(sim_message(id)->key == 0 ||
			 sim_key_hash(sim_message(id)->key) != fact->key_hash))
			sim_fail("message %lld is not of this key", (long long) id);
		if (sim_is_committed(id))
			db->backlog[place(id, fact->route_id)]++;
	}
}

/* After the progress: one may have moved to the backlog of its key. */
static void
check_once(const FactSegment *fact)
{
	for (uint32_t i = 0; i < fact->nids; i++)
		/* U does not tell the rows of a message that is not visible yet */
		if (sim.db.backlog[place(fact->ids[i], fact->route_id)] > 1 &&
			sim.invisible == 0)
			sim_fail("message %lld is in the backlog of route %d twice",
					 (long long) fact->ids[i], fact->route_id);
}

static void
add_progress(const FactProgress *fact)
{
	SimDb *db = &sim.db;
	uint32_t i = db->first_segment;
	SimSegment *segment;

	while (i < db->segments.count &&
		   (db->segments.items[i].left == 0 ||
			db->segments.items[i].route_id != fact->route_id ||
			db->segments.items[i].seq != fact->seq))
		i++;
	if (i == db->segments.count)
		sim_fail("progress %d/%lld[%u] in no segment", fact->route_id,
				 (long long) fact->seq, fact->index);
	segment = &db->segments.items[i];
	if (fact->index >= segment->nids || segment->done[fact->index])
		sim_fail("progress %d/%lld[%u] is wrong or was said before",
				 fact->route_id, (long long) fact->seq, fact->index);
	segment->done[fact->index] = 1;
	segment->left--;
	if (sim_is_committed(segment->ids[fact->index]))
		db->backlog[place(segment->ids[fact->index], fact->route_id)]--;
	sim_story("  - backlog %d/%lld[%u]", fact->route_id, (long long) fact->seq,
			  fact->index);
	while (db->first_segment < db->segments.count &&
		   db->segments.items[db->first_segment].left == 0)
		db->first_segment++;
}

/* An outage uses up no attempts, and DEAD has a reason that holds. */
static void
check_park(const FactPark *fact)
{
	const SimMessage *message = sim_message(fact->id);
	const SimRoute *route = &sim.routes[fact->route_id - 1];
	const char *why = fact->error;

	if (fact->status == PARKED_DEAD &&
		!(strcmp(why, "never") == 0
			  ? message->poison & 1 << (fact->route_id - 1)
		  : strcmp(why, "later") == 0
			  ? fact->retry_count >= route->fewest_attempts
		  : strcmp(why, "the route was dropped") == 0
			  ? !route->exists || route->spec.state == SPEC_DROPPED
			  : message->broken))
		sim_fail("message %lld goes DEAD on route %d after %d attempts: %s",
				 (long long) fact->id, fact->route_id, fact->retry_count, why);
}

static void
add_park(const FactPark *fact)
{
	size_t at = place(fact->id, fact->route_id);

	mem_free(sim.db.parked[at]);
	sim.db.parked[at] = mem_copy(fact, sizeof(*fact));
	check_park(fact);
	if (fact->status == PARKED_DEAD)
		sim_message(fact->id)->excused[fact->route_id - 1] = true;
	sim_story("  park message %lld route %d %s %s", (long long) fact->id,
			  fact->route_id, parked_status_name(fact->status), fact->error);
}

static void
remove_park(const FactUnpark *fact)
{
	size_t at = place(fact->id, fact->route_id);

	mem_free(sim.db.parked[at]);
	sim.db.parked[at] = NULL;
	sim_story("  unpark message %lld route %d", (long long) fact->id,
			  fact->route_id);
}

/* Honest: nothing unresolved at or before P. */
static void
check_position(uint64_t position)
{
	for (uint32_t i = 0; i < sim.commits.count; i++)
	{
		const SimTransaction *t = &sim.transactions.items[sim.commits.items[i]];

		if (t->state == SIM_LOST)
			continue;
		if (t->end > position)
			break;
		for (uint32_t k = 0; k < t->count; k++)
			if (!sim_message(t->items[k])->ghost &&
				!sim.db.resolved[t->items[k] - 1])
				sim_fail("P %llu is past message %lld of commit %llu, which "
						 "is not resolved",
						 (unsigned long long) position, (long long) t->items[k],
						 (unsigned long long) t->end);
	}
}

/* StatusSent: resolved, in no backlog and not parked means delivered. */
static void
check_status(int64_t id)
{
	const SimMessage *message = sim_message(id);

	if (!sim_is_committed(id))
		sim_fail("message %lld was never committed, but it is resolved",
				 (long long) id);
	for (int16_t r = 1; r <= SIM_ROUTES; r++)
		if ((message->routes & 1 << (r - 1)) && sim.db.resolved[id - 1] &&
			message->sent[r - 1] == 0 && sim.db.backlog[place(id, r)] == 0 &&
			sim.db.parked[place(id, r)] == NULL)
			sim_fail("message %lld shows SENT for route %d and was not",
					 (long long) id, r);
}

/* Past these the followers of a key are in segments. */
static void
check_rows(void)
{
	uint32_t rows[SIM_KEYS + 1][SIM_ROUTES] = {{0}};

	for (uint32_t i = 0; i < sim.messages.count * SIM_ROUTES; i++)
	{
		const FactPark *row = sim.db.parked[i];
		uint8_t key = sim.messages.items[i / SIM_ROUTES].key;

		/* those under way with one that failed are parked behind it */
		if (row != NULL && row->status == PARKED_NEW && row->has_key &&
			++rows[key][i % SIM_ROUTES] > ROUTE_KEY_ROWS_MAX + SIM_OUT_MAX)
			sim_fail("%u messages of a key are parked on route %d",
					 rows[key][i % SIM_ROUTES], row->route_id);
	}
}

static void
check_facts(const Facts *facts)
{
	for (int g = 0; g < FACTS_GENERATIONS; g++)
		for (uint32_t i = 0; i < facts->resolved[g].count; i++)
			for (int64_t id = facts->resolved[g].items[i].first;
				 id <= facts->resolved[g].items[i].last; id++)
				check_status(id);
	for (uint32_t i = 0; i < facts->unparks.count; i++)
		check_status(facts->unparks.items[i].id);
	for (uint32_t i = 0; i < facts->parks.count; i++)
		check_status(facts->parks.items[i].id);
	for (uint32_t i = 0; !sim.large && i < sim.messages.count; i++)
		if (sim.db.resolved[i])
			check_status(i + 1);
	if (!sim.large)
		check_rows();
	for (uint32_t i = 0; i < facts->segments.count; i++)
		check_once(&facts->segments.items[i]);
	if (facts->position > 0)
		check_position(facts->position);
}

static void
resolve(const IdSet *set, int generation)
{
	for (uint32_t i = 0; i < set->count; i++)
		for (int64_t id = set->items[i].first; id <= set->items[i].last; id++)
		{
			if (sim_message(id)->generation != generation)
				sim_fail("message %lld is not of generation %d", (long long) id,
						 generation);
			sim.db.resolved[id - 1] = 1;
			sim_story("  resolved %lld", (long long) id);
		}
}

void
sim_settle(const Facts *facts)
{
	if (sim.keep_before)
		sim_db_copy(&sim.before, &sim.db);
	sim_story("settle, position %llu", (unsigned long long) facts->position);
	sim.wal += 2;
	sim.db.wal = sim.wal;
	for (int g = 0; g < FACTS_GENERATIONS; g++)
		resolve(&facts->resolved[g], g - 1);
	for (uint32_t i = 0; i < facts->segments.count; i++)
		add_segment(&facts->segments.items[i]);
	for (uint32_t i = 0; i < facts->progress.count; i++)
		add_progress(&facts->progress.items[i]);
	for (uint32_t i = 0; i < facts->parks.count; i++)
		add_park(&facts->parks.items[i]);
	for (uint32_t i = 0; i < facts->unparks.count; i++)
		remove_park(&facts->unparks.items[i]);
	check_facts(facts);
	if (facts->position > sim.db.position || !sim.db.has_position)
	{
		sim.db.has_position = facts->position > 0;
		sim.db.position = facts->position;
	}
}

/* ---------- statements ---------- */

static uint16_t
remaining(int64_t id, int16_t *routes)
{
	uint16_t n = 0;

	for (int16_t r = 1; r <= SIM_ROUTES; r++)
		if ((sim_message(id)->routes & 1 << (r - 1)) &&
			sim.db.backlog[place(id, r)] == 0 &&
			sim.db.parked[place(id, r)] == NULL)
			routes[n++] = r;
	return n;
}

static void
add_unresolved(SimRequest *request, int64_t id)
{
	WireRun *last = request->runs.count > 0
						? &request->runs.items[request->runs.count - 1]
						: NULL;
	WireRun run = {
		.generation = sim_message(id)->generation, .first = id, .last = id};

	run.nroutes = remaining(id, run.routes);
	if (last != NULL && last->last == id - 1 &&
		last->generation == run.generation && last->nroutes == run.nroutes &&
		memcmp(last->routes, run.routes, 2 * SIM_ROUTES) == 0)
		last->last = id;
	else
		*ARRAY_PUSH(&request->runs) = run;
}

static void
read_snapshot(SimRequest *request)
{
	for (uint32_t i = 0; i < sim.messages.count; i++)
		if (sim.db.resolved[i])
			idset_add(&request->ids, i + 1);
	for (uint32_t i = 0; i < sim.commits.count; i++)
	{
		const SimTransaction *t = &sim.transactions.items[sim.commits.items[i]];

		for (uint32_t k = 0; k < t->count; k++)
			if (sim_is_visible(t->items[k]) &&
				!sim.db.resolved[t->items[k] - 1])
				add_unresolved(request, t->items[k]);
	}
	request->horizon = sim.wal;
	sim.wal += 4; /* the row that the relay writes */
}

static int
compare_segments(const void *a, const void *b)
{
	const SimSegment *x = a;
	const SimSegment *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

#define READ_MOST 3

static void
read_segments(SimRequest *request)
{
	uint32_t count;

	for (uint32_t i = sim.db.first_segment; i < sim.db.segments.count; i++)
	{
		const SimSegment *segment = &sim.db.segments.items[i];

		if (segment->left > 0 && segment->route_id == request->route_id &&
			segment->of_key == request->of_key &&
			segment->key_hash == request->key_hash &&
			segment->seq > request->after)
			*ARRAY_PUSH(&request->segments) = copy_segment(segment);
	}
	count = request->segments.count;
	if (count > 0)
		qsort(request->segments.items, count, sizeof(SimSegment),
			  compare_segments);
	while (request->segments.count > READ_MOST)
	{
		SimSegment *segment =
			&request->segments.items[--request->segments.count];

		mem_free(segment->ids);
		mem_free(segment->done);
	}
}

void
sim_execute(SimRequest *request)
{
	request->executed = true;
	switch (request->ask)
	{
		case SIM_FETCH:
			for (uint32_t i = 0; i < request->batch->count; i++)
				if (sim_is_visible(request->batch->ids[i]))
					idset_add(&request->ids, request->batch->ids[i]);
			break;
		case SIM_BACKLOG:
			read_segments(request);
			break;
		case SIM_SETTLE:
			sim_settle(request->facts);
			request->horizon = sim.wal;
			break;
		case SIM_READ_ROUTES:
			memcpy(request->routes, sim.routes, sizeof(sim.routes));
			break;
		case SIM_SNAPSHOT:
			read_snapshot(request);
			break;
	}
}

void
sim_request_free(SimRequest *request)
{
	for (uint32_t i = 0; i < request->segments.count; i++)
	{
		mem_free(request->segments.items[i].ids);
		mem_free(request->segments.items[i].done);
	}
	ARRAY_RESET(&request->segments);
	ARRAY_RESET(&request->runs);
	idset_reset(&request->ids);
	mem_free(request);
}
