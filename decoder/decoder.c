/*
 * decoder/decoder.c
 *
 * outbox_decoder, the output plugin: its callbacks, and what each change
 * means.  It sends inserts into leaves of outbox.message, rings a bell when
 * a table that the relay keeps in memory has changed, and drops all else.
 * It never raises an error for what a row holds.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

/* After so many changes without a frame the client is told of progress. */
#define CHANGES_MAX 100

/* A row that cannot be sent is complained of so often, all together. */
#define WARNING_INTERVAL_MS 10000

extern PGDLLEXPORT void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks);

/* Options and life */

static void
options_raise(const Options *options, OptionsResult result)
{
	if (result == OPTIONS_OK)
		return;
	ereport(
		ERROR,
		(errcode(result == OPTIONS_REPEATED  ? ERRCODE_SYNTAX_ERROR
				 : result == OPTIONS_VERSION ? ERRCODE_FEATURE_NOT_SUPPORTED
											 : ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("%s", options->error),
		 result == OPTIONS_VERSION
			 ? errhint("Install outbox_decoder and outbox-relay of the same "
					   "version, or give option proto_version; to look "
					   "at changes by SQL, give option format 'text'.")
			 : 0));
}

static void
options_read(Options *options, List *given)
{
	ListCell *cell;

	options_init(options);
	foreach (cell, given)
	{
		DefElem *element = lfirst_node(DefElem, cell);
		const char *value = NULL;

		if (element->arg != NULL && IsA(element->arg, String))
			value = strVal(element->arg);
		options_raise(options, options_take(options, element->defname, value));
	}
}

static void
decoder_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt,
				bool is_init)
{
	Decoder *decoder = palloc0(sizeof(Decoder));

	options_read(&decoder->options, ctx->output_plugin_options);
	/* a slot is made without options */
	if (!is_init)
		options_raise(&decoder->options, options_check(&decoder->options));

	opt->output_type = decoder->options.text ? OUTPUT_PLUGIN_TEXTUAL_OUTPUT
											 : OUTPUT_PLUGIN_BINARY_OUTPUT;
	opt->receive_rewrites = false;

	decoder->change_context = AllocSetContextCreate(
		ctx->context, "outbox_decoder change", ALLOCSET_DEFAULT_SIZES);
	decoder->buffer = MemoryContextAlloc(ctx->context, WIRE_FRAME_MAX);
	table_start(ctx->context);
	ctx->output_plugin_private = decoder;
}

static bool
decoder_filter_origin(LogicalDecodingContext *ctx, CompatOriginId origin)
{
	return origin == DoNotReplicateId;
}

/* Progress */

/* On 15 the plugin must say it itself, or the client times out. */
static void
progress_change(LogicalDecodingContext *ctx)
{
	Decoder *decoder = ctx->output_plugin_private;

	if (!COMPAT_CHANGES_TELL_PROGRESS || ++decoder->changes < CHANGES_MAX)
		return;
	decoder->changes = 0;
	OutputPluginUpdateProgress(ctx, false);
}

static void
progress_end(LogicalDecodingContext *ctx, bool skipped)
{
	Decoder *decoder = ctx->output_plugin_private;

	decoder->changes = 0;
	OutputPluginUpdateProgress(ctx, skipped);
}

/* What a change means */

/* Never an error, and never a line for each of a million rows. */
static void
warn_unsendable(Decoder *decoder, Relation relation, const char *why)
{
	TimestampTz now = GetCurrentTimestamp();

	if (decoder->warned != 0 &&
		!TimestampDifferenceExceeds(decoder->warned, now, WARNING_INTERVAL_MS))
	{
		decoder->unwarned++;
		return;
	}
	ereport(
		WARNING,
		(errcode(ERRCODE_DATA_EXCEPTION),
		 errmsg("message " INT64_FORMAT " in table \"%s\" cannot be sent: %s",
				decoder->message.id, RelationGetRelationName(relation), why),
		 decoder->unwarned == 0
			 ? 0
			 : errdetail("Before it, " UINT64_FORMAT
						 " others were dropped without a warning.",
						 decoder->unwarned)));
	decoder->warned = now;
	decoder->unwarned = 0;
}

static uint8
table_bell(const Table *table)
{
	switch (table->use)
	{
		case TABLE_ROUTE:
			return WIRE_BELL_ROUTE;
		case TABLE_PARKED:
			return WIRE_BELL_PARKED;
		default:
			return 0;
	}
}

static uint8
truncate_bells(Decoder *decoder, int nrelations, Relation relations[])
{
	uint8 bells = 0;

	for (int i = 0; i < nrelations; i++)
	{
		const Table *table = table_get(decoder, relations[i]);

		bells |= table->use == TABLE_MESSAGE ? WIRE_BELL_TRUNCATE
											 : table_bell(table);
	}
	return bells;
}

/*
 * The new row, when the change is one to send: an UPDATE or DELETE of a
 * message never happens but by maintenance.
 */
static HeapTuple
inserted_message(const Table *table, const ReorderBufferChange *change)
{
	if (table->use != TABLE_MESSAGE ||
		change->action != REORDER_BUFFER_CHANGE_INSERT)
		return NULL;
	return compat_new_tuple(change);
}

static int64
unix_micros(TimestampTz time)
{
	return time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

static void
ring(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, uint8 bells)
{
	WireFrame frame = {.kind = WIRE_DOORBELL};

	if (bells == 0)
		return;
	frame.bells = bells;
	frame.commit_end = txn->end_lsn;
	frame_send(ctx, &frame);
}

/* Transactions replayed at their commit */

static void
decoder_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Decoder *decoder = ctx->output_plugin_private;

	frame_reset(decoder);
	decoder->ordinal = 0;
	decoder->bells = 0;
}

static void
send_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Decoder *decoder = ctx->output_plugin_private;
	WireFrame head = {.kind = WIRE_TRANSACTION};
	size_t size = wire_message_size(&decoder->message);

	head.xid = txn->xid;
	head.commit_end = txn->end_lsn;
	head.commit_time = unix_micros(txn->xact_time.commit_time);
	head.ordinal = decoder->ordinal++;
	wire_message_write(frame_open(ctx, &head, size), &decoder->message);
}

static void
decoder_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
			   Relation relation, ReorderBufferChange *change)
{
	Decoder *decoder = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(decoder->change_context);
	const Table *table = table_get(decoder, relation);
	HeapTuple tuple = inserted_message(table, change);
	const char *why;

	decoder->bells |= table_bell(table);
	if (tuple != NULL)
	{
		why = row_read(decoder, table, relation, tuple);
		if (why == NULL)
			send_message(ctx, txn);
		else
			warn_unsendable(decoder, relation, why);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(decoder->change_context);
	progress_change(ctx);
}

static void
decoder_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
				 int nrelations, Relation relations[],
				 ReorderBufferChange *change)
{
	Decoder *decoder = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(decoder->change_context);

	decoder->bells |= truncate_bells(decoder, nrelations, relations);
	MemoryContextSwitchTo(old);
	MemoryContextReset(decoder->change_context);
	progress_change(ctx);
}

/* Messages of pg_logical_emit_message are not ours, but take their time. */
static void
decoder_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
				XLogRecPtr lsn, bool transactional, const char *prefix,
				Size size, const char *message)
{
	progress_change(ctx);
}

static void
decoder_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
			   XLogRecPtr commit_lsn)
{
	Decoder *decoder = ctx->output_plugin_private;

	frame_close(ctx, WIRE_LAST);
	ring(ctx, txn, decoder->bells);
	progress_end(ctx, decoder->ordinal == 0 && decoder->bells == 0);
}

/* Transactions in progress */

/* Made when there is something to remember; it lives with the transaction. */
static StreamState *
stream_state(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	ReorderBufferTXN *top = compat_top_txn(txn);

	if (top->output_plugin_private == NULL)
		top->output_plugin_private =
			MemoryContextAllocZero(ctx->context, sizeof(StreamState));
	return top->output_plugin_private;
}

/* What it was, and forgets it. */
static StreamState
stream_end(ReorderBufferTXN *txn)
{
	StreamState state = {0};

	if (txn->output_plugin_private != NULL)
	{
		state = *(StreamState *) txn->output_plugin_private;
		pfree(txn->output_plugin_private);
		txn->output_plugin_private = NULL;
	}
	return state;
}

static void
decoder_stream_start(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Decoder *decoder = ctx->output_plugin_private;

	frame_reset(decoder);
	decoder->has_run = false;
}

static void
decoder_stream_stop(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	chunk_flush(ctx, compat_top_txn(txn)->xid);
	progress_change(ctx);
}

static void
decoder_stream_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
					  Relation relation, ReorderBufferChange *change)
{
	Decoder *decoder = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(decoder->change_context);
	const Table *table = table_get(decoder, relation);
	HeapTuple tuple = inserted_message(table, change);
	const char *why;

	if (table_bell(table) != 0)
		stream_state(ctx, txn)->bells |= table_bell(table);
	if (tuple != NULL)
	{
		why = row_read_head(decoder, table, relation, tuple);
		if (why == NULL)
		{
			stream_state(ctx, txn)->sent = true;
			chunk_add(ctx, compat_top_txn(txn)->xid, change->txn->xid);
		}
		else
			warn_unsendable(decoder, relation, why);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(decoder->change_context);
	progress_change(ctx);
}

static void
decoder_stream_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						int nrelations, Relation relations[],
						ReorderBufferChange *change)
{
	Decoder *decoder = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(decoder->change_context);
	uint8 bells = truncate_bells(decoder, nrelations, relations);

	if (bells != 0)
		stream_state(ctx, txn)->bells |= bells;
	MemoryContextSwitchTo(old);
	MemoryContextReset(decoder->change_context);
	progress_change(ctx);
}

static void
decoder_stream_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
					  XLogRecPtr commit_lsn)
{
	StreamState state = stream_end(txn);
	WireFrame frame = {.kind = WIRE_STREAM_COMMIT};

	frame.xid = txn->xid;
	frame.commit_end = txn->end_lsn;
	frame.commit_time = unix_micros(txn->xact_time.commit_time);
	if (state.sent)
		frame_send(ctx, &frame);
	ring(ctx, txn, state.bells);
	progress_end(ctx, !state.sent && state.bells == 0);
}

static void
decoder_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
					 XLogRecPtr abort_lsn)
{
	ReorderBufferTXN *top = compat_top_txn(txn);
	StreamState *state = top->output_plugin_private;
	WireFrame frame = {.kind = WIRE_STREAM_ABORT};
	bool sent = state != NULL && state->sent;

	frame.xid = top->xid;
	frame.subxid = txn->xid;
	if (sent)
		frame_send(ctx, &frame);
	if (txn == top)
		stream_end(txn);
	progress_end(ctx, !sent);
}

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = decoder_startup;
	callbacks->filter_by_origin_cb = decoder_filter_origin;
	callbacks->begin_cb = decoder_begin;
	callbacks->change_cb = decoder_change;
	callbacks->truncate_cb = decoder_truncate;
	callbacks->message_cb = decoder_message;
	callbacks->commit_cb = decoder_commit;
	callbacks->stream_start_cb = decoder_stream_start;
	callbacks->stream_stop_cb = decoder_stream_stop;
	callbacks->stream_change_cb = decoder_stream_change;
	callbacks->stream_truncate_cb = decoder_stream_truncate;
	callbacks->stream_message_cb = decoder_message;
	callbacks->stream_commit_cb = decoder_stream_commit;
	callbacks->stream_abort_cb = decoder_stream_abort;
}
