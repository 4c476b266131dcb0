/*
 * decoder/wire.h
 *
 * The frames that outbox_decoder writes and outbox-relay reads: the only
 * place that knows their bytes.  Compiled into the decoder, the relay, the
 * unit tests and the fuzzer, so it uses the C library alone.  The bytes are
 * described in PROTOCOL.md.
 *
 * All integers are big-endian.  A reader never trusts a length: it compares
 * with what is left and refuses the frame otherwise.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_WIRE_H
#define OUTBOX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one protocol version both sides speak; option proto_version. */
#define WIRE_VERSION 1

/* No frame is longer: what does not fit any more begins the next one. */
#define WIRE_FRAME_MAX 65536

/* A payload longer than this is left out of the frame: payload_omitted. */
#define WIRE_PAYLOAD_MAX 32768

#define WIRE_SHARD_MAX 1023
#define WIRE_ROUTES_MAX 256
#define WIRE_HEADERS_MAX 64

typedef enum WireKind
{
	WIRE_TRANSACTION = 'T',   /* messages of a committed transaction */
	WIRE_CHUNK = 'C',         /* id ranges of a transaction in progress */
	WIRE_STREAM_COMMIT = 'S', /* a transaction sent as chunks committed */
	WIRE_STREAM_ABORT = 'A',  /* it, or one of its subtransactions, did not */
	WIRE_DOORBELL = 'D'       /* a table the relay caches was changed */
} WireKind;

/* Flags of WIRE_TRANSACTION. */
#define WIRE_LAST 0x01 /* the last frame of its transaction */

/* What a doorbell rings for; a bit set. */
#define WIRE_BELL_ROUTE 0x01    /* outbox.route */
#define WIRE_BELL_PARKED 0x02   /* outbox.parked, not by a relay */
#define WIRE_BELL_TRUNCATE 0x04 /* a leaf of outbox.message, not message_held */

/* A counted string; data == NULL is SQL NULL, len == 0 the empty string. */
typedef struct WireBytes
{
	const uint8_t *data;
	uint32_t len;
} WireBytes;

typedef struct WireHeader
{
	WireBytes name;
	WireBytes value;
} WireHeader;

/*
 * One row of outbox.message.  After a read all pointers point into the
 * caller's frame, and nheaders/nroutes elements are valid.
 */
typedef struct WireMessage
{
	int64_t id;
	int16_t generation;
	int16_t shard_id;
	int64_t create_time;  /* microseconds since 1970-01-01 UTC */
	bool payload_omitted; /* read it from the table by id */
	uint16_t nroutes;
	uint16_t nheaders;
	WireBytes type;
	WireBytes biz_key;
	WireBytes topic;
	WireBytes tag;
	WireBytes message_key;
	WireBytes sharding_key;
	WireBytes content_type;
	WireBytes payload;
	int16_t routes[WIRE_ROUTES_MAX];
	WireHeader headers[WIRE_HEADERS_MAX];
} WireMessage;

/* Consecutive ids of one generation with the same routes. */
typedef struct WireRun
{
	int16_t generation;
	uint16_t nroutes;
	int16_t routes[WIRE_ROUTES_MAX];
	int64_t first;
	int64_t last; /* inclusive, >= first */
} WireRun;

/*
 * The head of a frame.  Which fields mean something:
 *	WIRE_TRANSACTION	flags, xid, commit_end, commit_time, ordinal, count
 *	WIRE_CHUNK			xid, subxid, count
 *	WIRE_STREAM_COMMIT	xid, commit_end, commit_time
 *	WIRE_STREAM_ABORT	xid, subxid (equal: the whole transaction)
 *	WIRE_DOORBELL		bells, commit_end
 */
typedef struct WireFrame
{
	WireKind kind;
	uint8_t flags;
	uint8_t bells;
	uint32_t xid;
	uint32_t subxid;
	uint64_t commit_end; /* end of the commit record */
	int64_t commit_time; /* microseconds since 1970-01-01 UTC */
	uint32_t ordinal;    /* of the first message in its transaction */
	uint32_t count;      /* messages or runs that follow */
} WireFrame;

/* Writing: into memory of the caller, never past cap; overflow is sticky. */
typedef struct WireWriter
{
	uint8_t *data;
	size_t cap;
	size_t len;
	bool overflow;
} WireWriter;

/* Reading: error is a static sentence once a read has returned false. */
typedef struct WireReader
{
	const uint8_t *data;
	size_t len;
	size_t pos;
	const char *error;
} WireReader;

/* wire_frame_size: the bytes a frame head takes, the same for each of a kind. */
extern size_t wire_frame_size(WireKind kind);
/* wire_message_size, wire_run_size: exact, for what is written next. */
extern size_t wire_message_size(const WireMessage *message);
extern size_t wire_run_size(const WireRun *run);

extern void wire_writer_init(WireWriter *writer, void *data, size_t cap);
extern void wire_frame_write(WireWriter *writer, const WireFrame *frame);
extern void wire_message_write(WireWriter *writer, const WireMessage *message);
extern void wire_run_write(WireWriter *writer, const WireRun *run);

extern void wire_reader_init(WireReader *reader, const void *data, size_t len);
/* wire_frame_read: the head; false with reader->error when it is not one. */
extern bool wire_frame_read(WireReader *reader, WireFrame *frame);
extern bool wire_message_read(WireReader *reader, WireMessage *message);
extern bool wire_run_read(WireReader *reader, WireRun *run);
/* wire_end: true when all has been read; trailing bytes are an error. */
extern bool wire_end(WireReader *reader);

#endif /* OUTBOX_WIRE_H */
