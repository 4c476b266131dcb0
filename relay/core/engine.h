/*
 * relay/core/engine.h
 *
 * The protocol between stream, routes and settle, without any I/O: who tells
 * it what happened is session.c, what it wants done goes through EngineOps.
 * The rules are those of doc/protocol.md and keep their names there.
 *
 * Every op returns at once and calls nothing back; the answer comes later by
 * an engine_* call.  Time is what engine_clock said last.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ENGINE_H
#define OUTBOX_ENGINE_H

#include "core/delivery.h"
#include "core/idrun.h"
#include "core/position.h"
#include "core/route.h"

/*
 * A settle goes out this long after its first fact, or with so many: enough
 * that the ragged ends of what is resolved are a small part of it.
 */
#ifndef ENGINE_SETTLE_FACTS
#define ENGINE_SETTLE_FACTS 20000
#endif
#define ENGINE_SETTLE_MS 50

/* Ids that one settle takes over from a pour (below). */
#ifndef ENGINE_POUR_IDS
#define ENGINE_POUR_IDS 20000
#endif

/* How long the stream may be held up so that a backlog can end, how often. */
#define ENGINE_GATE_MS 100
#define ENGINE_GATE_EVERY_MS 1000
/* After one that was in vain the next comes later, up to this. */
#define ENGINE_GATE_SELDOM_MS 60000

/* A settle that takes this long, or lets so many facts pile up, is stalled. */
#define ENGINE_STALL_MS 10000
#define ENGINE_STALL_FACTS 100000

typedef enum EnginePhase
{
	ENGINE_TABLE, /* there is no slot: work from the table */
	ENGINE_WAIT,  /* for transactions older than the stream */
	ENGINE_PASS,  /* the stream has yet to pass L */
	ENGINE_RUN
} EnginePhase;

typedef struct EngineOps
{
	/* As the sink's submit. */
	bool (*submit)(void *arg, Route *route, Delivery *delivery);
	/* Read batch->ids; engine_body for each found, then engine_fetched. */
	void (*fetch)(void *arg, FetchBatch *batch);
	/* Read segments with seq > after; engine_segment each, engine_segments. */
	void (*read_backlog)(void *arg, Backlog *backlog, int64_t after);
	/* Send it, in one transaction; facts live until engine_settled. */
	void (*settle)(void *arg, const Facts *facts);
	/* A route was met that is not known: engine_route for all, once more. */
	void (*read_routes)(void *arg);
} EngineOps;

/* Ids on their way from memory to the tails, a settle's worth at a time. */
typedef struct PourRun
{
	IdRun run;   /* with the remaining routes */
	bool stream; /* of a streamed transaction: has a ticket */
	uint64_t ticket;
} PourRun;

/* Chunks of a streamed transaction that has not ended. */
typedef struct Chunk
{
	uint32_t xid;
	uint32_t subxid;
	IdRun run;
} Chunk;

/* A subtransaction whose chunks do not count. */
typedef struct Aborted
{
	uint32_t xid;
	uint32_t subxid;
} Aborted;

struct Engine
{
	const EngineOps *ops;
	void *arg;
	int64_t now_ms;
	int64_t wall_us;
	int64_t run;    /* of this start, see doc/interface.md */
	int64_t budget; /* bytes of bodies */
	int64_t bytes;
	uint64_t random; /* state of the dice */

	EnginePhase phase;
	bool hold;             /* nothing is sent, nothing settled */
	bool gap;              /* the stream may lack messages */
	bool early;            /* the hold was given up: U is read again */
	uint64_t passed;       /* the stream is past this */
	uint64_t horizon;      /* L */
	IdSet seen;            /* ids the stream brought since the start */
	IdSet resolved;        /* R */
	Unresolved had;        /* U at the start: rule perRoute */
	Unresolved unresolved; /* U */
	bool had_read;
	int64_t recovering; /* ids of U not yet in a settle */

	Position position;
	uint64_t ticket; /* of the transaction being read */
	bool in_transaction;
	FACTS_ARRAY(Chunk) chunks;
	FACTS_ARRAY(Aborted) aborted;
	FACTS_ARRAY(PourRun) pours;
	uint32_t pours_done;   /* entries of pours already used up */
	uint32_t stream_pours; /* those left that the stream brought */
	/* of the stream, to be said when all that was recovered is written */
	IdSet deferred[FACTS_GENERATIONS];

	Facts facts[2];
	int current;   /* the one being collected */
	bool settling; /* the other one is out */
	uint64_t settled_position;
	bool heartbeat_due;
	int64_t gate_until_ms; /* stream held up until */
	int64_t gate_next_ms;
	int64_t gate_every_ms;
	uint32_t lane_max;     /* items in the lane of a route */
	bool filled;           /* a lane is full, and nothing decided yet */
	bool held;             /* the stream waits for a lane */
	int64_t held_ms;       /* in all */
	int64_t held_since_ms; /* not yet in held_ms */
	int64_t held_wal_max;  /* WAL that may wait meanwhile */
	uint64_t wal_end;      /* of the server, as far as is known */
	int64_t settle_sent_ms;

	Route *routes; /* by id */
	struct FlightList spare_flights;
	bool routes_wanted;
	bool draining;    /* nothing new goes to the sinks */
	uint64_t repeats; /* frames skipped because resolved */
};

/* engine_init: run > 0; seed for the jitter. */
extern void engine_init(Engine *engine, const EngineOps *ops, void *arg,
						int64_t run, int64_t budget, uint64_t seed);
extern void engine_reset(Engine *engine);
/* engine_hold_up_to: how much WAL may wait for a route that keeps up. */
extern void engine_hold_up_to(Engine *engine, int64_t bytes);
/* engine_clock: monotonic ms and Unix us; before anything else in a turn. */
extern void engine_clock(Engine *engine, int64_t now_ms, int64_t wall_us);

/* ---- what was read at the start, before anything runs ---- */

/* engine_route: new or changed. */
extern void engine_route(Engine *engine, const RouteSpec *spec,
						 bool keeps_order);
/* engine_routes_read: all have been told; unknown ones do not exist. */
extern void engine_routes_read(Engine *engine);
/* engine_backlog_summary: key_hash NULL: the route's own. */
extern void engine_backlog_summary(Engine *engine, int16_t route_id,
								   const int32_t *key_hash, int64_t seq_max,
								   int64_t messages);
/* engine_row: a waiting row; due_ms monotonic. */
extern void engine_row(Engine *engine, const FactPark *row, int64_t due_ms);

/* ---- reconcile ---- */

/* engine_begin_table: there is no slot. */
extern void engine_begin_table(Engine *engine);
/*
 * engine_begin_stream: the stream begins at start.  gap: it may lack messages
 * (hold); then engine_snapshot must be told after the wait, else at once.
 */
extern void engine_begin_stream(Engine *engine, uint64_t start, bool gap);
/* engine_may_begin_stream: rule settleFirst. */
extern bool engine_may_begin_stream(const Engine *engine);
/* engine_resolved, engine_unresolved: R and U, then engine_snapshot(L). */
extern void engine_resolved(Engine *engine, int64_t first, int64_t last);
extern void engine_unresolved(Engine *engine, const WireRun *run);
/* early: the wait was given up, there will be another snapshot. */
extern void engine_snapshot(Engine *engine, uint64_t horizon, bool early);

/* ---- stream ---- */

/* engine_frame: false with a sentence when it cannot be read. */
extern bool engine_frame(Engine *engine, const void *data, size_t len,
						 uint8_t *bells, const char **error);
/* engine_passed: the server has sent all up to lsn. */
extern void engine_passed(Engine *engine, uint64_t lsn);
/*
 * engine_wants_pause: no frame may follow for now.  To be asked after each
 * one, because what came in chunks is not yet where the next would go.
 */
extern bool engine_wants_pause(const Engine *engine);

/* ---- answers ---- */

extern void engine_done(Engine *engine, Delivery *delivery,
						const Outcome *outcome);
extern void engine_ready(Engine *engine, int16_t route_id);
extern void engine_sink_closed(Engine *engine, int16_t route_id);
extern void engine_segment(Engine *engine, Backlog *backlog,
						   const Segment *segment, const IdSet *done);
extern void engine_segments(Engine *engine, Backlog *backlog);
extern void engine_body(FetchBatch *batch, const WireMessage *wire);
/* engine_unreadable: the row was found, and is not as it should be. */
extern void engine_unreadable(FetchBatch *batch, int64_t id);
extern void engine_fetched(Engine *engine, FetchBatch *batch);
/* engine_settled: committed. The position that may be confirmed, or 0. */
extern uint64_t engine_settled(Engine *engine);
/* engine_wal_end: the server has written its WAL up to here. */
extern void engine_wal_end(Engine *engine, uint64_t lsn);

/* ---- the turn ---- */

/* engine_run: sends, reads and settles what is due; at the end of a turn. */
extern void engine_run(Engine *engine);
/* engine_next_ms: when engine_run has to be called again by itself. */
extern int64_t engine_next_ms(const Engine *engine);
/* engine_heartbeat: settle now even if there are no facts. */
extern void engine_heartbeat(Engine *engine);
/* engine_idle: nothing under way, nothing to settle; for the drain. */
extern bool engine_idle(const Engine *engine);
/* engine_is_stalled: a settle is out for too long, too much waits for it. */
extern bool engine_is_stalled(const Engine *engine);
/* engine_drain: nothing new goes to the sinks; open ones to the backlog. */
extern void engine_drain(Engine *engine);

/* ---- for the routes ---- */

extern uint32_t engine_inflight(Engine *engine, int16_t route_id);
extern Route *engine_find_route(Engine *engine, int16_t id);
extern Facts *engine_facts(Engine *engine);
/* engine_placed: one route less on which the message has no place. */
extern void engine_placed(Engine *engine, Message *message);
/* engine_is_pouring: ids are still on their way to the tails. */
extern bool engine_is_pouring(const Engine *engine);
/* engine_is_complete: nothing has to go before what the stream brings. */
extern bool engine_is_complete(const Engine *engine);
/* engine_dice: uniform in [0, 1). */
extern double engine_dice(Engine *engine);
extern bool engine_over_budget(const Engine *engine);
extern int64_t engine_wall_ms(const Engine *engine);

#endif /* OUTBOX_ENGINE_H */
