/*
 * decoder/chunk.c
 *
 * The messages of a transaction in progress, as runs of ids.  Nothing is
 * kept but the run being extended and the frame being filled, whatever the
 * size of the transaction.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

static bool
extends(const Decoder *decoder, TransactionId subxid)
{
	const WireRun *run = &decoder->run;
	const WireMessage *message = &decoder->message;

	return decoder->has_run && decoder->run_subxid == subxid &&
		   run->last < PG_INT64_MAX && run->last + 1 == message->id &&
		   run->generation == message->generation &&
		   run->nroutes == message->nroutes &&
		   memcmp(run->routes, message->routes, run->nroutes * sizeof(int16)) ==
			   0;
}

static void
run_end(LogicalDecodingContext *ctx, TransactionId xid)
{
	Decoder *decoder = ctx->output_plugin_private;
	WireFrame head = {.kind = WIRE_CHUNK, .xid = xid};

	if (!decoder->has_run)
		return;
	head.subxid = decoder->run_subxid;
	wire_run_write(frame_open(ctx, &head, wire_run_size(&decoder->run)),
				   &decoder->run);
	decoder->has_run = false;
}

static void
run_begin(Decoder *decoder, TransactionId subxid)
{
	const WireMessage *message = &decoder->message;
	WireRun *run = &decoder->run;

	decoder->has_run = true;
	decoder->run_subxid = subxid;
	run->generation = message->generation;
	run->nroutes = message->nroutes;
	memcpy(run->routes, message->routes, message->nroutes * sizeof(int16));
	run->first = run->last = message->id;
}

void
chunk_add(LogicalDecodingContext *ctx, TransactionId xid, TransactionId subxid)
{
	Decoder *decoder = ctx->output_plugin_private;

	if (extends(decoder, subxid))
	{
		decoder->run.last++;
		return;
	}
	run_end(ctx, xid);
	run_begin(decoder, subxid);
}

void
chunk_flush(LogicalDecodingContext *ctx, TransactionId xid)
{
	run_end(ctx, xid);
	frame_close(ctx, 0);
}
