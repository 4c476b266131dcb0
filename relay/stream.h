/*
 * relay/stream.h
 *
 * The replication connection: it makes the slot, reads the frames and
 * reports how far they may be forgotten.  It knows no frame from inside and
 * decides nothing: what may be confirmed is said by its caller.
 *
 * The order is stream_open, connected, then stream_create_slot when there is
 * none (slot_made follows, after hours perhaps), then stream_start (started
 * follows, then frames and keepalives).
 *
 * Nothing is called from inside a stream_* call.  stream_close may be called
 * from any of the calls.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_STREAM_H
#define OUTBOX_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "loss.h"

/* The output plugin, and its options; schema_oid is added to them. */
#define STREAM_PLUGIN "outbox_decoder"

/* How often the server hears of us, whether or not we read. */
#define STREAM_FEEDBACK_MS 1000
/* After so long without a word the server is asked for one. */
#define STREAM_ASK_MS 5000
/* A confirmed position that moves is reported at most this often. */
#define STREAM_CONFIRM_MS 50

/* What is handed out in one turn before others get theirs. */
#define STREAM_TURN_FRAMES 256
#define STREAM_TURN_BYTES (1024 * 1024)

typedef struct Stream Stream;

typedef struct StreamCaller
{
	void *arg;
	void (*connected)(void *arg);
	/* consistent_point: from where on the new slot decodes. */
	void (*slot_made)(void *arg, uint64_t consistent_point);
	void (*started)(void *arg);
	/* data is valid during the call; server_end: the end of the WAL sent. */
	void (*frame)(void *arg, const uint8_t *data, size_t len,
				  uint64_t wal_start, uint64_t server_end);
	/* All up to server_end has been decoded and sent. */
	void (*keepalive)(void *arg, uint64_t server_end);
	/*
	 * Once, unless stream_close comes first; only stream_close may follow.
	 * A command that the server refuses is a loss too.
	 */
	void (*lost)(void *arg, const Loss *loss);
} StreamCaller;

typedef struct StreamOptions
{
	const char *conninfo;
	const char *slot;
	const char *plugin;         /* NULL: STREAM_PLUGIN */
	const char *plugin_options; /* NULL: those of STREAM_PLUGIN; as in
								 * START_REPLICATION, between the brackets */
} StreamOptions;

/* stream_open: starts to connect; the options are copied. */
extern Stream *stream_open(Loop *loop, const StreamOptions *options,
						   StreamCaller caller);
extern void stream_close(Stream *stream);

/* stream_create_slot: once connected, and before stream_start. */
extern void stream_create_slot(Stream *stream);

/* stream_start: from where the slot stands. */
extern void stream_start(Stream *stream, uint32_t schema_oid);

/*
 * stream_confirm: everything up to lsn is durable where it belongs.  It is
 * reported as written, flushed and applied, never more than it.  A position
 * lower than before changes nothing.
 */
extern void stream_confirm(Stream *stream, uint64_t lsn);
extern uint64_t stream_confirmed(const Stream *stream);

/*
 * stream_pause, stream_resume: no frames between them, also within the turn;
 * what the server sends stays in the socket, so that it waits.
 */
extern void stream_pause(Stream *stream);
extern void stream_resume(Stream *stream);

/*
 * stream_silent_ms: for how long the server has not said a word, though asked;
 * 0 while it is not listened to.
 */
extern int64_t stream_silent_ms(const Stream *stream);

/* stream_walsender_pid: 0 unless connected. */
extern int stream_walsender_pid(const Stream *stream);

#endif /* OUTBOX_STREAM_H */
