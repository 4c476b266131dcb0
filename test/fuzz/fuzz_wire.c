/*
 * test/fuzz/fuzz_wire.c
 *
 * No bytes break the reader of frames, and what it reads prints back as the
 * same bytes.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdlib.h>
#include <string.h>

#include "../../decoder/wire.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
copy_element(WireKind kind, WireReader *reader, WireWriter *writer)
{
	WireMessage message;
	WireRun run;

	if (kind == WIRE_TRANSACTION)
	{
		if (!wire_message_read(reader, &message))
			return false;
		wire_message_write(writer, &message);
		return true;
	}
	if (!wire_run_read(reader, &run))
		return false;
	wire_run_write(writer, &run);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t printed[WIRE_FRAME_MAX];
	WireReader reader;
	WireWriter writer;
	WireFrame frame;

	wire_reader_init(&reader, data, size);
	wire_writer_init(&writer, printed, sizeof(printed));
	if (!wire_frame_read(&reader, &frame))
		return 0;
	wire_frame_write(&writer, &frame);
	for (uint32_t i = 0; i < frame.count; i++)
		if (!copy_element(frame.kind, &reader, &writer))
			return 0;
	if (!wire_end(&reader))
		return 0;
	if (writer.overflow || writer.len != size ||
		memcmp(printed, data, size) != 0)
		abort();
	return 0;
}
