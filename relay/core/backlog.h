/*
 * relay/core/backlog.h
 *
 * A backlog as the relay works on it: the tail that is not written yet, what
 * is written, and the window on its head.  A route has one of its own; a key
 * has one while it has more followers of a failed message than may be parked
 * as rows, see park.c.
 *
 * Of one key go, in this order: its waiting rows, its own backlog (items in
 * the key's list, then what is not in memory, then its tail), and what the
 * route's own backlog and the stream bring of it.  So while a key has a
 * backlog, what comes of it goes behind that (rule behind): into its tail, or
 * into the list of the key when all of its backlog is there (caughtUp).
 *
 * Who decides what: backlog.c what goes to the backlog of a key and when that
 * ends, window.c what is read.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_BACKLOG_H
#define OUTBOX_BACKLOG_H

#include "core/item.h"
#include "core/tail.h"

typedef struct Route Route;

/* A segment that has been read. */
typedef struct Segment
{
	int64_t seq;
	int64_t run;
	int64_t pos;
	int16_t generation;
	uint32_t nids;
	uint32_t next; /* index of the next to be loaded */
	int64_t *ids;
	bool *gone; /* done, or under way already */
	STAILQ_ENTRY(Segment) link;
} Segment;

struct Backlog
{
	Route *route;
	Key *key; /* NULL: the route's own */
	Tail tail;
	int64_t ids;         /* written, not yet gone */
	int64_t seq_written; /* highest */
	int64_t seq_read;    /* up to here segments have been read */
	int64_t seq_asked;   /* seq_written when they were asked for */
	bool reading;
	bool discard; /* segments under way come too late */
	STAILQ_HEAD(, Segment) segments;
	struct ItemList loading;
	uint32_t nloading;

	/* of a key */
	uint32_t nitems; /* in the list of the key */
	uint32_t taken;  /* loaded since its turn began */
	bool listed;     /* in the line of the route */
	TAILQ_ENTRY(Backlog) in_line;
	TAILQ_ENTRY(Backlog) in_tails;
};

TAILQ_HEAD(BacklogList, Backlog);

extern void backlog_init(Backlog *backlog, Route *route, Key *key);
/* backlog_of_key: made when the key has none. */
extern Backlog *backlog_of_key(Route *route, Key *key);
/* backlog_take: an item of the lane goes to the backlog of its key; freed. */
extern void backlog_take(Route *route, Item *item);
/* backlog_is_caught_up: all of it is in memory, in the list of the key. */
extern bool backlog_is_caught_up(const Backlog *backlog);
/* backlog_enlist: a key's that may be loaded: to the end of the line. */
extern void backlog_enlist(Backlog *backlog);
extern void backlog_unlist(Backlog *backlog);
/* backlog_release: frees a key's if nothing is left of it. */
extern void backlog_release(Backlog *backlog);
/* backlog_flush: the tails of the route and of its keys into the facts. */
extern void backlog_flush(Route *route, Facts *facts);
/* backlog_is_ending: a key would be caught up if nothing came for a moment. */
extern bool backlog_is_ending(const Route *route);
/* backlog_reset_keys: all of them, and their items. */
extern void backlog_reset_keys(Route *route);

#endif /* OUTBOX_BACKLOG_H */
