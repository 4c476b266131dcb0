/*
 * test/unit/test_wire.c
 *
 * The frames of the stream: the exact bytes of every kind, the round trip,
 * and what a reader does with frames that were cut, changed or made up.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdlib.h>
#include <string.h>

#include "../../decoder/wire.h"
#include "tap.h"

#define MESSAGES_MAX 4

/* A frame taken apart; big, so it is not put on the stack. */
typedef struct Parsed
{
	WireFrame frame;
	WireMessage messages[MESSAGES_MAX];
	WireRun runs[MESSAGES_MAX];
	const char *error;
} Parsed;

static Parsed parsed;
static uint8_t buffer[2 * WIRE_FRAME_MAX];

static bool
parse_element(WireReader *reader, uint32_t i)
{
	if (parsed.frame.kind == WIRE_TRANSACTION)
		return wire_message_read(reader, &parsed.messages[i]);
	return wire_run_read(reader, &parsed.runs[i]);
}

/*
 * Whether these bytes are one frame of at most MESSAGES_MAX elements.  What
 * it read stays until the next call.
 */
static bool
parse(const uint8_t *data, size_t len)
{
	static uint8_t *copy;
	WireReader reader;
	bool fine;

	/* its own block, so that the sanitizer sees a read past the end */
	free(copy);
	copy = malloc(len > 0 ? len : 1);
	memcpy(copy, data, len);
	wire_reader_init(&reader, copy, len);
	fine = wire_frame_read(&reader, &parsed.frame) &&
		   parsed.frame.count <= MESSAGES_MAX;
	for (uint32_t i = 0; fine && i < parsed.frame.count; i++)
		fine = parse_element(&reader, i);
	fine = fine && wire_end(&reader);
	parsed.error = reader.error;
	return fine;
}

static size_t
print(const Parsed *from, uint8_t *data, size_t cap)
{
	WireWriter writer;

	wire_writer_init(&writer, data, cap);
	wire_frame_write(&writer, &from->frame);
	for (uint32_t i = 0; i < from->frame.count; i++)
	{
		if (from->frame.kind == WIRE_TRANSACTION)
			wire_message_write(&writer, &from->messages[i]);
		else
			wire_run_write(&writer, &from->runs[i]);
	}
	return writer.overflow ? 0 : writer.len;
}

/* clang-format off */
/* Golden bytes, a field or two on a line. */
#define BYTES(s) {(const uint8_t *) (s), sizeof(s) - 1}

static const uint8_t golden_transaction[] = {
	'T', 1,									/* last */
	0, 0, 2, 0xe2,							/* xid 738 */
	0, 0, 0, 1, 0x1b, 0xbe, 2, 8,			/* commit end 1/1BBE0208 */
	0, 6, 0x47, 0x48, 0x5d, 0x1e, 0x80, 0,	/* commit time */
	0, 0, 0, 5,								/* ordinal */
	0, 0, 0, 1,								/* count */
	0, 0, 0, 0, 0, 0, 1, 2,					/* id 258 */
	0xff, 0xff,								/* generation -1 */
	3, 0xff,								/* shard 1023 */
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, /* create time -2 */
	0, 2, 0, 1, 0xff, 0xfe,					/* routes 1, -2 */
	0, 0, 0, 3, 's', 'm', 's',				/* type */
	0xff, 0xff, 0xff, 0xff,					/* biz_key NULL */
	0, 0, 0, 0,								/* topic '' */
	0, 0, 0, 1, 't',						/* tag */
	0, 0, 0, 2, 'k', 'y',					/* message_key */
	0xff, 0xff, 0xff, 0xff,					/* sharding_key NULL */
	0, 0, 0, 3, 'a', '/', 'b',				/* content_type */
	0, 1, 0, 0, 0, 1, 'n', 0, 0, 0, 0,		/* headers n: '' */
	0, 0, 0, 0, 2, 0, 0xff,					/* payload */
};

static const uint8_t golden_omitted[] = {
	'T', 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
	0, 0, 0, 0, 0, 0, 0, 1,
	0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
	0, 0, 1, 0xff, 0xff, 0xff, 0xff,
};

static const uint8_t golden_chunk[] = {
	'C', 0, 0, 2, 0xe2, 0, 0, 2, 0xe3, 0, 0, 0, 2,
	0, 1, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 3, 0xe8,
	0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1,
};

static const uint8_t golden_commit[] = {
	'S', 0, 0, 2, 0xe2, 0, 0, 0, 1, 0x1b, 0xbe, 2, 8,
	0, 6, 0x47, 0x48, 0x5d, 0x1e, 0x80, 0,
};

static const uint8_t golden_abort[] = {
	'A', 0, 0, 2, 0xe2, 0, 0, 2, 0xe3,
};

static const uint8_t golden_doorbell[] = {
	'D', 5, 0, 0, 0, 1, 0x1b, 0xbe, 2, 8,
};

/* clang-format on */

#define COMMIT_END UINT64_C(0x11bbe0208)
#define COMMIT_TIME INT64_C(0x000647485d1e8000)

static WireMessage
full_message(void)
{
	WireMessage message = {
		.id = 258,
		.generation = -1,
		.shard_id = 1023,
		.create_time = -2,
		.nroutes = 2,
		.routes = {1, -2},
		.type = BYTES("sms"),
		.topic = BYTES(""),
		.tag = BYTES("t"),
		.message_key = BYTES("ky"),
		.content_type = BYTES("a/b"),
		.nheaders = 1,
		.headers = {{BYTES("n"), BYTES("")}},
		.payload = BYTES("\0\xff"),
	};

	return message;
}

static void
check_golden(const char *name, const Parsed *from, const uint8_t *golden,
			 size_t len)
{
	size_t size = wire_frame_size(from->frame.kind);

	for (uint32_t i = 0; i < from->frame.count; i++)
		size += from->frame.kind == WIRE_TRANSACTION
					? wire_message_size(&from->messages[i])
					: wire_run_size(&from->runs[i]);
	is_int(size, len, "%s: size is told exactly", name);
	is_mem(buffer, print(from, buffer, sizeof(buffer)), golden, len,
		   "%s: golden bytes", name);
	is_int(print(from, buffer, len), len, "%s: fits its own size", name);
	is_int(print(from, buffer, len - 1), 0, "%s: one byte less is refused",
		   name);
	ok(parse(golden, len), "%s: is read", name);
	is_mem(buffer, print(&parsed, buffer, sizeof(buffer)), golden, len,
		   "%s: prints back", name);
}

static void
test_golden(void)
{
	static Parsed from;

	from.frame = (WireFrame){.kind = WIRE_TRANSACTION,
							 .flags = WIRE_LAST,
							 .xid = 738,
							 .commit_end = COMMIT_END,
							 .commit_time = COMMIT_TIME,
							 .ordinal = 5,
							 .count = 1};
	from.messages[0] = full_message();
	check_golden("T", &from, golden_transaction, sizeof(golden_transaction));

	from.frame = (WireFrame){.kind = WIRE_TRANSACTION,
							 .xid = 1,
							 .commit_end = 2,
							 .commit_time = 3,
							 .count = 1};
	from.messages[0] = (WireMessage){.id = 7,
									 .type = BYTES(""),
									 .content_type = BYTES(""),
									 .payload_omitted = true,
									 .payload = BYTES("not sent")};
	check_golden("T omitted", &from, golden_omitted, sizeof(golden_omitted));

	from.frame =
		(WireFrame){.kind = WIRE_CHUNK, .xid = 738, .subxid = 739, .count = 2};
	from.runs[0] = (WireRun){.generation = 1,
							 .nroutes = 1,
							 .routes = {9},
							 .first = 10,
							 .last = 1000};
	from.runs[1] = (WireRun){.generation = -1, .first = 1, .last = 1};
	check_golden("C", &from, golden_chunk, sizeof(golden_chunk));

	from.frame = (WireFrame){.kind = WIRE_STREAM_COMMIT,
							 .xid = 738,
							 .commit_end = COMMIT_END,
							 .commit_time = COMMIT_TIME};
	check_golden("S", &from, golden_commit, sizeof(golden_commit));

	from.frame =
		(WireFrame){.kind = WIRE_STREAM_ABORT, .xid = 738, .subxid = 739};
	check_golden("A", &from, golden_abort, sizeof(golden_abort));

	from.frame = (WireFrame){.kind = WIRE_DOORBELL,
							 .bells = WIRE_BELL_ROUTE | WIRE_BELL_TRUNCATE,
							 .commit_end = COMMIT_END};
	check_golden("D", &from, golden_doorbell, sizeof(golden_doorbell));
}

static void
test_fields(void)
{
	const WireMessage *message = &parsed.messages[0];

	ok(parse(golden_transaction, sizeof(golden_transaction)), "T is read");
	is_int(parsed.frame.flags, WIRE_LAST, "flags");
	is_int(parsed.frame.xid, 738, "xid");
	is_int(parsed.frame.commit_end, COMMIT_END, "commit end");
	is_int(parsed.frame.commit_time, COMMIT_TIME, "commit time");
	is_int(parsed.frame.ordinal, 5, "ordinal");
	is_int(message->id, 258, "id");
	is_int(message->generation, -1, "generation");
	is_int(message->shard_id, 1023, "shard id");
	is_int(message->create_time, -2, "create time");
	is_int(message->nroutes, 2, "number of routes");
	is_int(message->routes[1], -2, "second route");
	is_mem(message->type.data, message->type.len, "sms", 3, "type");
	ok(message->biz_key.data == NULL, "NULL stays NULL");
	ok(message->topic.data != NULL && message->topic.len == 0,
	   "the empty string stays empty");
	is_mem(message->payload.data, message->payload.len, "\0\xff", 2, "payload");
}

/* Hostile bytes */

static const struct
{
	const char *name;
	const uint8_t *data;
	size_t len;
} golden[] = {
	{"T", golden_transaction, sizeof(golden_transaction)},
	{"T omitted", golden_omitted, sizeof(golden_omitted)},
	{"C", golden_chunk, sizeof(golden_chunk)},
	{"S", golden_commit, sizeof(golden_commit)},
	{"A", golden_abort, sizeof(golden_abort)},
	{"D", golden_doorbell, sizeof(golden_doorbell)},
};

#define NGOLDEN (sizeof(golden) / sizeof(golden[0]))

static void
test_truncated(void)
{
	for (size_t i = 0; i < NGOLDEN; i++)
	{
		size_t taken = 0;

		for (size_t len = 0; len < golden[i].len; len++)
			taken += parse(golden[i].data, len) || parsed.error == NULL;
		is_int(taken, 0, "%s: every truncation is refused with a reason",
			   golden[i].name);
		memcpy(buffer, golden[i].data, golden[i].len);
		buffer[golden[i].len] = 0;
		ok(!parse(buffer, golden[i].len + 1), "%s: a byte more is refused",
		   golden[i].name);
	}
}

/* A changed frame is refused, or is a frame and prints back as changed. */
static bool
harmless(const uint8_t *data, size_t len)
{
	static uint8_t printed[WIRE_FRAME_MAX];

	if (!parse(data, len))
		return true;
	return print(&parsed, printed, sizeof(printed)) == len &&
		   memcmp(printed, data, len) == 0;
}

static void
test_flipped(void)
{
	for (size_t i = 0; i < NGOLDEN; i++)
	{
		size_t harmful = 0;

		for (size_t bit = 0; bit < golden[i].len * 8; bit++)
		{
			memcpy(buffer, golden[i].data, golden[i].len);
			buffer[bit / 8] ^= (uint8_t) (1 << bit % 8);
			harmful += !harmless(buffer, golden[i].len);
		}
		is_int(harmful, 0, "%s: every bit flip is refused or harmless",
			   golden[i].name);
	}
}

/* Four bytes of a value at every place; the lengths are among the places. */
static void
test_lengths(uint8_t byte)
{
	for (size_t i = 0; i < NGOLDEN; i++)
	{
		size_t harmful = 0;

		for (size_t at = 0; at + 4 <= golden[i].len; at++)
		{
			memcpy(buffer, golden[i].data, golden[i].len);
			memset(buffer + at, byte, 4);
			harmful += !harmless(buffer, golden[i].len);
		}
		is_int(harmful, 0, "%s: 4 x 0x%02X anywhere is refused or harmless",
			   golden[i].name, byte);
	}
}

/* One byte of a golden frame changed, and the sentence that is expected. */
static void
test_reasons(void)
{
	static const struct
	{
		int which;
		size_t at;
		uint8_t value;
		const char *error;
	} cases[] = {
		{0, 0, 'X', "unknown kind of frame"},
		{0, 1, 2, "unknown flag"},
		{0, 29, 0, "frame without elements"},
		{0, 26, 0xff, "more elements than the frame can hold"},
		{0, 40, 4, "shard id out of range"},
		{0, 40, 0x80, "shard id out of range"},
		{0, 50, 2, "too many routes"},
		{0, 56, 0x7f, "string is longer than its frame"},
		{0, 93, 1, "too many headers"},
		{0, 104, 1, "payload neither present nor omitted"},
		{0, 104, 2, "payload neither present nor omitted"},
		{1, 82, 0, "payload neither present nor omitted"},
		{2, 9, 0xff, "more elements than the frame can hold"},
		{2, 19, 0x7f, "run ends before it begins"},
		{5, 1, 0, "unknown bell"},
		{5, 1, 8, "unknown bell"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		memcpy(buffer, golden[cases[i].which].data, golden[cases[i].which].len);
		buffer[cases[i].at] = cases[i].value;
		ok(!parse(buffer, golden[cases[i].which].len),
		   "%s with byte %zu = %u is refused", golden[cases[i].which].name,
		   cases[i].at, cases[i].value);
		is_str(parsed.error, cases[i].error, "with this reason");
	}
}

static void
test_null_header(void)
{
	memcpy(buffer, golden_transaction, sizeof(golden_transaction));
	memset(buffer + 100, 0xff, 4);
	ok(!parse(buffer, sizeof(golden_transaction)), "NULL header is refused");
	is_str(parsed.error, "header without name or value", "with this reason");
}

/* Limits */

static bool
writes(const WireMessage *message)
{
	WireWriter writer;

	wire_writer_init(&writer, buffer, sizeof(buffer));
	wire_message_write(&writer, message);
	return !writer.overflow;
}

static void
test_writer_refuses(void)
{
	WireMessage message = full_message();
	WireWriter writer;

	ok(writes(&message), "a message is written");
	message.nroutes = WIRE_ROUTES_MAX + 1;
	ok(!writes(&message), "a route too many is not");
	message = full_message();
	message.nheaders = WIRE_HEADERS_MAX + 1;
	ok(!writes(&message), "nor a header too many");
	message = full_message();
	message.headers[0].value.data = NULL;
	ok(!writes(&message), "nor a header without a value");
	message = full_message();
	message.payload.data = NULL;
	ok(!writes(&message), "nor a missing payload that is not said omitted");

	wire_writer_init(&writer, buffer, 3);
	wire_run_write(&writer, &(WireRun){.first = 1, .last = 2});
	ok(writer.overflow, "overflow is told");
	is_int(writer.len, 2, "nothing is written past the end");
	wire_frame_write(&writer, &(WireFrame){.kind = WIRE_DOORBELL, .bells = 1});
	ok(writer.overflow && writer.len == 2, "and it stays");
}

static void
test_largest(void)
{
	static Parsed from;
	static uint8_t payload[WIRE_FRAME_MAX];
	const size_t head = wire_frame_size(WIRE_TRANSACTION);

	from.frame = (WireFrame){.kind = WIRE_TRANSACTION, .count = 1};
	from.messages[0] = full_message();
	from.messages[0].nroutes = WIRE_ROUTES_MAX;
	from.messages[0].payload = (WireBytes){payload, 0};
	from.messages[0].payload.len =
		(uint32_t) (WIRE_FRAME_MAX - head -
					wire_message_size(&from.messages[0]));
	is_int(print(&from, buffer, sizeof(buffer)), WIRE_FRAME_MAX,
		   "a frame can be filled to the last byte");
	ok(parse(buffer, WIRE_FRAME_MAX), "and is read");
	is_int(parsed.messages[0].nroutes, WIRE_ROUTES_MAX, "with all routes");
	from.messages[0].payload.len++;
	ok(!parse(buffer, print(&from, buffer, sizeof(buffer))),
	   "a byte more is refused");
	is_str(parsed.error, "frame is too long", "with this reason");
}

/* Random frames against the round trip; the seed is fixed. */
static void
test_random(void)
{
	size_t harmful = 0;
	size_t read = 0;
	uint32_t seed = 12345;

	for (int round = 0; round < 200000; round++)
	{
		size_t which = (seed >> 8) % NGOLDEN;
		size_t len = golden[which].len;

		memcpy(buffer, golden[which].data, len);
		for (int i = 0; i < 3; i++)
		{
			seed = seed * 1103515245 + 12345;
			buffer[(seed >> 16) % len] = (uint8_t) (seed >> 8);
		}
		harmful += !harmless(buffer, len);
		read += parsed.error == NULL;
	}
	is_int(harmful, 0, "200,000 random frames are refused or harmless");
	ok(read > 1000 && read < 199000, "some are read, some are not (%zu)", read);
}

int
main(void)
{
	test_golden();
	test_fields();
	test_truncated();
	test_flipped();
	test_lengths(0xff);
	test_lengths(0x7f);
	test_lengths(0x00);
	test_reasons();
	test_null_header();
	test_writer_refuses();
	test_largest();
	test_random();
	return tap_done();
}
