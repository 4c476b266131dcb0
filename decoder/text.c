/*
 * decoder/text.c
 *
 * Frames as lines that a person can read, for pg_logical_slot_get_changes.
 * It reads the frame that would have been sent, so what is shown is what a
 * relay would get.  Bytes outside printable ASCII are escaped in payloads;
 * a long payload is cut.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

/* So much of a payload is shown. */
#define PAYLOAD_SHOWN 64

static void
put_quoted(StringInfo out, const WireBytes *string, bool ascii)
{
	appendStringInfoChar(out, '"');
	for (uint32_t i = 0; i < string->len; i++)
	{
		uint8 c = string->data[i];

		if (c == '"' || c == '\\')
			appendStringInfo(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7F || (ascii && c > 0x7F))
			appendStringInfo(out, "\\x%02x", c);
		else
			appendStringInfoChar(out, (char) c);
	}
	appendStringInfoChar(out, '"');
}

static void
put_optional(StringInfo out, const char *name, const WireBytes *string)
{
	if (string->data == NULL)
		return;
	appendStringInfo(out, " %s ", name);
	put_quoted(out, string, false);
}

static void
put_routes(StringInfo out, uint16_t nroutes, const int16_t *routes)
{
	appendStringInfoString(out, " routes {");
	for (int i = 0; i < nroutes; i++)
		appendStringInfo(out, "%s%d", i ? "," : "", routes[i]);
	appendStringInfoChar(out, '}');
}

static void
put_headers(StringInfo out, const WireMessage *message)
{
	if (message->nheaders == 0)
		return;
	appendStringInfoString(out, " headers {");
	for (int i = 0; i < message->nheaders; i++)
	{
		appendStringInfoString(out, i ? ", " : "");
		put_quoted(out, &message->headers[i].name, false);
		appendStringInfoString(out, ": ");
		put_quoted(out, &message->headers[i].value, false);
	}
	appendStringInfoChar(out, '}');
}

static void
put_payload(StringInfo out, const WireMessage *message)
{
	WireBytes shown = message->payload;

	if (message->payload_omitted)
	{
		appendStringInfoString(out, " payload omitted");
		return;
	}
	shown.len = Min(shown.len, PAYLOAD_SHOWN);
	appendStringInfo(out, " payload %u ", message->payload.len);
	put_quoted(out, &shown, true);
	if (shown.len < message->payload.len)
		appendStringInfoString(out, "...");
}

static void
put_message(StringInfo out, const WireFrame *frame, uint32 index,
			const WireMessage *message)
{
	appendStringInfo(out,
					 "message " INT64_FORMAT
					 " xid %u ordinal %u generation %d shard %d",
					 message->id, frame->xid, frame->ordinal + index,
					 message->generation, message->shard_id);
	put_routes(out, message->nroutes, message->routes);
	put_optional(out, "type", &message->type);
	put_optional(out, "biz_key", &message->biz_key);
	put_optional(out, "topic", &message->topic);
	put_optional(out, "tag", &message->tag);
	put_optional(out, "message_key", &message->message_key);
	put_optional(out, "sharding_key", &message->sharding_key);
	put_optional(out, "content_type", &message->content_type);
	put_headers(out, message);
	put_payload(out, message);
}

static void
put_run(StringInfo out, const WireFrame *frame, const WireRun *run)
{
	appendStringInfo(out, "chunk xid %u subxid %u generation %d", frame->xid,
					 frame->subxid, run->generation);
	put_routes(out, run->nroutes, run->routes);
	appendStringInfo(out, " ids " INT64_FORMAT ".." INT64_FORMAT, run->first,
					 run->last);
}

static void
put_frame(StringInfo out, const WireFrame *frame)
{
	if (frame->kind == WIRE_STREAM_COMMIT)
		appendStringInfo(out, "stream commit xid %u", frame->xid);
	else if (frame->kind == WIRE_STREAM_ABORT)
		appendStringInfo(out, "stream abort xid %u subxid %u", frame->xid,
						 frame->subxid);
	else
		appendStringInfo(out, "doorbell%s%s%s",
						 frame->bells & WIRE_BELL_ROUTE ? " route" : "",
						 frame->bells & WIRE_BELL_PARKED ? " parked" : "",
						 frame->bells & WIRE_BELL_TRUNCATE ? " truncate" : "");
}

/* One element, or the frame itself when it has none. */
static bool
put_next(StringInfo out, WireReader *reader, const WireFrame *frame,
		 uint32 index)
{
	WireMessage message;
	WireRun run;

	switch (frame->kind)
	{
		case WIRE_TRANSACTION:
			if (!wire_message_read(reader, &message))
				return false;
			put_message(out, frame, index, &message);
			return true;
		case WIRE_CHUNK:
			if (!wire_run_read(reader, &run))
				return false;
			put_run(out, frame, &run);
			return true;
		default:
			put_frame(out, frame);
			return true;
	}
}

void
text_write(LogicalDecodingContext *ctx, const uint8 *data, size_t len)
{
	WireReader reader;
	WireFrame frame;
	uint32 lines;
	bool fine;

	wire_reader_init(&reader, data, len);
	fine = wire_frame_read(&reader, &frame);
	lines = Max(frame.count, 1);
	for (uint32 i = 0; fine && i < lines; i++)
	{
		OutputPluginPrepareWrite(ctx, i + 1 == lines);
		fine = put_next(ctx->out, &reader, &frame, i);
		OutputPluginWrite(ctx, i + 1 == lines);
	}
	if (!fine || !wire_end(&reader))
		elog(ERROR, "frame of our own cannot be read: %s", reader.error);
}
