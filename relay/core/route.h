/*
 * relay/core/route.h
 *
 * One route as the relay works on it.
 *
 *	STREAM	open messages are in the lane, in memory; the stream feeds it.
 *	BACKLOG	the lane is a window on the head of the backlog; the stream
 *			feeds the tail, which each settle writes.
 *
 * Going to BACKLOG moves all open messages of the lane, in order, to the
 * tail.  The way back is open when the backlog is empty and nothing waits to
 * be written to it.  Keys may have a backlog of their own in either mode.
 *
 * Who decides what: lane.c which item may go, park.c what becomes of waiting
 * rows, backlog.c what goes behind them, window.c what is read from a backlog,
 * fetch.c which bodies, route.c what an answer means.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ROUTE_H
#define OUTBOX_ROUTE_H

#include "core/backlog.h"
#include "core/circuit.h"
#include "core/delivery.h"
#include "core/due.h"
#include "core/histogram.h"
#include "core/keys.h"
#include "core/spec.h"

/*
 * Items in the lane of a route; one more and it goes to BACKLOG.  A frame
 * has far fewer.
 */
#ifndef ROUTE_LANE_MAX
#define ROUTE_LANE_MAX 16384
#endif

/*
 * What waits longer than this in STREAM mode goes to the backlog with all that
 * is behind it: it holds up P, and with it the WAL.
 */
#ifndef ROUTE_LANE_MS
#define ROUTE_LANE_MS 5000
#endif

/* A lane this short is not cut when memory is short: others fill it. */
#ifndef ROUTE_LANE_SHORT
#define ROUTE_LANE_SHORT 64
#endif

/*
 * Waiting rows and keys with a backlog that a route holds; past it nothing is
 * sent but what is held already.
 */
#ifndef ROUTE_HELD_MAX
#define ROUTE_HELD_MAX 10000
#endif

/* Waiting rows of one key; its later followers go to its backlog. */
#ifndef ROUTE_KEY_ROWS_MAX
#define ROUTE_KEY_ROWS_MAX 1000
#endif

/* Messages of one fetch, and the bytes that one is meant to bring. */
#ifndef ROUTE_FETCH_MAX
#define ROUTE_FETCH_MAX 1000
#endif
#define ROUTE_FETCH_BYTES (2 * 1024 * 1024)

/* seq and pos of what the stream brought lie above those from the table. */
#define ROUTE_POS_STREAM ((int64_t) 1 << 56)

/* A message not found is looked for again after this. */
#define ROUTE_REREAD_MS 100

typedef struct Engine Engine;

typedef enum RouteMode
{
	ROUTE_STREAM,
	ROUTE_BACKLOG
} RouteMode;

/* Messages to be read by id, for one route. */
typedef struct FetchBatch
{
	Route *route;
	uint32_t count;
	uint32_t cursor; /* answers come in the order of ids */
	int64_t ids[ROUTE_FETCH_MAX];
	Item *items[ROUTE_FETCH_MAX]; /* NULL: no longer wanted */
} FetchBatch;

/* A delivery under way, with what it points to. */
typedef struct Flight
{
	Delivery delivery;
	WireMessage wire;
	Route *route;
	Item *item;
	LIST_ENTRY(Flight) link;
} Flight;

LIST_HEAD(FlightList, Flight);

typedef struct RouteStats
{
	uint64_t outcomes[3]; /* attempts, by OutcomeClass */
	uint64_t dead;        /* messages that went DEAD */
	uint64_t circuit_opened;
	Histogram commit_to_delivered;
	Histogram attempt;
} RouteStats;

struct Route
{
	Engine *engine;
	RouteSpec spec;
	bool known;       /* spec has been read */
	bool asked;       /* it has been asked for */
	bool keeps_order; /* of the sink */
	bool sink_full;   /* until ready */
	RouteMode mode;
	Circuit circuit;
	uint32_t inflight;
	struct FlightList flights;

	struct ItemList lane;
	uint32_t lane_count;
	bool full;          /* see flow.c */
	bool keeps_up;      /* it empties the lane soon */
	int64_t window_ms;  /* since when it is looked at */
	uint64_t window_ok; /* delivered before that */
	struct ItemList ready;
	struct ItemList reading;
	Keys keys;

	/* waiting rows */
	Due due;
	uint32_t nrows;
	uint32_t nretries;             /* rows whose retry is under way */
	struct RowList rows_new;       /* in the facts being collected */
	struct RowList rows_out;       /* in the settle under way */
	struct RowList rows_keyless;   /* of messages without an ordering key */
	FACTS_ARRAY(int32_t) dead_new; /* key hashes */
	FACTS_ARRAY(int32_t) dead_out;

	/* its own backlog; the table's tail goes before that of the stream */
	Backlog backlog;
	Tail table_tail;
	int64_t seq_next; /* of segments, those of keys too */
	int64_t table_seq_next;
	bool evict;   /* the windows, at the next turn */
	bool pouring; /* earlier ones are still to be written */

	/* those of keys */
	struct BacklogList line;  /* may be loaded; the first ones are */
	struct BacklogList tails; /* have something to be written */
	uint32_t nline;
	uint32_t nbehind;   /* keys with a backlog */
	int64_t behind_ids; /* messages in them, written or not */

	FetchBatch *batch;
	bool keys_first;          /* in the next batch */
	int64_t reread_ms;        /* not before */
	int64_t missing_since_ms; /* 0: none is missing */
	int64_t average_bytes;    /* of a body */

	uint32_t sent[FACTS_GENERATIONS]; /* delivered since the last settle */
	int64_t oldest_us; /* first in backlog or rows, when last asked; 0: none */
	RouteStats stats;
	Route *next; /* in the engine, by id */
};

extern Route *route_new(Engine *engine, int16_t id);
extern void route_free(Route *route);

/* route_take: a message that the stream brought and that is for this route. */
extern void route_take(Route *route, Message *message);
/* route_to_backlog: and all open messages with it. */
extern void route_to_backlog(Route *route);
/* route_run: retries that are due, reading, sending; when anything changed. */
extern void route_run(Route *route);
/* route_done: what the destination said. */
extern void route_done(Route *route, Item *item, const Outcome *outcome);
/* route_requeue: deliveries under way will get no answer (sink closed). */
extern void route_requeue(Route *route);
/* route_flush: adds tails and rows to the facts of the settle that goes out. */
extern void route_flush(Route *route, Facts *facts);
/* route_settled: that settle is committed. */
extern void route_settled(Route *route);
/* route_choose_stayers: sets stays of what may not leave the lane. */
extern void route_choose_stayers(Route *route);
/* route_able: it is known and not paused. */
extern bool route_able(const Route *route);
/* route_next_ms: when route_run has something to do by itself; INT64_MAX. */
extern int64_t route_next_ms(const Route *route);
/* route_backlog_count: messages in its own backlog, written or not. */
extern int64_t route_backlog_count(const Route *route);
/* route_is_full: no more may fail than is held already. */
extern bool route_is_full(const Route *route);
/* route_is_well: it may send, and holds little enough to stream. */
extern bool route_is_well(const Route *route);

/* ---- flight.c ---- */

/* flight_new: of an item that has its body. */
extern Flight *flight_new(Route *route, Item *item);
/* flight_free: it is in no list; its memory is kept for the next. */
extern void flight_free(Flight *flight);
/* flight_reset: frees the memory of all in the list. */
extern void flight_reset(struct FlightList *flights);

/* ---- lane.c ---- */

extern void lane_append(Route *route, Item *item);
/* lane_wake: what of this key may go now, or must be parked. */
extern void lane_wake(Route *route, Key *key);
/*
 * lane_next: the next item to send, taken from the ready list; or NULL.
 * held_only: a retry or one of a key's backlog.
 */
extern Item *lane_next(Route *route, bool held_only);
/* lane_has_next: there may be one. */
extern bool lane_has_next(const Route *route, bool held_only);
extern void lane_put_back(Route *route, Item *item);
/* lane_recall: it and all of its key behind it have to be called up again. */
extern void lane_recall(Route *route, Item *item);
extern void lane_set_state(Route *route, Item *item, ItemState state);
/* lane_leave_place: it is delivered or has another place: say so. */
extern void lane_leave_place(Route *route, Item *item);
/* lane_remove: out of key, lane and lists, and freed. */
extern void lane_remove(Route *route, Item *item);
extern Item *lane_new_item(Message *message);

/* ---- park.c ---- */

/* park_load: a waiting row that was there at the start. */
extern void park_load(Route *route, const FactPark *row, int64_t due_ms);
/* park_item: item leaves the lane (or its row changes) by a row; freed. */
extern void park_item(Route *route, Item *item, ParkedStatus status,
					  int64_t delay_ms, const char *error);
/* park_delivered: the row of a retry that went well is dropped. */
extern void park_delivered(Route *route, Item *item);
/* park_followers: all of this key that are in memory wait behind its rows. */
extern void park_followers(Route *route, Key *key);
/* park_wake: the first row of the key becomes due if nothing is in its way. */
extern void park_wake(Route *route, Row *row);
/* park_retry: the item of a row goes without an answer; the row is due. */
extern void park_retry(Route *route, Item *item);
/* park_run: makes items of the rows that are due. */
extern void park_run(Route *route);
/*
 * park_may_probe: with the circuit open, is it a row's turn to be the probe
 * (or the backlog's)?  By turns, so that what always fails hides nothing.
 */
extern bool park_may_probe(const Route *route, bool row);
/* park_probe_ms: when there may be a probe that there is not now. */
extern int64_t park_probe_ms(const Route *route);
/* park_allowed: how many retries may be in memory now. */
extern uint32_t park_allowed(const Route *route);
extern void park_settled(Route *route);
extern void park_reset(Route *route);

/* ---- window.c ---- */

/* Backlogs of keys that are loaded at a time. */
#ifndef WINDOW_KEYS
#define WINDOW_KEYS 16
#endif
/* Items of one of them in memory. */
#ifndef WINDOW_KEY_ITEMS
#define WINDOW_KEY_ITEMS 64
#endif

/* window_run: reads segments as long as there is room. */
extern void window_run(Route *route);
/* window_segment: a segment that was read; ids and done are copied. */
extern void window_segment(Backlog *backlog, const Segment *segment,
						   const IdSet *done);
/* window_segments: that was all of them. */
extern void window_segments(Backlog *backlog);
/* window_join: what has its body leaves the loading lists, in order. */
extern void window_join(Route *route);
/* window_evict: forgets what is not under way; it is read anew later. */
extern void window_evict(Route *route);
/* window_close: of a key with nothing under way, out of the line too. */
extern void window_close(Backlog *backlog);
/* window_drop: segments, and items that are being loaded. */
extern void window_drop(Backlog *backlog);

/* ---- fetch.c ---- */

/* fetch_run: asks for bodies. */
extern void fetch_run(Route *route);
extern void fetch_body(FetchBatch *batch, const WireMessage *wire);
/* fetch_unreadable: found, and not as it should be. */
extern void fetch_unreadable(FetchBatch *batch, int64_t id);
extern void fetch_done(FetchBatch *batch);

#endif /* OUTBOX_ROUTE_H */
