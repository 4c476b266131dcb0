/*
 * relay/rows.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "rows.h"

#include <errno.h>
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

/* Which of the words it is; false: none of them. */
static bool
rows_word(const PGresult *result, int row, int column,
		  const char *const words[], int n, int *index)
{
	for (*index = 0; *index < n; ++*index)
		if (strcmp(text(result, row, column), words[*index]) == 0)
			return true;
	return false;
}

/* All of the value, or false: half of a URL is another URL. */
static bool
rows_text(const PGresult *result, int row, int column, char *to, size_t size)
{
	size_t len = strlen(text(result, row, column));

	if (len >= size)
		return false;
	memcpy(to, text(result, row, column), len + 1);
	return true;
}

static bool
rows_positive(const PGresult *result, int row, int column, int32_t *value)
{
	int64_t number = rows_int(result, row, column);

	*value = (int32_t) number;
	return number > 0 && number <= INT32_MAX;
}

static bool
route_words(const PGresult *result, int row, RouteSpec *spec)
{
	static const char *const kinds[] = {
		[SPEC_HTTP] = "http",
		[SPEC_KAFKA] = "kafka",
	};
	static const char *const states[] = {
		[SPEC_ACTIVE] = "active",
		[SPEC_PAUSED] = "paused",
		[SPEC_DROPPED] = "dropped",
	};
	static const char *const orderings[] = {"none", "key"};
	static const char *const traces[] = {"failures", "all"};
	int kind, state, ordering, trace;

	if (!rows_word(result, row, 2, kinds, 2, &kind) ||
		!rows_word(result, row, 4, states, 3, &state) ||
		!rows_word(result, row, 5, orderings, 2, &ordering) ||
		!rows_word(result, row, 13, traces, 2, &trace))
		return false;
	spec->kind = (SpecKind) kind;
	spec->state = (SpecState) state;
	spec->ordered = ordering == 1;
	spec->trace_all = trace == 1;
	return true;
}

static bool
route_numbers(const PGresult *result, int row, RouteSpec *spec)
{
	int32_t id;

	spec->retry_multiplier = strtod(text(result, row, 8), NULL);
	if (!rows_positive(result, row, 0, &id) || id > INT16_MAX ||
		!(spec->retry_multiplier >= 1)) /* nor is it NaN */
		return false;
	spec->id = (int16_t) id;
	return rows_positive(result, row, 6, &spec->retry_initial_ms) &&
		   rows_positive(result, row, 7, &spec->retry_max_ms) &&
		   rows_positive(result, row, 9, &spec->max_attempts) &&
		   rows_positive(result, row, 10, &spec->timeout_ms) &&
		   rows_positive(result, row, 11, &spec->connect_timeout_ms) &&
		   rows_positive(result, row, 12, &spec->concurrency);
}

bool
rows_route(const PGresult *result, int row, RouteSpec *spec)
{
	if (PQnfields(result) != ROUTE_COLUMNS)
		return false;
	memset(spec, 0, sizeof(*spec));
	return rows_text(result, row, 1, spec->name, sizeof(spec->name)) &&
		   rows_text(result, row, 3, spec->target, sizeof(spec->target)) &&
		   route_words(result, row, spec) && route_numbers(result, row, spec);
}

bool
rows_waiting(const PGresult *result, int row, FactPark *park)
{
	int status;

	if (PQnfields(result) != WAITING_COLUMNS)
		return false;
	status = parked_status_of(text(result, row, 7));
	if (status < 0)
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
	park->retry_in_ms =
		PQgetisnull(result, row, 9) ? -1 : rows_int(result, row, 9);
	return true;
}

/* ---------- arrays and multiranges in text form ---------- */

typedef struct List
{
	const char *at;
	char before; /* what stands before the next element */
} List;

static bool
take(List *list, char expected)
{
	if (*list->at != expected)
		return false;
	list->at++;
	return true;
}

static bool
take_number(List *list, int64_t *number)
{
	char *end;

	if (*list->at != '-' && (*list->at < '0' || *list->at > '9'))
		return false;
	errno = 0;
	*number = strtoll(list->at, &end, 10);
	if (errno != 0 || end == list->at)
		return false;
	list->at = end;
	return true;
}

static void
list_begin(List *list, const char *at)
{
	*list = (List){at, '{'};
}

/* "{1,2}": the next element; false when there is none, or it is not one. */
static bool
list_number(List *list, int64_t *number)
{
	List next = *list;

	if (!take(&next, list->before) || !take_number(&next, number))
		return false;
	*list = (List){next.at, ','};
	return true;
}

/* "{[1,2),[5,7)}": likewise. */
static bool
list_range(List *list, int64_t *first, int64_t *end)
{
	List next = *list;

	if (!take(&next, list->before) || !take(&next, '[') ||
		!take_number(&next, first) || !take(&next, ',') ||
		!take_number(&next, end) || !take(&next, ')') || *first >= *end)
		return false;
	*list = (List){next.at, ','};
	return true;
}

/* That was all of it. */
static bool
list_end(List *list)
{
	return (list->before == ',' || take(list, '{')) && take(list, '}') &&
		   *list->at == '\0';
}

bool
rows_run(const PGresult *result, int row, WireRun *run)
{
	List list;
	int64_t route;

	if (PQnfields(result) != RUN_COLUMNS)
		return false;
	run->generation = (int16_t) rows_int(result, row, 0);
	run->nroutes = 0;
	list_begin(&list, text(result, row, 1));
	while (list_number(&list, &route))
	{
		if (run->nroutes == WIRE_ROUTES_MAX)
			return false;
		run->routes[run->nroutes++] = (int16_t) route;
	}
	run->first = rows_int(result, row, 2);
	run->last = rows_int(result, row, 3);
	return list_end(&list) && run->first <= run->last;
}

bool
rows_segment(const PGresult *result, int row, Segment *segment, IdSet *done)
{
	FACTS_ARRAY(int64_t) ids = {0};
	List list;
	int64_t first, end;
	bool good;

	if (PQnfields(result) != SEGMENT_COLUMNS)
		return false;
	memset(segment, 0, sizeof(*segment));
	idset_init(done);
	segment->seq = rows_int(result, row, 0);
	segment->generation = (int16_t) rows_int(result, row, 1);
	segment->run = rows_int(result, row, 2);
	segment->pos = rows_int(result, row, 3);
	list_begin(&list, text(result, row, 4));
	while (list_number(&list, &first))
		*ARRAY_PUSH(&ids) = first;
	good = list_end(&list);
	list_begin(&list, text(result, row, 5));
	while (list_range(&list, &first, &end))
		idset_add_range(done, first, end - 1);
	good = list_end(&list) && good;
	segment->ids = ids.items;
	segment->nids = ids.count;
	if (!good)
	{
		ARRAY_RESET(&ids);
		idset_reset(done);
	}
	return good;
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
	bool finite;

	if (PQnfields(result) != MESSAGE_COLUMNS)
		return false;
	message->id = integer(result, row, 0, 8);
	message->generation = (int16_t) integer(result, row, 1, 2);
	message->shard_id = (int16_t) integer(result, row, 2, 2);
	/* infinity is past the end too */
	finite = !__builtin_add_overflow(integer(result, row, 3, 8),
									 POSTGRES_EPOCH_US, &message->create_time);
	message->payload_omitted = false;
	message->type = bytes_of(result, row, 5);
	message->biz_key = bytes_of(result, row, 6);
	message->topic = bytes_of(result, row, 7);
	message->tag = bytes_of(result, row, 8);
	message->message_key = bytes_of(result, row, 9);
	message->sharding_key = bytes_of(result, row, 10);
	message->content_type = bytes_of(result, row, 11);
	message->payload = bytes_of(result, row, 13);
	return finite && message->payload.data != NULL && message->shard_id >= 0 &&
		   message->shard_id <= WIRE_SHARD_MAX &&
		   read_routes(bytes_of(result, row, 4), message) &&
		   read_headers(bytes_of(result, row, 12), message);
}
