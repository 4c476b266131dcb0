/*
 * decoder/decoder.h
 *
 * What the files of the plugin share.  decoder.c has the callbacks and
 * decides what a change means, table.c knows the tables, row.c the
 * columns, frame.c and chunk.c what is waiting to be sent, text.c the
 * readable form.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DECODER_H
#define OUTBOX_DECODER_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

#include "compat.h"
#include "options.h"
#include "wire.h"

/* What a table means to the plugin. */
typedef enum TableUse
{
	TABLE_OTHER,   /* nothing: its rows are dropped */
	TABLE_MESSAGE, /* a leaf of outbox.message, not message_held */
	TABLE_ROUTE,   /* outbox.route */
	TABLE_PARKED   /* outbox.parked */
} TableUse;

/* The columns of outbox.message that are sent. */
typedef enum Column
{
	COLUMN_ID,
	COLUMN_GENERATION,
	COLUMN_SHARD_ID,
	COLUMN_CREATE_TIME,
	COLUMN_ROUTES,
	COLUMN_TYPE,
	COLUMN_BIZ_KEY,
	COLUMN_TOPIC,
	COLUMN_TAG,
	COLUMN_MESSAGE_KEY,
	COLUMN_SHARDING_KEY,
	COLUMN_CONTENT_TYPE,
	COLUMN_HEADERS,
	COLUMN_PAYLOAD
} Column;

#define NCOLUMNS (COLUMN_PAYLOAD + 1)

/* What is known of a table; columns are indexes from 0, for messages only. */
typedef struct Table
{
	Oid relid; /* hash key */
	bool valid;
	TableUse use;
	int16 columns[NCOLUMNS];
} Table;

/* What has been sent of a transaction in progress; at its top level. */
typedef struct StreamState
{
	bool sent;
	uint8 bells;
} StreamState;

typedef struct Decoder
{
	Options options;
	MemoryContext change_context; /* reset after each change */
	WireMessage message;          /* the row at hand */

	/* The one frame being filled; head.count is 0 when there is none. */
	WireFrame head;
	WireWriter writer;
	uint8 *buffer; /* WIRE_FRAME_MAX bytes */

	/* The transaction being replayed at its commit. */
	uint32 ordinal; /* of its next message */
	uint8 bells;

	/* The run of ids being extended, of a transaction in progress. */
	bool has_run;
	uint32 run_subxid;
	WireRun run;

	unsigned changes;   /* since progress was last told */
	TimestampTz warned; /* when a row was last complained of */
	uint64 unwarned;    /* rows dropped in silence since */
} Decoder;

/* table_start: makes the cache; it lives as long as the context. */
extern void table_start(MemoryContext context);
/* table_get: valid until the next call. */
extern const Table *table_get(const Decoder *decoder, Relation relation);

/*
 * row_read: fills decoder->message; its strings are in the tuple or in the
 * current memory context.  Gives back NULL, or why the row cannot be sent;
 * then at most message.id is of use.
 */
extern const char *row_read(Decoder *decoder, const Table *table,
							Relation relation, HeapTuple tuple);
/* row_read_head: the same for id, generation and routes alone. */
extern const char *row_read_head(Decoder *decoder, const Table *table,
								 Relation relation, HeapTuple tuple);

/* frame_reset: forgets what is waiting. */
extern void frame_reset(Decoder *decoder);
/* frame_send: one frame that has no elements, at once. */
extern void frame_send(LogicalDecodingContext *ctx, const WireFrame *frame);
/*
 * frame_open: room for an element of so many bytes in a frame of this head,
 * which goes on if it is the same transaction; else it is sent and begun anew.
 */
extern WireWriter *frame_open(LogicalDecodingContext *ctx,
							  const WireFrame *head, size_t size);
/* frame_close: sends what is waiting, if anything. */
extern void frame_close(LogicalDecodingContext *ctx, uint8 flags);

/* chunk_add: the row in decoder->message, written by subxid below xid. */
extern void chunk_add(LogicalDecodingContext *ctx, TransactionId xid,
					  TransactionId subxid);
/* chunk_flush: all that is waiting has been sent when it returns. */
extern void chunk_flush(LogicalDecodingContext *ctx, TransactionId xid);

/* text_write: a frame as lines for people. */
extern void text_write(LogicalDecodingContext *ctx, const uint8 *data,
					   size_t len);

#endif /* OUTBOX_DECODER_H */
