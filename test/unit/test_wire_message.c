/*
 * test/unit/test_wire_message.c
 *
 * A message by itself, as the relay keeps it in memory: written and read
 * back whole at any length, also past the limit of a frame.  And what is
 * asked of a reader or a writer that has failed, or was given what no frame
 * can hold.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <string.h>

#include "tap.h"
#include "wire.h"

static uint8_t payload[4 * WIRE_FRAME_MAX];
static uint8_t buffer[5 * WIRE_FRAME_MAX];

static void
test_length(uint32_t len)
{
	static const uint8_t word[] = "word";
	static WireMessage from, to;
	WireWriter writer;
	WireReader reader;

	from = (WireMessage){
		.id = 1,
		.type = {word, 4},
		.content_type = {word, 4},
		.payload = {payload, len},
	};
	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_message_write(&writer, &from);
	wire_reader_init(&reader, buffer, writer.len);
	ok(wire_message_read(&reader, &to), "a message with a payload of %u bytes",
	   (unsigned) len);
	is_int(to.payload.len, len, "with all of it");
}

static WireMessage
smallest(void)
{
	static const uint8_t word[] = "word";

	return (WireMessage){.type = {word, 4}, .payload = {word, 4}};
}

/* Cut anywhere, a message is not read, and the first reason stays. */
static void
test_cut(void)
{
	static WireMessage from, to;
	WireWriter writer;
	WireReader reader;
	int refused = 0;

	from = smallest();
	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_message_write(&writer, &from);
	for (size_t len = 0; len < writer.len; len++)
	{
		const char *error;

		wire_reader_init(&reader, buffer, len);
		if (wire_message_read(&reader, &to))
			continue;
		error = reader.error;
		refused += !wire_message_read(&reader, &to) && !wire_end(&reader) &&
				   reader.error == error;
	}
	is_int(refused, writer.len, "cut anywhere it is refused, and stays so");
}

static void
test_too_long(void)
{
	WireReader reader;
	WireFrame frame;

	wire_reader_init(&reader, buffer, WIRE_FRAME_MAX + 1);
	ok(!wire_frame_read(&reader, &frame) && !wire_frame_read(&reader, &frame),
	   "a frame that is too long, asked twice");
	is_str(reader.error, "frame is too long", "has one reason");
}

static bool
overflows(const WireMessage *message)
{
	WireWriter writer;

	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_message_write(&writer, message);
	return writer.overflow;
}

static void
test_impossible(void)
{
	static WireMessage message;
	WireWriter writer;
	WireFrame frame = {.kind = (WireKind) 'X'};

	message = smallest();
	message.type.len = UINT32_MAX;
	ok(overflows(&message), "a length that would say NULL");
	message = smallest();
	message.payload.data = NULL;
	ok(overflows(&message), "a payload neither there nor omitted");
	message = smallest();
	message.nheaders = 1;
	message.headers[0].name = message.type;
	ok(overflows(&message), "a header without a value");
	message.headers[0].value = message.type;
	message.headers[0].name.data = NULL;
	ok(overflows(&message), "a header without a name");
	message.nheaders = WIRE_HEADERS_MAX + 1;
	ok(overflows(&message), "too many headers");
	ok(wire_message_size(&message) > 0, "which are not all looked at");
	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_frame_write(&writer, &frame);
	ok(writer.overflow, "a frame of no kind");
	is_int(wire_frame_size(frame.kind), 0, "which has no size");
}

/*
 * A header whose name or value is NULL, as no writer would have it: its four
 * bytes, so far from the end, are taken out.
 */
static void
test_null_header(size_t from_end)
{
	static WireMessage message;
	WireWriter writer;
	WireReader reader;

	message = smallest();
	message.nheaders = 1;
	message.headers[0].name = message.type;
	message.headers[0].value = message.type;
	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_message_write(&writer, &message);
	memset(buffer + writer.len - from_end - 4, 0xff, 4);
	memmove(buffer + writer.len - from_end, buffer + writer.len - from_end + 4,
			from_end - 4);
	wire_reader_init(&reader, buffer, writer.len - 4);
	ok(!wire_message_read(&reader, &message), "a header with a NULL");
	is_str(reader.error, "header without name or value", "is refused");
}

int
main(void)
{
	test_cut();
	test_too_long();
	test_impossible();
	test_null_header(4 + 9);
	test_null_header(4 + 8 + 9);
	test_length(0);
	test_length(WIRE_PAYLOAD_MAX);
	test_length(WIRE_FRAME_MAX);
	test_length(sizeof(payload));
	return tap_done();
}
