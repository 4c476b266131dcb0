/*
 * relay/session.h
 *
 * One life of the relay against its database: connect, check, lease, start,
 * reconcile, run, until a connection or the lease is lost.  All of its state
 * goes with it; relay.c begins the next.
 *
 * Who decides what: the order of the steps is here, what is done with
 * messages is core/engine.h, whether to begin again is relay.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SESSION_H
#define OUTBOX_SESSION_H

#include "config.h"
#include "core/engine.h"
#include "loop.h"

#define SESSION_REASON_MAX 1024

typedef enum SessionState
{
	SESSION_CONNECTING,
	SESSION_CHECKING,
	SESSION_STANDBY, /* another relay has the lease */
	SESSION_STARTING,
	SESSION_DISARMED, /* this database is a copy */
	SESSION_RECONCILING,
	SESSION_RUNNING,
	SESSION_DRAINING
} SessionState;

typedef enum SessionEnd
{
	SESSION_LOST,       /* begin again */
	SESSION_TERMINATED, /* by the server, which is there: begin again soon */
	SESSION_FATAL,      /* only a person can help */
	SESSION_DRAINED     /* as asked */
} SessionEnd;

/* A server that has not answered for so long has stopped. */
#define SESSION_SILENT_MS 10000

typedef struct Session Session;

/* session_status: what /metrics and /readyz tell of it. */
/* A run is era << 40 | epoch, see doc/interface.md. */
#define RUN_ERA(run) ((run) >> 40)
#define RUN_EPOCH(run) ((run) & ((INT64_C(1) << 40) - 1))

typedef struct SessionStatus
{
	SessionState state;
	int64_t run;
	uint64_t server_end; /* last the server said of its WAL */
	uint64_t confirmed;
	int64_t settled_ms;     /* monotonic, of the last settle; 0 none */
	int64_t retained_bytes; /* WAL kept for the slot; -1 not known */
	int64_t settles;
	bool table_mode;
	int64_t silent_ms; /* for how long the server has not answered */
	const Engine *engine;
} SessionStatus;

typedef struct SessionCaller
{
	void *arg;
	/* Once, from session_turn.  The session is to be closed then. */
	void (*ended)(void *arg, SessionEnd end, const char *reason);
} SessionCaller;

extern Session *session_open(Loop *loop, const Config *config,
							 SessionCaller caller);
extern void session_close(Session *session);
/* session_turn: at the end of each turn of the loop. */
extern void session_turn(Session *session);
/* session_drain: finish what is under way, settle, confirm, end. */
extern void session_drain(Session *session);
/*
 * session_ask_server: for what only the server knows, the WAL kept and the
 * oldest that waits in a table; the next status has the answer.
 */
extern void session_ask_server(Session *session);
extern void session_set_budget(Session *session, int64_t bytes);
extern void session_status(const Session *session, SessionStatus *status);
/* session_delivers: and the server answers. */
extern bool session_delivers(const SessionStatus *status);
extern const char *session_state_name(SessionState state);

#endif /* OUTBOX_SESSION_H */
