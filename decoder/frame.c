/*
 * decoder/frame.c
 *
 * The one frame being filled.  It is held back until the next element does
 * not fit or the transaction ends, because only then is it known whether it
 * is the last.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

static void
put_frame(LogicalDecodingContext *ctx, const uint8 *data, size_t len)
{
	Decoder *decoder = ctx->output_plugin_private;

	if (decoder->options.text)
	{
		text_write(ctx, data, len);
		return;
	}
	OutputPluginPrepareWrite(ctx, true);
	appendBinaryStringInfo(ctx->out, (const char *) data, (int) len);
	OutputPluginWrite(ctx, true);
}

void
frame_reset(Decoder *decoder)
{
	decoder->head.count = 0;
}

void
frame_send(LogicalDecodingContext *ctx, const WireFrame *frame)
{
	uint8 data[64];
	WireWriter writer;

	wire_writer_init(&writer, data, sizeof(data));
	wire_frame_write(&writer, frame);
	Assert(!writer.overflow);
	put_frame(ctx, data, writer.len);
}

static bool
goes_on(const Decoder *decoder, const WireFrame *head, size_t size)
{
	return decoder->head.count > 0 && decoder->head.kind == head->kind &&
		   decoder->head.xid == head->xid &&
		   decoder->head.subxid == head->subxid &&
		   size <= decoder->writer.cap - decoder->writer.len;
}

WireWriter *
frame_open(LogicalDecodingContext *ctx, const WireFrame *head, size_t size)
{
	Decoder *decoder = ctx->output_plugin_private;

	if (!goes_on(decoder, head, size))
	{
		frame_close(ctx, 0);
		decoder->head = *head;
		decoder->head.count = 0;
		wire_writer_init(&decoder->writer, decoder->buffer, WIRE_FRAME_MAX);
		wire_frame_write(&decoder->writer, &decoder->head);
	}
	decoder->head.count++;
	return &decoder->writer;
}

void
frame_close(LogicalDecodingContext *ctx, uint8 flags)
{
	Decoder *decoder = ctx->output_plugin_private;
	WireWriter head;

	if (decoder->head.count == 0)
		return;

	/* the head again, now that flags and count are known */
	decoder->head.flags = flags;
	wire_writer_init(&head, decoder->buffer, WIRE_FRAME_MAX);
	wire_frame_write(&head, &decoder->head);
	if (decoder->writer.overflow)
		elog(ERROR, "frame of %u elements does not fit its buffer",
			 decoder->head.count);
	decoder->head.count = 0;
	put_frame(ctx, decoder->buffer, decoder->writer.len);
}
