/*
 * relay/stream_state.h
 *
 * What stream.c and stream_input.c share: the state of the replication
 * connection.  stream.c has the connection, its commands and the feedback,
 * stream_input.c what the server sends.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_STREAM_STATE_H
#define OUTBOX_STREAM_STATE_H

#include <libpq-fe.h>

#include "connect.h"
#include "stream.h"

typedef enum StreamState
{
	STREAM_CONNECTING,
	STREAM_IDLE,
	STREAM_CREATING,
	STREAM_CREATED, /* the rest of the answer is not here yet */
	STREAM_STARTING,
	STREAM_STREAMING,
	STREAM_ENDING, /* the copy is over, its result not here yet */
	STREAM_LOST
} StreamState;

struct Stream
{
	Loop *loop;
	StreamCaller caller;
	char *slot;
	char *plugin;
	char *plugin_options;
	StreamState state;
	Connect *connect;
	PGconn *conn;
	Watch *watch;
	Timer *more;     /* frames wait in libpq's buffer, or a loss to be told */
	Timer *feedback; /* the next one is due */
	Loss loss;
	bool connected;
	bool paused;
	bool unflushed; /* libpq could not send all */
	bool busy;      /* a call of ours is on the stack */
	bool closed;
	uint64_t consistent_point;
	uint64_t confirmed;
	int64_t told_ms;  /* when the last feedback went out */
	int64_t heard_ms; /* when the server last said something */
};

/* stream_alive: neither closed nor known to its caller as lost. */
static inline bool
stream_alive(const Stream *stream)
{
	return !stream->closed && stream->state != STREAM_LOST;
}

/* stream_send_feedback: now; in stream.c. */
extern void stream_send_feedback(Stream *stream);

/*
 * stream_process: what libpq holds, by what is waited for; in
 * stream_input.c.  A fault is noted in the loss of the stream.
 */
extern void stream_process(Stream *stream);

#endif /* OUTBOX_STREAM_STATE_H */
