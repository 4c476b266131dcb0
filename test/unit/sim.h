/*
 * test/unit/sim.h
 *
 * The simulation of the relay's core: everything around it is made up here,
 * and every choice comes from one seed.
 *
 *	sim_world.c		the application: transactions and their frames
 *	sim_db.c		the tables, the slot, settle, and what a snapshot sees
 *	sim_sink.c		the destinations
 *	sim_relay.c		does with the engine what the session does
 *	sim_windows.c	how much the core has in memory at a time
 *	sim_begin.c		what is read of the tables at a start
 *	sim_stream.c	the walsender
 *	sim_faults.c	what breaks, and what the operator does
 *	sim_audit.c		what has to be true in the engine's memory at any time
 *	sim_check.c		what has to be true when all is quiet
 *	test_simulation.c	the order of events
 *
 * The oracle knows only what was committed, what was delivered and what the
 * tables say; it never asks the engine.  Only the audit looks into that.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SIM_H
#define OUTBOX_SIM_H

#include "sim_windows.h"

#include "core/engine.h"
#include "core/idset.h"

#define SIM_ROUTES 4  /* ids 1 .. 4 */
#define SIM_KEYS 4    /* keys 1 .. 4; 0: none */
#define SIM_OUT_MAX 6 /* under way at a destination */
#define SIM_FRAME_MAX (4 * WIRE_FRAME_MAX)

typedef enum SimState
{
	SIM_OPEN,
	SIM_COMMITTED,
	SIM_LOST, /* committed, but not on the server that was promoted */
	SIM_ROLLED_BACK
} SimState;

typedef struct SimMessage
{
	uint32_t transaction; /* index */
	uint32_t subxid;
	int16_t generation;
	uint8_t key;
	uint8_t routes;      /* bit r - 1 */
	bool ghost;          /* its subtransaction was rolled back */
	bool omitted;        /* too long for a frame */
	bool broken;         /* its row cannot be read */
	uint8_t poison;      /* bit r - 1: refused for good */
	int64_t stubborn_ms; /* until then all attempts fail */
	uint32_t order;      /* index in the list of its key */
	uint8_t sent[SIM_ROUTES];
	bool excused[SIM_ROUTES];
} SimMessage;

typedef struct SimTransaction
{
	uint32_t xid;
	SimState state;
	bool streamed;
	bool visible;
	uint64_t end;     /* of its commit or abort record */
	uint32_t chunked; /* ids sent as chunks so far */
	uint32_t count;
	uint32_t room;
	int64_t *items; /* ids */
} SimTransaction;

typedef struct SimFrame
{
	uint32_t transaction;
	uint64_t lsn;
	uint8_t *data;
	size_t len;
} SimFrame;

typedef struct SimSegment
{
	int16_t route_id;
	int16_t generation;
	bool of_key;
	int32_t key_hash;
	int64_t seq;
	int64_t run;
	int64_t pos;
	uint32_t nids;
	uint32_t left;
	int64_t *ids;
	uint8_t *done;
} SimSegment;

/* What settle writes.  By id and route: (id - 1) * SIM_ROUTES + route - 1 */
typedef struct SimDb
{
	uint8_t *resolved;
	uint8_t *backlog; /* entries not done */
	FactPark **parked;
	FACTS_ARRAY(SimSegment) segments; /* left == 0: gone */
	uint32_t first_segment;           /* those before it are gone */
	bool has_position;
	uint64_t position;
	int64_t run;  /* of the last start */
	uint64_t wal; /* end of the WAL at the last settle */
} SimDb;

typedef struct SimRoute
{
	bool exists;
	RouteSpec spec;
	bool keeps_order;
	bool down;        /* the destination: all attempts fail */
	uint8_t down_key; /* those of this key do; 0: of none */
	bool loose;       /* its ordering was altered: no order is promised */
	int32_t fewest_attempts; /* max_attempts ever had */
} SimRoute;

typedef enum SimAsk
{
	SIM_FETCH,
	SIM_BACKLOG,
	SIM_SETTLE,
	SIM_READ_ROUTES,
	SIM_SNAPSHOT
} SimAsk;

/* A statement in the pipeline: executed in order, answered in order. */
typedef struct SimRequest
{
	SimAsk ask;
	bool executed;
	FetchBatch *batch;
	Backlog *backlog;
	int64_t after;
	int16_t route_id;
	bool of_key;
	int32_t key_hash;
	const Facts *facts;
	bool early;
	uint64_t horizon;
	IdSet ids; /* found, or R */
	FACTS_ARRAY(SimSegment) segments;
	FACTS_ARRAY(WireRun) runs;
	SimRoute routes[SIM_ROUTES];
	struct SimRequest *next;
} SimRequest;

typedef struct SimDelivery
{
	Delivery *delivery;
	bool doomed;
} SimDelivery;

typedef struct SimSink
{
	bool open;
	bool hung;
	bool wants_ready;
	bool keeps_order;
	FACTS_ARRAY(SimDelivery) out;
} SimSink;

/* What a sink that is gone had under way: may arrive at any time later. */
typedef struct SimLate
{
	int64_t id;
	uint32_t queue; /* of one sink; in order if that kept it */
	uint8_t route;  /* index */
	bool keeps_order;
} SimLate;

typedef struct SimRelay
{
	bool up;
	Engine engine;
	SimSink sinks[SIM_ROUTES];
	RouteSpec opened[SIM_ROUTES]; /* what the sinks were opened for */
	SimRequest *first;
	SimRequest **last;
	bool streaming;
	bool fed;    /* the first snapshot was answered */
	bool asked;  /* a snapshot is under way */
	bool paused; /* the stream is not read, since the last turn */
	bool had;    /* in a gap: the first reading was answered */
	bool gap;
	bool second_early; /* the reading after the wait was given up */
	bool complete;     /* no more readings */
	uint32_t wait_for; /* commits that have to be visible */
	uint32_t cursor;   /* next frame */
	uint64_t start;
	uint64_t confirmable;
	int64_t drain_until_ms; /* 0: no drain */
	uint64_t told_wal;      /* the end of the WAL as of the last settle */
	uint32_t lane_max;      /* of its engine, as it was told */
	int64_t held_wal;
} SimRelay;

typedef struct Sim
{
	uint64_t seed;
	uint64_t random;
	bool verbose;
	bool large;
	bool calm; /* no more faults */
	const char *failure;

	int64_t now_ms;
	int64_t wall_ms; /* Unix time is this much ahead */
	uint64_t wal;
	uint32_t xids;
	uint32_t messages_max;
	FACTS_ARRAY(SimMessage) messages;
	FACTS_ARRAY(SimTransaction) transactions;
	FACTS_ARRAY(SimFrame) frames;
	FACTS_ARRAY(uint32_t) commits; /* transactions in commit order */
	FACTS_ARRAY(int64_t) by_key[SIM_KEYS + 1];
	uint32_t frontier[SIM_KEYS + 1][SIM_ROUTES];
	SimRoute routes[SIM_ROUTES];
	int deleted; /* index of one deleted by hand; -1: none */

	SimDb db;
	SimDb before; /* the last settle; if keep_before */
	bool keep_before;
	bool slot;
	uint64_t confirmed;
	uint64_t saved;

	SimRelay relays[2];
	SimRelay *relay; /* whose turn it is */
	bool old;        /* it has lost the lease and does not know */
	FACTS_ARRAY(SimLate) late;
	uint32_t queues;
	uint32_t faults;
	bool unordered; /* a hold was given up */
	int transient;  /* per cent of attempts */
	int invisible;  /* per cent of commits that lag */
	bool serial;    /* the application writes a key after the other is seen */
	int streamed;   /* per cent of transactions */
	bool crowded;   /* a key with many messages, and time for them */
	int64_t deliveries;
} Sim;

extern Sim sim;

#define SIM_ENGINE (&sim.relay->engine)

/* ---- test_simulation.c ---- */

extern uint64_t sim_random(uint64_t below);
extern bool sim_chance(int percent);
extern void sim_story(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
/* sim_fail: does not come back. */
extern void sim_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* ---- sim_windows.c ---- */

extern void sim_choose_windows(void);

/* ---- sim_world.c ---- */

extern SimMessage *sim_message(int64_t id);
extern SimTransaction *sim_transaction_of(int64_t id);
extern bool sim_is_committed(int64_t id);
extern bool sim_is_visible(int64_t id);
extern int32_t sim_key_hash(uint8_t key);
/* sim_wire: a message as the decoder or a fetch tells it. */
extern void sim_wire(int64_t id, WireMessage *wire, bool in_frame);
/* sim_work: begins, writes to, rolls back or ends some transaction. */
extern void sim_work(void);
/* sim_end_work: ends what is open; lose: by rolling back. */
extern void sim_end_work(bool lose);
/* sim_lose_work: what committed after this position never happened. */
extern void sim_lose_work(uint64_t wal);
/* sim_ring: a transaction that tells of a change of the routes. */
extern void sim_ring(void);
extern void sim_show(uint32_t most);
extern void sim_world_reset(void);

/* ---- sim_db.c ---- */

extern void sim_db_init(SimDb *db);
extern void sim_db_reset(SimDb *db);
extern void sim_db_copy(SimDb *to, const SimDb *from);
/* sim_settle: applies and checks what the facts say. */
extern void sim_settle(const Facts *facts);
extern void sim_execute(SimRequest *request);
extern void sim_request_free(SimRequest *request);

/* ---- sim_sink.c ---- */

extern bool sim_submit(void *arg, Route *route, Delivery *delivery);
/* sim_answer: one delivery of this route gets its answer; false: none. */
extern bool sim_answer(int r);
/* sim_sink_close: what is out may have arrived, or does so later. */
extern void sim_sink_close(int r);
extern void sim_sink_open(int r, bool keeps_order);
/* sim_arrive_late: one of those whose sink is gone; false: none. */
extern bool sim_arrive_late(void);

/* ---- sim_relay.c ---- */

/* sim_holds: turns that ended with the stream held, all worlds together. */
extern int64_t sim_holds;

extern void sim_start(void);
/* sim_stop: the process is gone. */
extern void sim_stop(void);
extern bool sim_execute_next(void);
extern bool sim_answer_next(void);
/* sim_reconcile: asks for a snapshot, or begins to stream, if it is time. */
extern bool sim_reconcile(void);
extern void sim_ask_routes(void);
extern void sim_turn(void);
/* sim_tell_time: to the engine. */
extern void sim_tell_time(void);
/* sim_ready: the sink of this route takes more; false: it did before. */
extern bool sim_ready(int r);
/* sim_drain: asks the relay to stop in order, or looks how far it is. */
extern void sim_drain(void);

/* ---- sim_begin.c ---- */

/* sim_tell_backlog, sim_tell_rows: to the engine that starts. */
extern void sim_tell_backlog(void);
extern void sim_tell_rows(void);

/* ---- sim_stream.c ---- */

/* sim_feed, sim_keepalive, sim_confirm: false when there is nothing to. */
extern bool sim_feed(void);
extern bool sim_keepalive(void);
extern bool sim_confirm(void);

/* ---- sim_faults.c ---- */

extern void sim_make_route(int r);
extern void sim_make_slot(void);
extern void sim_fault(void);
extern void sim_operate(void);
/* sim_weather: a destination fails for a while, or is back. */
extern void sim_weather(void);
extern void sim_sink_fails(int r);
/* sim_old_relay: a step of the one that has lost the lease. */
extern void sim_old_relay(void);
extern void sim_stop_old(void);

/* ---- sim_audit.c ---- */

/* sim_audit: the engine's lists, counts and sums agree. */
extern void sim_audit(void);

/* ---- sim_check.c ---- */

/*
 * sim_check: when nothing is left to do, but for one route (or -1), or for
 * the key that it has down.
 */
extern void sim_check(int except);
/* sim_check_turn: after each turn. */
extern void sim_check_turn(void);

#endif /* OUTBOX_SIM_H */
