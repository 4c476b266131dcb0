/*
 * test/unit/test_backlog.c
 *
 * The backlog of a key, told as short stories: what goes there, when it is
 * read, and how it ends.  Ids up to 1000 have key "k1", up to 2000 "k2", ...
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdio.h>

#include "engine_bench.h"
#include "murmur2.h"

#define TABLE_MAX 32

/* outbox.backlog, as far as the stories need it. */
static struct TableRow
{
	const char *key;
	int64_t seq;
	int64_t first;
	uint32_t count;
	IdSet done;
} table[TABLE_MAX];
static int nrows;

static const char *
key_of(int64_t id)
{
	static char key[16];

	snprintf(key, sizeof(key), "k%d", (int) ((id - 1) / 1000) + 1);
	return key;
}

static int32_t
hash_of(const char *key)
{
	return murmur2((const uint8_t *) key, (uint32_t) strlen(key));
}

/* A segment of the key of these ids. */
static void
add_segment(int64_t seq, int64_t first, uint32_t count)
{
	table[nrows].seq = seq;
	table[nrows].first = first;
	table[nrows].count = count;
	idset_reset(&table[nrows++].done);
}

static void
tell_summary(int64_t seq, int64_t first, int64_t messages)
{
	int32_t hash = hash_of(key_of(first));

	engine_backlog_summary(&engine, 1, &hash, seq, messages);
}

static void
tell_row(int64_t id, int64_t due_ms)
{
	FactPark row = {.id = id,
					.route_id = 1,
					.has_key = true,
					.key_hash = hash_of(key_of(id)),
					.run = 1,
					.pos = id,
					.status = PARKED_FAILED,
					.retry_count = 1};

	engine_row(&engine, &row, due_ms);
}

static void
send_segments(Backlog *backlog, int64_t after)
{
	for (int i = 0; i < nrows; i++)
	{
		int64_t ids[1000];
		Segment segment = {.seq = table[i].seq,
						   .run = 1,
						   .pos = table[i].first,
						   .nids = table[i].count,
						   .ids = ids};

		for (uint32_t k = 0; k < table[i].count; k++)
			ids[k] = table[i].first + k;
		if (segment.seq > after && backlog->key != NULL &&
			backlog->key->hash == hash_of(key_of(table[i].first)))
			engine_segment(&engine, backlog, &segment, &table[i].done);
	}
	engine_segments(&engine, backlog);
}

static void
send_bodies(FetchBatch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
	{
		WireMessage wire =
			wire_of(batch->ids[i], key_of(batch->ids[i]), 1, false);

		engine_body(batch, &wire);
	}
	engine_fetched(&engine, batch);
}

static void
commit(void)
{
	for (uint32_t i = 0; i < settling->progress.count; i++)
		for (int k = 0; k < nrows; k++)
			if (table[k].seq == settling->progress.items[i].seq)
				idset_add(&table[k].done, settling->progress.items[i].index);
	settling = NULL;
	engine_settled(&engine);
	turn(0);
}

/* The database answers until it is asked nothing more. */
static void
serve(void)
{
	while (nreading > 0 || nfetching > 0)
	{
		while (nreading > 0)
		{
			nreading--;
			send_segments(reading[nreading], read_after[nreading]);
		}
		while (nfetching > 0)
			send_bodies(fetching[--nfetching]);
		turn(0);
	}
}

static void
start_with(bool keeps_order)
{
	nrows = 0;
	start(1, keeps_order);
}

static void
arrives(int64_t id)
{
	message(id, key_of(id), 1, false);
	turn(0);
}

/* A key whose first message waits, with a backlog of ids 2 .. 1 + n. */
static void
start_blocked(bool keeps_order, uint32_t n)
{
	start_with(keeps_order);
	add_segment(7, 2, n);
	tell_summary(7, 2, n);
	tell_row(1, now_ms + 100);
	turn(0);
	is_int(nreading, 0, "of a blocked key nothing is read");
}

static Backlog *
backlog_of(const char *key)
{
	Key *found = keys_find(&engine.routes->keys, hash_of(key));

	return found != NULL ? found->backlog : NULL;
}

/* Delivers id, id + 1, ... for as long as the next one is under way. */
static int64_t
deliver_from(int64_t id)
{
	while (answer(id, OUTCOME_OK))
	{
		id++;
		serve();
		if (settling != NULL)
			commit();
	}
	return id;
}

/* ---------- stories ---------- */

static void
test_followers(void)
{
	const Route *route;

	start_with(false);
	route = engine.routes;
	arrives(1);
	answer(1, OUTCOME_TRANSIENT);
	for (int64_t id = 2; id < 2 + ROUTE_KEY_ROWS_MAX / 2; id++)
		arrives(id);
	if (settling == NULL)
		turn(ENGINE_SETTLE_MS);
	commit();
	is_int(nout, 0, "followers of a failed one wait");
	is_int(route->nrows, 1 + ROUTE_KEY_ROWS_MAX / 2, "as rows");
	ok(backlog_of("k1") == NULL, "for so many need nothing else");
	arrives(1001);
	is_int(nout, 1, "another key goes");
	finish("followers");
}

static void
test_past_the_rows(void)
{
	const Facts *facts;
	const FactSegment *s;

	start_with(false);
	tell_row(1, now_ms + 100000);
	for (int64_t id = 2; id <= ROUTE_KEY_ROWS_MAX; id++)
		tell_row(id, now_ms);
	/* the key of id 1 .. 1000, by another number */
	message(5001, "k1", 1, false);
	message(5003, "k1", 1, false);
	turn(0);
	turn(ENGINE_SETTLE_MS);
	facts = settling;
	is_int(facts->parks.count, 0, "past a thousand no more rows are made");
	s = facts->segments.items;
	ok(facts->segments.count == 1 && s->of_key && s->key_hash == hash_of("k1"),
	   "but a segment of the key");
	ok(s->nids == 2 && s->ids[0] == 5001 && s->ids[1] == 5003, "in order");
	ok(s->run == 1 && s->pos == ROUTE_POS_STREAM, "at the place of its first");
	is_int(idset_size(&facts->resolved[1]), 2, "so they are resolved");
	is_int(engine.routes->mode, ROUTE_STREAM, "the route still streams");
	message(1001, "k2", 1, false);
	turn(0);
	ok(out_at(1001) >= 0, "and another key goes");
	finish("past the rows");
}

static void
test_many_rows(void)
{
	start_with(false);
	/* of keys of their own */
	for (int64_t i = 0; i < ROUTE_HELD_MAX / 2; i++)
		tell_row(i * 1000 + 1, now_ms + 100000);
	arrives(2);
	turn(ENGINE_SETTLE_MS);
	ok(settling->parks.count == 0 && settling->segments.count == 1,
	   "nor when the rows of the route are half of what it may hold");
	is_int(engine.routes->mode, ROUTE_STREAM, "which does not end STREAM mode");
	finish("many rows");
}

static void
test_drain(void)
{
	start_blocked(false, 3);
	arrives(5);
	turn(ENGINE_SETTLE_MS);
	ok(settling->segments.count == 1 && settling->segments.items[0].of_key &&
		   settling->segments.items[0].seq == 8,
	   "what comes goes to its end, though there are few rows");
	add_segment(8, 5, 1);
	commit();
	turn(100);
	serve();
	ok(nout == 1 && out_at(1) >= 0, "the first one is tried again");
	is_int(deliver_from(1), 6, "then the backlog goes, in its order");
	turn(ENGINE_SETTLE_MS);
	ok(settling->progress.count > 0 && settling->parks.count == 0,
	   "by progress, not by rows");
	commit();
	is_int(engine.routes->keys.count, 0, "nothing is left of the key");
	is_int(engine.routes->behind_ids, 0, "nor in the count");
	finish("drain");
}

static void
test_caught_up(void)
{
	start_blocked(false, 2);
	turn(100);
	serve();
	ok(!engine_wants_pause(&engine), "the stream goes on while a key waits");
	answer(1, OUTCOME_OK);
	ok(engine_wants_pause(&engine), "it is held up when little is left");
	serve();
	ok(!engine_wants_pause(&engine), "just until that is read");
	ok(out_at(2) >= 0, "the backlog goes");
	message(6000, "k1", 1, false);
	turn(0);
	ok(out_at(6000) < 0, "what comes meanwhile waits");
	answer(2, OUTCOME_OK);
	answer(3, OUTCOME_OK);
	ok(out_at(6000) >= 0, "and goes when the backlog has");
	turn(ENGINE_SETTLE_MS);
	is_int(settling->segments.count, 0, "without being written anywhere");
	ok(backlog_of("k1") == NULL, "the backlog is over");
	finish("caught up");
}

static void
test_fails_again(void)
{
	start_blocked(false, 5);
	turn(100);
	serve();
	answer(1, OUTCOME_OK);
	serve();
	message(6000, "k1", 1, false);
	turn(0);
	answer(2, OUTCOME_TRANSIENT);
	is_int(backlog_of("k1")->nitems, 0, "one fails: the rest leave memory");
	commit(); /* at once, since the backlog is about to end */
	turn(ENGINE_SETTLE_MS);
	ok(settling->parks.count == 1 && settling->parks.items[0].id == 2 &&
		   settling->parks.items[0].status == PARKED_FAILED,
	   "it alone is parked");
	is_int(settling->parks.items[0].pos, 2, "at its place in the segment");
	ok(settling->segments.count == 1 && settling->segments.items[0].nids == 1,
	   "what came meanwhile goes to the end");
	add_segment(8, 6000, 1);
	commit();
	turn(200);
	serve();
	is_int(deliver_from(2), 7, "tried again, the rest goes on");
	finish("fails again");
}

static void
test_dead_first(void)
{
	start_blocked(false, 2);
	turn(100);
	serve();
	answer(1, OUTCOME_PERMANENT);
	serve();
	is_int(nout, 0, "the first goes DEAD: its key holds still");
	turn(ENGINE_SETTLE_MS);
	is_int(nout, 0, "until the settle that says so");
	commit();
	serve();
	ok(out_at(2) >= 0, "is committed");
	finish("dead first");
}

/* What stands in a tail must not come before what went back to a segment. */
static void
test_evicted(void)
{
	start_blocked(true, 1);
	turn(100);
	serve();
	answer(1, OUTCOME_OK);
	serve();
	arrives(3);
	ok(out_at(2) >= 0 && out_at(3) >= 0,
	   "one of the backlog and one behind it are out");
	for (int64_t id = 1001; id < 1000 + 1000 * CIRCUIT_TRIP; id += 1000)
		arrives(id);
	for (int64_t id = 1001; id < 1000 + 1000 * CIRCUIT_TRIP; id += 1000)
		answer(id, OUTCOME_TRANSIENT);
	answer(2, OUTCOME_TRANSIENT);
	is_int(engine.routes->circuit.state, CIRCUIT_OPEN, "the circuit opens");
	answer(3, OUTCOME_TRANSIENT);
	ok(nout == 0 && engine.routes->backlog.ids == 0,
	   "both come back before the tail is written");
	turn(CIRCUIT_PROBE_MIN_MS);
	serve();
	ok(nout == 1 && out_at(2) >= 0, "the probe is the first of them");
	finish("evicted");
}

static void
test_paused(void)
{
	start_blocked(false, 4);
	turn(100);
	serve();
	answer(1, OUTCOME_OK);
	serve();
	set_route(1, SPEC_PAUSED, false);
	turn(0);
	is_int(backlog_of("k1")->nitems, 1, "only what is out stays in memory");
	set_route(1, SPEC_ACTIVE, false);
	turn(0);
	serve();
	is_int(nout, 1, "it is not sent once more when the rest is read again");
	is_int(deliver_from(2), 6, "all go once");
	finish("paused");
}

static uint32_t
loaded_keys(void)
{
	const Backlog *backlog;
	uint32_t n = 0;

	TAILQ_FOREACH(backlog, &engine.routes->line, in_line)
	n += backlog->nitems > 0;
	return n;
}

static void
test_turns(void)
{
	int64_t last = WINDOW_KEYS * 1000 + 1;
	RouteSpec spec = plain_spec(1);

	start_with(false);
	spec.concurrency = OUT_MAX;
	engine_route(&engine, &spec, false);
	for (int i = 0; i <= WINDOW_KEYS; i++)
	{
		add_segment(i + 1, i * 1000 + 1, 2 * WINDOW_KEY_ITEMS);
		tell_summary(i + 1, i * 1000 + 1, 2 * WINDOW_KEY_ITEMS);
	}
	turn(0);
	serve();
	is_int(loaded_keys(), WINDOW_KEYS, "so many keys are loaded at a time");
	is_int(backlog_of("k1")->nitems, WINDOW_KEY_ITEMS, "and so many of each");
	ok(out_at(last) < 0, "the last key waits");
	is_int(deliver_from(1), 1 + WINDOW_KEY_ITEMS, "one has had its share");
	for (int64_t id = 1001; out_at(last) < 0 && out_at(id) >= 0; id++)
		deliver_from(id);
	for (int64_t id = 2001; out_at(last) < 0 && out_at(id) >= 0; id++)
		deliver_from(id);
	ok(backlog_of(key_of(last))->nitems > 0, "and the last key its turn");
	finish("turns");
}

static void
test_full(void)
{
	start_with(false);
	message(20000000, "free", 1, false);
	for (int64_t i = 0; i < ROUTE_HELD_MAX; i++)
		tell_summary(i + 1, i * 1000 + 1, 1);
	for (int i = 0; i < WINDOW_KEYS; i++)
		add_segment(i + 1, i * 1000 + 1, 1);
	turn(0);
	serve();
	ok(out_at(1) >= 0 && out_at(20000000) < 0,
	   "a full route sends what it holds");
	answer(1, OUTCOME_OK);
	ok(out_at(20000000) >= 0, "and more when it holds less");
	finish("full");
}

/* Its messages may be gone by a settle whose answer the last run missed. */
static void
test_nothing_there(void)
{
	start_with(false);
	tell_summary(1, 1, 1);
	turn(0);
	serve();
	is_int(engine.routes->keys.count, 0, "a backlog with no segment is over");
	is_int(engine.routes->behind_ids, 0, "and counts no more");
	finish("nothing there");
}

int
main(void)
{
	test_followers();
	test_past_the_rows();
	test_many_rows();
	test_drain();
	test_caught_up();
	test_fails_again();
	test_dead_first();
	test_evicted();
	test_paused();
	test_turns();
	test_full();
	test_nothing_there();
	return tap_done();
}
