/*
 * test/fuzz/fuzz_rows.c
 *
 * The input is cut into the values of a query result: a byte says the shape,
 * then each value has a length of two bytes, 0xFFFF for NULL.  No result
 * breaks its reader; what is read as a message survives the body that the
 * relay keeps of it, and what is read from text prints back the same.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/mem.h"
#include "result_bench.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input
{
	const uint8_t *at;
	size_t left;
} Input;

static PGresult *
read_result(Input *input, int columns)
{
	PGresult *result = result_make(columns);

	for (int i = 0; i < columns; i++)
	{
		size_t len = 0xFFFF;

		if (input->left >= 2)
		{
			len = (size_t) (input->at[0] << 8 | input->at[1]);
			input->at += 2;
			input->left -= 2;
		}
		if (len != 0xFFFF && len > input->left)
			len = input->left;
		result_set(result, 0, i, len == 0xFFFF ? NULL : input->at,
				   len == 0xFFFF ? 0 : len);
		if (len == 0xFFFF)
			continue;
		input->at += len;
		input->left -= len;
	}
	return result;
}

static void
check_message(const PGresult *result)
{
	static WireMessage message, again;
	WireWriter writer;
	WireReader reader;
	size_t size;
	uint8_t *body;

	if (!rows_message(result, 0, &message))
		return;
	size = wire_message_size(&message);
	body = malloc(size);
	wire_writer_init(&writer, body, size);
	wire_message_write(&writer, &message);
	wire_reader_init(&reader, body, writer.len);
	if (writer.overflow || writer.len != size ||
		!wire_message_read(&reader, &again) || !wire_end(&reader) ||
		again.id != message.id || again.nroutes != message.nroutes ||
		again.payload.len != message.payload.len ||
		memcmp(again.payload.data, message.payload.data, again.payload.len) !=
			0)
		abort();
	free(body);
}

static void
check_run(const PGresult *result)
{
	static WireRun run, again;
	char text[WIRE_ROUTES_MAX * 8 + 3];
	size_t len = 1;
	PGresult *printed;

	if (!rows_run(result, 0, &run))
		return;
	if (run.first > run.last)
		abort();
	text[0] = '{';
	for (int i = 0; i < run.nroutes; i++)
		len += (size_t) sprintf(text + len, "%s%d", i > 0 ? "," : "",
								run.routes[i]);
	strcpy(text + len, "}");
	printed = result_make(4);
	for (int i = 0; i < 4; i++)
		result_set_text(printed, 0, i,
						i == 1 ? text : PQgetvalue(result, 0, i));
	if (!rows_run(printed, 0, &again) || again.nroutes != run.nroutes ||
		memcmp(again.routes, run.routes, run.nroutes * sizeof(int16_t)) != 0)
		abort();
	PQclear(printed);
}

static void
check_segment(const PGresult *result)
{
	Segment segment, again;
	IdSet done, done_again;
	PGresult *printed;
	char *ids, *ranges;
	size_t len = 1;

	if (!rows_segment(result, 0, &segment, &done))
		return;
	ids = malloc((size_t) segment.nids * 21 + 3);
	ids[0] = '{';
	for (uint32_t i = 0; i < segment.nids; i++)
		len += (size_t) sprintf(ids + len, "%s%" PRId64, i > 0 ? "," : "",
								segment.ids[i]);
	strcpy(ids + len, "}");
	ranges = idset_format(&done);
	printed = result_make(6);
	for (int i = 0; i < 6; i++)
		result_set_text(printed, 0, i,
						i == 4   ? ids
						: i == 5 ? ranges
								 : PQgetvalue(result, 0, i));
	if (!rows_segment(printed, 0, &again, &done_again) ||
		again.nids != segment.nids || done_again.count != done.count ||
		(segment.nids > 0 &&
		 memcmp(again.ids, segment.ids, segment.nids * sizeof(int64_t)) != 0))
		abort();
	mem_free(segment.ids);
	mem_free(again.ids);
	idset_reset(&done);
	idset_reset(&done_again);
	mem_free(ranges);
	free(ids);
	PQclear(printed);
}

/* Nothing of it is cut, turned round or out of range. */
static void
check_route(const PGresult *result)
{
	static RouteSpec spec;

	if (!rows_route(result, 0, &spec))
		return;
	if (strcmp(spec.name, PQgetvalue(result, 0, 1)) != 0 ||
		strcmp(spec.target, PQgetvalue(result, 0, 3)) != 0 || spec.id < 1 ||
		spec.retry_initial_ms < 1 || spec.retry_max_ms < 1 ||
		!(spec.retry_multiplier >= 1) || spec.max_attempts < 1 ||
		spec.timeout_ms < 1 || spec.connect_timeout_ms < 1 ||
		spec.concurrency < 1)
		abort();
}

static void
check_small(const PGresult *result)
{
	StartRow start;
	FactPark park;
	char text[20];

	if (PQnfields(result) == 6)
	{
		if (!rows_start(result, &start) || PQgetisnull(result, 0, 2))
			return;
		snprintf(text, sizeof(text), "%X/%X", (unsigned) (start.position >> 32),
				 (unsigned) start.position);
		if (strlen(text) > strlen(PQgetvalue(result, 0, 2)))
			abort();
		return;
	}
	if (rows_waiting(result, 0, &park) &&
		strcmp(parked_status_name(park.status), PQgetvalue(result, 0, 7)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int shapes[] = {14, 4, 6, 14, 6, 10, 3};
	static void (*const checks[])(const PGresult *) = {
		check_message, check_run,   check_segment, check_route,
		check_small,   check_small, check_small};
	Input input = {data + 1, size - 1};
	PGresult *result;
	int shape;

	if (size < 1)
		return 0;
	shape = data[0] % 7;
	result = read_result(&input, shapes[shape]);
	checks[shape](result);
	PQclear(result);
	return 0;
}
