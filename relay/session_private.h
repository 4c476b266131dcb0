/*
 * relay/session_private.h
 *
 * The inside of a session, shared by the files that are its steps:
 *	session.c		the way to the start, the turn, the end
 *	session_beat.c	what is done by the clock
 *	session_check.c	is this a database the relay can work with
 *	session_begin.c	routes and rows, slot, stream
 *	session_reconcile.c	R, U and L, the wait, table mode
 *	session_routes.c	routes, and what to do until a change is visible
 *	session_ops.c	what the core wants done
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SESSION_PRIVATE_H
#define OUTBOX_SESSION_PRIVATE_H

#include "db.h"
#include "outlets.h"
#include "rows.h"
#include "session.h"
#include "stream.h"

typedef struct Question Question;

struct Session
{
	Loop *loop;
	const Config *config;
	SessionCaller caller;
	SessionState state;
	bool ended;
	SessionEnd end;
	char reason[SESSION_REASON_MAX];

	Db *db;
	Stream *stream;
	bool streaming; /* START_REPLICATION has been answered */
	bool stream_paused;
	bool slot_missing;                /* to be made, meanwhile table mode */
	char slot_fault[LOSS_REASON_MAX]; /* why not, as it was logged */
	bool table_mode;                  /* until the stream has begun */
	Timer *step_timer;                /* the next try of the step it is at */
	Timer *turn_timer;                /* engine_next_ms */
	Timer *beat_timer;                /* each second */
	Timer *drain_timer;
	Timer *stream_timer; /* the next try to make a slot */

	StartRow start;
	Engine engine;
	bool engine_live;
	Outlets outlets;

	/* reconcile */
	bool snapshot_out;  /* a reading of R, U, L is under way */
	bool snapshot_done; /* the first has been read */
	bool reconciled;    /* and all that followed from it is done */
	bool gap;
	bool waiting; /* for transactions older than xmax */
	bool gave_up; /* the wait took too long: there is a second */
	int64_t wait_since_ms;
	int64_t wait_xmax;
	bool wait_out; /* its query is under way */

	/* running */
	int64_t slot_keep_bytes; /* max_slot_wal_keep_size; below 0: no limit */
	uint64_t server_end;
	uint64_t beat_position; /* WAL position of the last settle */
	int64_t settled_ms;
	int beats_soon; /* heartbeats that come sooner than usual */
	int64_t settles;
	int64_t maintained_ms;
	bool settled_since; /* a settle since the last maintain */
	bool maintaining;
	bool silent;          /* the server is, as it was logged */
	int64_t beat_held_ms; /* engine.held_ms at the last beat */
	bool reading_routes;
	bool routes_again;
	bool routes_visible; /* what rang is in what is being read */
	int64_t routes_xid;  /* what rang has a lower one */
	int64_t routes_delay_ms;
	Timer *routes_timer;             /* made when first needed */
	bool asked;                      /* session_ask_server, no answer yet */
	LIST_HEAD(, Question) questions; /* queries of session_ops.c */
	int64_t retained_bytes;
};

/* session_end: ends it at the end of this turn; the first reason counts. */
extern void session_end(Session *session, SessionEnd end, const char *format,
						...) __attribute__((format(printf, 3, 4)));
/* session_failed: ends the session if the result is an error. */
extern bool session_failed(Session *session, const PGresult *result);
extern void session_shape(Session *session, const char *function);
extern void session_clock(Session *session);
extern int64_t session_silent_ms(const Session *session);

#define SESSION_BEAT_MS 1000
/* session_beat: each SESSION_BEAT_MS; a TimerCall. */
extern void session_beat(void *arg);

/* session_take_over: outbox_takeover, its answer goes to then. */
extern void session_take_over(Session *session, DbCall then);

/* session_check: calls session_lease in the end, or ends the session. */
extern void session_check(Session *session);
extern void session_lease(Session *session);

/* session_begin: routes, backlogs and rows, then slot and stream. */
extern void session_begin(Session *session);
extern void session_open_stream(Session *session);
/* session_reconcile: the next step of reconcile that can be done now. */
extern void session_reconcile(Session *session);

/* session_read_routes: once; the caller hands the answer to the next. */
extern void session_read_routes(Session *session, DbCall then);
extern bool session_take_routes(Session *session, const PGresult *result);
/* session_look_at_routes: once, without waiting for anything. */
extern void session_look_at_routes(Session *session);
/* session_routes_wanted: reads until what rang for it is visible. */
extern void session_routes_wanted(Session *session);

extern const EngineOps session_ops;
/* session_drop_questions: their answers will not come. */
extern void session_drop_questions(Session *session);
/* session_hold_up_to: tells the engine how much WAL may wait. */
extern void session_hold_up_to(Session *session);
/* session_touch: an empty settle, so that the WAL moves. */
extern void session_touch(Session *session);

#endif /* OUTBOX_SESSION_PRIVATE_H */
