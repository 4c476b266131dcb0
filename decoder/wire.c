/*
 * decoder/wire.c
 *
 * The bytes of the frames, both ways.  See wire.h for the contracts and
 * PROTOCOL.md for the layout.  The writer decides that a frame never leaves
 * its buffer, the reader that nothing is accepted which the writer could not
 * have written: what parses prints back the same bytes.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <endian.h>
#include <string.h>

#include "wire.h"

/* The length that says SQL NULL. */
#define WIRE_NULL 0xFFFFFFFFU

/* The bytes of a message without routes, headers and string contents. */
#define MESSAGE_FIXED (8 + 2 + 2 + 8 + 2 + 7 * 4 + 2 + 1 + 4)
#define RUN_FIXED (2 + 2 + 8 + 8)

/* Writing */

static void
put_bytes(WireWriter *writer, const void *data, size_t len)
{
	if (writer->overflow || len > writer->cap - writer->len)
	{
		writer->overflow = true;
		return;
	}
	if (len > 0)
		memcpy(writer->data + writer->len, data, len);
	writer->len += len;
}

static void
put_uint(WireWriter *writer, uint64_t value, int width)
{
	uint64_t bytes = htobe64(value << (64 - 8 * width));

	put_bytes(writer, &bytes, (size_t) width);
}

static void
put_string(WireWriter *writer, const WireBytes *string)
{
	if (string->data == NULL)
	{
		put_uint(writer, WIRE_NULL, 4);
		return;
	}
	/* this length would read as NULL; no buffer of ours holds it anyway */
	if (string->len == WIRE_NULL)
		writer->overflow = true;
	put_uint(writer, string->len, 4);
	put_bytes(writer, string->data, string->len);
}

static void
put_routes(WireWriter *writer, uint16_t nroutes, const int16_t *routes)
{
	if (nroutes > WIRE_ROUTES_MAX)
	{
		writer->overflow = true;
		return;
	}
	put_uint(writer, nroutes, 2);
	for (int i = 0; i < nroutes; i++)
		put_uint(writer, (uint16_t) routes[i], 2);
}

static void
put_headers(WireWriter *writer, uint16_t nheaders, const WireHeader *headers)
{
	if (nheaders > WIRE_HEADERS_MAX)
	{
		writer->overflow = true;
		return;
	}
	put_uint(writer, nheaders, 2);
	for (int i = 0; i < nheaders; i++)
	{
		/* a reader refuses NULL here, so it must not be written */
		if (headers[i].name.data == NULL || headers[i].value.data == NULL)
			writer->overflow = true;
		put_string(writer, &headers[i].name);
		put_string(writer, &headers[i].value);
	}
}

static void
put_payload(WireWriter *writer, const WireMessage *message)
{
	static const WireBytes omitted = {NULL, 0};

	put_uint(writer, message->payload_omitted ? 1 : 0, 1);
	if (!message->payload_omitted && message->payload.data == NULL)
		writer->overflow = true;
	put_string(writer, message->payload_omitted ? &omitted : &message->payload);
}

static size_t
string_size(const WireBytes *string)
{
	return string->data == NULL ? 0 : string->len;
}

size_t
wire_frame_size(WireKind kind)
{
	/* clang-format off */
	return kind == WIRE_TRANSACTION ? 1 + 1 + 4 + 8 + 8 + 4 + 4
		: kind == WIRE_CHUNK ? 1 + 4 + 4 + 4
		: kind == WIRE_STREAM_COMMIT ? 1 + 4 + 8 + 8
		: kind == WIRE_STREAM_ABORT ? 1 + 4 + 4
		: kind == WIRE_DOORBELL ? 1 + 1 + 8
		: 0;
	/* clang-format on */
}

size_t
wire_message_size(const WireMessage *message)
{
	size_t size = MESSAGE_FIXED;

	size += (size_t) message->nroutes * 2;
	size += string_size(&message->type) + string_size(&message->biz_key) +
			string_size(&message->topic) + string_size(&message->tag) +
			string_size(&message->message_key) +
			string_size(&message->sharding_key) +
			string_size(&message->content_type);
	for (int i = 0; i < message->nheaders && i < WIRE_HEADERS_MAX; i++)
		size += 4 + string_size(&message->headers[i].name) + 4 +
				string_size(&message->headers[i].value);
	if (!message->payload_omitted)
		size += string_size(&message->payload);
	return size;
}

size_t
wire_run_size(const WireRun *run)
{
	return RUN_FIXED + (size_t) run->nroutes * 2;
}

void
wire_writer_init(WireWriter *writer, void *data, size_t cap)
{
	writer->data = data;
	writer->cap = cap;
	writer->len = 0;
	writer->overflow = false;
}

static void
put_commit(WireWriter *writer, const WireFrame *frame)
{
	put_uint(writer, frame->commit_end, 8);
	put_uint(writer, (uint64_t) frame->commit_time, 8);
}

void
wire_frame_write(WireWriter *writer, const WireFrame *frame)
{
	put_uint(writer, (uint64_t) frame->kind, 1);
	switch (frame->kind)
	{
		case WIRE_TRANSACTION:
			put_uint(writer, frame->flags, 1);
			put_uint(writer, frame->xid, 4);
			put_commit(writer, frame);
			put_uint(writer, frame->ordinal, 4);
			put_uint(writer, frame->count, 4);
			return;
		case WIRE_CHUNK:
			put_uint(writer, frame->xid, 4);
			put_uint(writer, frame->subxid, 4);
			put_uint(writer, frame->count, 4);
			return;
		case WIRE_STREAM_COMMIT:
			put_uint(writer, frame->xid, 4);
			put_commit(writer, frame);
			return;
		case WIRE_STREAM_ABORT:
			put_uint(writer, frame->xid, 4);
			put_uint(writer, frame->subxid, 4);
			return;
		case WIRE_DOORBELL:
			put_uint(writer, frame->bells, 1);
			put_uint(writer, frame->commit_end, 8);
			return;
	}
	writer->overflow = true;
}

void
wire_message_write(WireWriter *writer, const WireMessage *message)
{
	put_uint(writer, (uint64_t) message->id, 8);
	put_uint(writer, (uint16_t) message->generation, 2);
	put_uint(writer, (uint16_t) message->shard_id, 2);
	put_uint(writer, (uint64_t) message->create_time, 8);
	put_routes(writer, message->nroutes, message->routes);
	put_string(writer, &message->type);
	put_string(writer, &message->biz_key);
	put_string(writer, &message->topic);
	put_string(writer, &message->tag);
	put_string(writer, &message->message_key);
	put_string(writer, &message->sharding_key);
	put_string(writer, &message->content_type);
	put_headers(writer, message->nheaders, message->headers);
	put_payload(writer, message);
}

void
wire_run_write(WireWriter *writer, const WireRun *run)
{
	put_uint(writer, (uint16_t) run->generation, 2);
	put_routes(writer, run->nroutes, run->routes);
	put_uint(writer, (uint64_t) run->first, 8);
	put_uint(writer, (uint64_t) run->last, 8);
}

/* Reading */

/* The first error stays; all getters return false after one. */
static bool
refuse(WireReader *reader, const char *error)
{
	if (reader->error == NULL)
		reader->error = error;
	return false;
}

/* width is a constant of each caller, so that the copy is one load */
static inline bool
get_uint(WireReader *reader, uint64_t *value, int width)
{
	uint64_t bytes = 0;

	*value = 0;
	if (reader->error != NULL)
		return false;
	if ((size_t) width > reader->len - reader->pos)
		return refuse(reader, "frame ends within a field");
	memcpy(&bytes, reader->data + reader->pos, (size_t) width);
	reader->pos += (size_t) width;
	*value = be64toh(bytes) >> (64 - 8 * width);
	return true;
}

static bool
get_u8(WireReader *reader, uint8_t *value)
{
	uint64_t wide;
	bool ok = get_uint(reader, &wide, 1);

	*value = (uint8_t) wide;
	return ok;
}

static bool
get_u16(WireReader *reader, uint16_t *value)
{
	uint64_t wide;
	bool ok = get_uint(reader, &wide, 2);

	*value = (uint16_t) wide;
	return ok;
}

static bool
get_i16(WireReader *reader, int16_t *value)
{
	return get_u16(reader, (uint16_t *) value);
}

static bool
get_u32(WireReader *reader, uint32_t *value)
{
	uint64_t wide;
	bool ok = get_uint(reader, &wide, 4);

	*value = (uint32_t) wide;
	return ok;
}

static bool
get_i64(WireReader *reader, int64_t *value)
{
	return get_uint(reader, (uint64_t *) value, 8);
}

static bool
get_string(WireReader *reader, WireBytes *string)
{
	uint32_t len;

	string->data = NULL;
	string->len = 0;
	if (!get_u32(reader, &len))
		return false;
	if (len == WIRE_NULL)
		return true;
	if (len > reader->len - reader->pos)
		return refuse(reader, "string is longer than its frame");
	string->data = reader->data + reader->pos;
	string->len = len;
	reader->pos += len;
	return true;
}

static bool
get_routes(WireReader *reader, uint16_t *nroutes, int16_t *routes)
{
	uint16_t n;

	*nroutes = 0;
	if (!get_u16(reader, &n))
		return false;
	if (n > WIRE_ROUTES_MAX)
		return refuse(reader, "too many routes");
	for (int i = 0; i < n; i++)
		if (!get_i16(reader, &routes[i]))
			return false;
	*nroutes = n;
	return true;
}

static bool
get_headers(WireReader *reader, WireMessage *message)
{
	uint16_t n;

	message->nheaders = 0;
	if (!get_u16(reader, &n))
		return false;
	if (n > WIRE_HEADERS_MAX)
		return refuse(reader, "too many headers");
	for (int i = 0; i < n; i++)
	{
		WireHeader *header = &message->headers[i];

		if (!get_string(reader, &header->name) ||
			!get_string(reader, &header->value))
			return false;
		if (header->name.data == NULL || header->value.data == NULL)
			return refuse(reader, "header without name or value");
	}
	message->nheaders = n;
	return true;
}

static bool
get_payload(WireReader *reader, WireMessage *message)
{
	uint8_t omitted;

	if (!get_u8(reader, &omitted) || !get_string(reader, &message->payload))
		return false;
	if (omitted > 1 || (omitted == 1) != (message->payload.data == NULL))
		return refuse(reader, "payload neither present nor omitted");
	message->payload_omitted = omitted == 1;
	return true;
}

void
wire_reader_init(WireReader *reader, const void *data, size_t len)
{
	*reader = (WireReader){.data = data, .len = len};
}

/*
 * A count that cannot fit is refused before the first element is read, so
 * that nobody makes room for four billion of them.
 */
static bool
get_count(WireReader *reader, uint32_t *count, size_t least)
{
	if (!get_u32(reader, count))
		return false;
	if (*count == 0)
		return refuse(reader, "frame without elements");
	if (*count > (reader->len - reader->pos) / least)
		return refuse(reader, "more elements than the frame can hold");
	return true;
}

static bool
get_commit(WireReader *reader, WireFrame *frame)
{
	return get_uint(reader, &frame->commit_end, 8) &&
		   get_i64(reader, &frame->commit_time);
}

static bool
get_transaction(WireReader *reader, WireFrame *frame)
{
	if (!get_u8(reader, &frame->flags))
		return false;
	if ((frame->flags & ~WIRE_LAST) != 0)
		return refuse(reader, "unknown flag");
	return get_u32(reader, &frame->xid) && get_commit(reader, frame) &&
		   get_u32(reader, &frame->ordinal) &&
		   get_count(reader, &frame->count, MESSAGE_FIXED);
}

static bool
get_doorbell(WireReader *reader, WireFrame *frame)
{
	const uint8_t known =
		WIRE_BELL_ROUTE | WIRE_BELL_PARKED | WIRE_BELL_TRUNCATE;

	if (!get_u8(reader, &frame->bells))
		return false;
	if (frame->bells == 0 || (frame->bells & ~known) != 0)
		return refuse(reader, "unknown bell");
	return get_uint(reader, &frame->commit_end, 8);
}

bool
wire_frame_read(WireReader *reader, WireFrame *frame)
{
	uint8_t kind;

	memset(frame, 0, sizeof(*frame));
	/* a message by itself, as the relay keeps it, may be longer */
	if (reader->len > WIRE_FRAME_MAX)
		return refuse(reader, "frame is too long");
	if (!get_u8(reader, &kind))
		return false;
	frame->kind = (WireKind) kind;
	switch (frame->kind)
	{
		case WIRE_TRANSACTION:
			return get_transaction(reader, frame);
		case WIRE_CHUNK:
			return get_u32(reader, &frame->xid) &&
				   get_u32(reader, &frame->subxid) &&
				   get_count(reader, &frame->count, RUN_FIXED);
		case WIRE_STREAM_COMMIT:
			return get_u32(reader, &frame->xid) && get_commit(reader, frame);
		case WIRE_STREAM_ABORT:
			return get_u32(reader, &frame->xid) &&
				   get_u32(reader, &frame->subxid);
		case WIRE_DOORBELL:
			return get_doorbell(reader, frame);
	}
	return refuse(reader, "unknown kind of frame");
}

bool
wire_message_read(WireReader *reader, WireMessage *message)
{
	message->nheaders = 0;
	message->payload_omitted = false;
	if (!get_i64(reader, &message->id) ||
		!get_i16(reader, &message->generation) ||
		!get_i16(reader, &message->shard_id))
		return false;
	if (message->shard_id < 0 || message->shard_id > WIRE_SHARD_MAX)
		return refuse(reader, "shard id out of range");
	return get_i64(reader, &message->create_time) &&
		   get_routes(reader, &message->nroutes, message->routes) &&
		   get_string(reader, &message->type) &&
		   get_string(reader, &message->biz_key) &&
		   get_string(reader, &message->topic) &&
		   get_string(reader, &message->tag) &&
		   get_string(reader, &message->message_key) &&
		   get_string(reader, &message->sharding_key) &&
		   get_string(reader, &message->content_type) &&
		   get_headers(reader, message) && get_payload(reader, message);
}

bool
wire_run_read(WireReader *reader, WireRun *run)
{
	if (!get_i16(reader, &run->generation) ||
		!get_routes(reader, &run->nroutes, run->routes) ||
		!get_i64(reader, &run->first) || !get_i64(reader, &run->last))
		return false;
	if (run->first > run->last)
		return refuse(reader, "run ends before it begins");
	return true;
}

bool
wire_end(WireReader *reader)
{
	if (reader->error != NULL)
		return false;
	if (reader->pos != reader->len)
		return refuse(reader, "bytes after the last element");
	return true;
}
