/*
 * test/unit/test_wire_message.c
 *
 * A message by itself, as the relay keeps it in memory: written and read
 * back whole at any length, also past the limit of a frame.
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

int
main(void)
{
	test_length(0);
	test_length(WIRE_PAYLOAD_MAX);
	test_length(WIRE_FRAME_MAX);
	test_length(sizeof(payload));
	return tap_done();
}
