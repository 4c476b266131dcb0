/*
 * relay/rows.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/replication.h"

/* Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

#define START_COLUMNS 6
#define ROUTE_COLUMNS 14
#define WAITING_COLUMNS 10
#define RUN_COLUMNS 4
#define SEGMENT_COLUMNS 6
#define MESSAGE_COLUMNS 14

static const char *
text(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column);
}

int64_t
rows_int(const PGresult *result, int row, int column)
{
	return strtoll(text(result, row, column), NULL, 10);
}

bool
rows_lsn(const PGresult *result, int row, int column, uint64_t *lsn)
{
	*lsn = 0;
	return PQgetisnull(result, row, column) ||
		   replication_lsn(text(result, row, column), lsn);
}

bool
rows_start(const PGresult *result, StartRow *start)
{
	if (PQntuples(result) != 1 || PQnfields(result) != START_COLUMNS)
		return false;
	start->run = rows_int(result, 0, 0);
	start->armed = text(result, 0, 1)[0] == 't';
	start->system_identifier = rows_int(result, 0, 3);
	start->timeline = (int32_t) rows_int(result, 0, 4);
	start->schema_oid = (uint32_t) rows_int(result, 0, 5);
	return rows_lsn(result, 0, 2, &start->position);
}

static SpecState
state_of(const char *name)
{
	if (strcmp(name, "active") == 0)
		return SPEC_ACTIVE;
	return strcmp(name, "dropped") == 0 ? SPEC_DROPPED : SPEC_PAUSED;
}

bool
rows_route(const PGresult *result, int row, RouteSpec *spec)
{
	if (PQnfields(result) != ROUTE_COLUMNS)
		return false;
	memset(spec, 0, sizeof(*spec));
	spec->id = (int16_t) rows_int(result, row, 0);
	snprintf(spec->name, sizeof(spec->name), "%s", text(result, row, 1));
	spec->kind =
		strcmp(text(result, row, 2), "kafka") == 0 ? SPEC_KAFKA : SPEC_HTTP;
	snprintf(spec->target, sizeof(spec->target), "%s", text(result, row, 3));
	spec->state = state_of(text(result, row, 4));
	spec->ordered = strcmp(text(result, row, 5), "key") == 0;
	spec->retry_initial_ms = (int32_t) rows_int(result, row, 6);
	spec->retry_max_ms = (int32_t) rows_int(result, row, 7);
	spec->retry_multiplier = strtod(text(result, row, 8), NULL);
	spec->max_attempts = (int32_t) rows_int(result, row, 9);
	spec->timeout_ms = (int32_t) rows_int(result, row, 10);
	spec->connect_timeout_ms = (int32_t) rows_int(result, row, 11);
	spec->concurrency = (int32_t) rows_int(result, row, 12);
	spec->trace_all = strcmp(text(result, row, 13), "all") == 0;
	return true;
}

bool
rows_waiting(const PGresult *result, int row, FactPark *park)
{
	int status = parked_status_of(text(result, row, 7));

	if (PQnfields(result) != WAITING_COLUMNS || status < 0)
		return false;
	memset(park, 0, sizeof(*park));
	park->id = rows_int(result, row, 0);
	park->route_id = (int16_t) rows_int(result, row, 1);
	park->generation = (int16_t) rows_int(result, row, 2);
	park->shard_id = (int16_t) rows_int(result, row, 3);
	park->has_key = !PQgetisnull(result, row, 4);
	park->key_hash = (int32_t) rows_int(result, row, 4);
	park->run = rows_int(result, row, 5);
	park->pos = rows_int(result, row, 6);
	park->status = (ParkedStatus) status;
	park->retry_count = (int32_t) rows_int(result, row, 8);
	park->next_retry_ms =
		PQgetisnull(result, row, 9) ? -1 : rows_int(result, row, 9);
	return true;
}

/* The next number of an array or multirange in text form; false at its end. */
static bool
next_number(const char **at, int64_t *number)
{
	char *end;

	while (**at != '\0' && **at != '-' && (**at < '0' || **at > '9'))
		(*at)++;
	if (**at == '\0')
		return false;
	*number = strtoll(*at, &end, 10);
	*at = end;
	return true;
}

bool
rows_run(const PGresult *result, int row, WireRun *run)
{
	const char *at = text(result, row, 1);
	int64_t route;

	if (PQnfields(result) != RUN_COLUMNS)
		return false;
	run->generation = (int16_t) rows_int(result, row, 0);
	run->nroutes = 0;
	while (next_number(&at, &route))
	{
		if (run->nroutes == WIRE_ROUTES_MAX)
			return false;
		run->routes[run->nroutes++] = (int16_t) route;
	}
	run->first = rows_int(result, row, 2);
	run->last = rows_int(result, row, 3);
	return run->first <= run->last;
}

bool
rows_segment(const PGresult *result, int row, Segment *segment, IdSet *done)
{
	FACTS_ARRAY(int64_t) ids = {0};
	const char *at;
	int64_t first, end;

	if (PQnfields(result) != SEGMENT_COLUMNS)
		return false;
	memset(segment, 0, sizeof(*segment));
	idset_init(done);
	segment->seq = rows_int(result, row, 0);
	segment->generation = (int16_t) rows_int(result, row, 1);
	segment->run = rows_int(result, row, 2);
	segment->pos = rows_int(result, row, 3);
	at = text(result, row, 4);
	while (next_number(&at, &first))
		*ARRAY_PUSH(&ids) = first;
	segment->ids = ids.items;
	segment->nids = ids.count;
	at = text(result, row, 5);
	while (next_number(&at, &first) && next_number(&at, &end))
		idset_add_range(done, first, end - 1);
	return true;
}

/* ---------- binary ---------- */

static uint64_t
big_endian(const uint8_t *data, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | data[i];
	return value;
}

static WireBytes
bytes_of(const PGresult *result, int row, int column)
{
	if (PQgetisnull(result, row, column))
		return (WireBytes){NULL, 0};
	return (WireBytes){(const uint8_t *) PQgetvalue(result, row, column),
					   (uint32_t) PQgetlength(result, row, column)};
}

static int64_t
integer(const PGresult *result, int row, int column, int bytes)
{
	if (PQgetlength(result, row, column) != bytes)
		return 0;
	return (int64_t) big_endian(
		(const uint8_t *) PQgetvalue(result, row, column), bytes);
}

/* A one-dimensional array in binary form: array_send in PostgreSQL. */
typedef struct ArrayCursor
{
	const uint8_t *at;
	uint32_t left;
	uint32_t count;
} ArrayCursor;

#define ARRAY_HEAD 12     /* dimensions, flags, element type */
#define ARRAY_DIMENSION 8 /* length, lower bound */

static bool
array_begin(ArrayCursor *cursor, WireBytes bytes)
{
	*cursor = (ArrayCursor){bytes.data, bytes.len, 0};
	if (bytes.data == NULL)
		return true;
	if (bytes.len < ARRAY_HEAD)
		return false;
	if (big_endian(bytes.data, 4) == 0)
		return true;
	if (big_endian(bytes.data, 4) != 1 ||
		bytes.len < ARRAY_HEAD + ARRAY_DIMENSION)
		return false;
	cursor->count = (uint32_t) big_endian(bytes.data + ARRAY_HEAD, 4);
	cursor->at += ARRAY_HEAD + ARRAY_DIMENSION;
	cursor->left -= ARRAY_HEAD + ARRAY_DIMENSION;
	return true;
}

static bool
array_next(ArrayCursor *cursor, WireBytes *element)
{
	uint32_t len;

	if (cursor->left < 4)
		return false;
	len = (uint32_t) big_endian(cursor->at, 4);
	cursor->at += 4;
	cursor->left -= 4;
	if (len > cursor->left) /* NULL is 0xFFFFFFFF: not expected here */
		return false;
	*element = (WireBytes){cursor->at, len};
	cursor->at += len;
	cursor->left -= len;
	return true;
}

static bool
read_routes(WireBytes bytes, WireMessage *message)
{
	ArrayCursor cursor;
	WireBytes element;

	if (!array_begin(&cursor, bytes) || cursor.count > WIRE_ROUTES_MAX)
		return false;
	message->nroutes = (uint16_t) cursor.count;
	for (uint32_t i = 0; i < cursor.count; i++)
	{
		if (!array_next(&cursor, &element) || element.len != 2)
			return false;
		message->routes[i] = (int16_t) big_endian(element.data, 2);
	}
	return true;
}

static bool
read_headers(WireBytes bytes, WireMessage *message)
{
	ArrayCursor cursor;

	if (!array_begin(&cursor, bytes) || cursor.count % 2 != 0 ||
		cursor.count / 2 > WIRE_HEADERS_MAX)
		return false;
	message->nheaders = (uint16_t) (cursor.count / 2);
	for (uint32_t i = 0; i < cursor.count / 2; i++)
		if (!array_next(&cursor, &message->headers[i].name) ||
			!array_next(&cursor, &message->headers[i].value))
			return false;
	return true;
}

bool
rows_message(const PGresult *result, int row, WireMessage *message)
{
	if (PQnfields(result) != MESSAGE_COLUMNS)
		return false;
	message->id = integer(result, row, 0, 8);
	message->generation = (int16_t) integer(result, row, 1, 2);
	message->shard_id = (int16_t) integer(result, row, 2, 2);
	message->create_time = integer(result, row, 3, 8) + POSTGRES_EPOCH_US;
	message->payload_omitted = false;
	message->type = bytes_of(result, row, 5);
	message->biz_key = bytes_of(result, row, 6);
	message->topic = bytes_of(result, row, 7);
	message->tag = bytes_of(result, row, 8);
	message->message_key = bytes_of(result, row, 9);
	message->sharding_key = bytes_of(result, row, 10);
	message->content_type = bytes_of(result, row, 11);
	message->payload = bytes_of(result, row, 13);
	return read_routes(bytes_of(result, row, 4), message) &&
		   read_headers(bytes_of(result, row, 12), message);
}
