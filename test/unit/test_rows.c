/*
 * test/unit/test_rows.c
 *
 * Rows of query results: what they become, and which are refused.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "rows.h"

#include "core/mem.h"
#include "result_bench.h"
#include "tap.h"

#define ROUTE_COLUMNS 14
#define MESSAGE_COLUMNS 14

static PGresult *
result_of(const char *const *values, int n)
{
	PGresult *result = result_make(n);

	for (int i = 0; i < n; i++)
		result_set_text(result, 0, i, values[i]);
	return result;
}

/* ---------- routes ---------- */

static const char *const good_route[ROUTE_COLUMNS] = {
	"7",    "hook",   "http", "http://a/", "active", "key", "1000",
	"2000", "1.5e+0", "16",   "10000",     "3000",   "16",  "failures"};

/* Whether a route is read whose one column is this. */
static bool
reads_route(int column, const char *value, RouteSpec *spec)
{
	const char *values[ROUTE_COLUMNS];
	PGresult *result;
	bool good;

	memcpy(values, good_route, sizeof(values));
	values[column] = value;
	result = result_of(values, ROUTE_COLUMNS);
	good = rows_route(result, 0, spec);
	PQclear(result);
	return good;
}

static void
test_route(void)
{
	RouteSpec spec;

	ok(reads_route(0, "7", &spec), "a route");
	ok(spec.id == 7 && strcmp(spec.name, "hook") == 0 &&
		   spec.kind == SPEC_HTTP && spec.state == SPEC_ACTIVE &&
		   spec.ordered && !spec.trace_all && spec.retry_multiplier == 1.5 &&
		   spec.retry_initial_ms == 1000 && spec.retry_max_ms == 2000 &&
		   spec.max_attempts == 16 && spec.timeout_ms == 10000 &&
		   spec.connect_timeout_ms == 3000 && spec.concurrency == 16,
	   "as it was written");
	ok(reads_route(2, "kafka", &spec) && spec.kind == SPEC_KAFKA, "kafka");
	ok(reads_route(4, "paused", &spec) && spec.state == SPEC_PAUSED, "paused");
	ok(reads_route(4, "dropped", &spec) && spec.state == SPEC_DROPPED,
	   "dropped");
	ok(reads_route(5, "none", &spec) && !spec.ordered, "without order");
	ok(reads_route(13, "all", &spec) && spec.trace_all, "with a full trace");
}

static void
test_route_wrong(void)
{
	static const struct
	{
		int column;
		const char *value;
	} wrong[] = {
		{0, "0"},   {0, "32768"}, {2, "amqp"}, {4, "gone"},  {5, ""},
		{6, "0"},   {7, "-1"},    {8, "nan"},  {8, "-2"},    {9, "2147483648"},
		{10, NULL}, {11, "x"},    {12, "0"},   {13, "some"},
	};
	RouteSpec spec;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(!reads_route(wrong[i].column, wrong[i].value, &spec),
		   "%s is no column %d of a route",
		   wrong[i].value != NULL ? wrong[i].value : "NULL", wrong[i].column);
}

/* As long as outbox_route_create allows; no part of a longer one is used. */
static void
test_route_long(void)
{
	char target[SPEC_TARGET_MAX + 1];
	RouteSpec spec;

	memset(target, 'x', sizeof(target));
	memcpy(target, "http://", 7);
	target[2048] = '\0';
	ok(reads_route(3, target, &spec), "a target of 2048 bytes");
	is_str(spec.target, target, "is kept whole");
	target[2048] = 'x';
	target[2049] = '\0';
	ok(!reads_route(3, target, &spec), "a longer one is refused");
	target[63] = '\0';
	ok(reads_route(1, target, &spec), "a name of 63 bytes");
	target[63] = 'x';
	target[64] = '\0';
	ok(!reads_route(1, target, &spec), "a longer one is refused");
}

/* ---------- lists ---------- */

static bool
reads_run(const char *routes, WireRun *run)
{
	const char *values[] = {"1", routes, "5", "9"};
	PGresult *result = result_of(values, 4);
	bool good = rows_run(result, 0, run);

	PQclear(result);
	return good;
}

static bool
reads_segment(const char *ids, const char *done, Segment *segment, IdSet *set)
{
	const char *values[] = {"3", "1", "2", "100", ids, done};
	PGresult *result = result_of(values, 6);
	bool good = rows_segment(result, 0, segment, set);

	PQclear(result);
	return good;
}

static void
test_run(void)
{
	static const char *const wrong[] = {
		"", "{", "1", "{1", "{1,}", "{,1}", "{1;2}", "{NULL}", "{1}x", "{{1}}",
	};
	WireRun run;

	ok(reads_run("{3,-4,5}", &run), "a run");
	ok(run.generation == 1 && run.first == 5 && run.last == 9 &&
		   run.nroutes == 3 && run.routes[1] == -4,
	   "as it was written");
	ok(reads_run("{}", &run) && run.nroutes == 0, "one without routes");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(!reads_run(wrong[i], &run), "\"%s\" is no array", wrong[i]);
}

static void
test_segment(void)
{
	static const char *const wrong[] = {
		"",           "{[1,2)",  "{[1,2)",
		"{(1,2)}",    "{[2,2)}", "{[1,-9223372036854775808)}",
		"{[1,2),}",   "{[1,)}",  "{[1,99999999999999999999)}",
		"{[1,2)[3,4", "{1,2}",
	};
	Segment segment;
	IdSet done;

	ok(reads_segment("{7,5,6}", "{[0,1),[2,3)}", &segment, &done), "a segment");
	ok(segment.nids == 3 && segment.ids[1] == 5 && segment.seq == 3 &&
		   segment.generation == 1 && segment.run == 2 && segment.pos == 100,
	   "as it was written");
	ok(idset_size(&done) == 2 && idset_has(&done, 0) && idset_has(&done, 2),
	   "with what is done of it");
	mem_free(segment.ids);
	idset_reset(&done);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(!reads_segment("{1}", wrong[i], &segment, &done),
		   "\"%s\" is no multirange", wrong[i]);
	ok(!reads_segment("{1,NULL,3}", "{}", &segment, &done),
	   "an id that is NULL would move all behind it");
}

/* ---------- waiting rows, starts ---------- */

static void
test_waiting(void)
{
	const char *values[] = {"1", "2", "0",      "4", NULL,
							"6", "7", "FAILED", "9", NULL};
	PGresult *result = result_of(values, 10);
	FactPark park;

	ok(rows_waiting(result, 0, &park), "a waiting row");
	ok(!park.has_key && park.retry_in_ms == -1 && park.status == PARKED_FAILED,
	   "without a key or a time");
	PQclear(result);
	values[7] = "SENT";
	result = result_of(values, 10);
	ok(!rows_waiting(result, 0, &park), "none can be SENT");
	PQclear(result);
	result = result_of(values, 3);
	ok(!rows_waiting(result, 0, &park), "a result of another shape");
	PQclear(result);
}

static void
test_start(void)
{
	const char *values[] = {"1", "t", "A/B", "4", "5", "6"};
	PGresult *result = result_of(values, 6);
	StartRow start;

	ok(rows_start(result, &start) && start.armed &&
		   start.position == UINT64_C(0xa0000000b),
	   "a start");
	PQclear(result);
	values[2] = NULL;
	result = result_of(values, 6);
	ok(rows_start(result, &start) && start.position == 0, "without P");
	PQclear(result);
	values[2] = "A-B";
	result = result_of(values, 6);
	ok(!rows_start(result, &start), "with a P that is none");
	PQclear(result);
}

/* ---------- messages ---------- */

static PGresult *
good_message(void)
{
	static const uint8_t id[8] = {[7] = 42};
	static const uint8_t routes[26] = {
		[3] = 1, [11] = 21, [15] = 1, [19] = 1, [23] = 2, [25] = 9};
	PGresult *result = result_make(MESSAGE_COLUMNS);

	for (int i = 0; i < MESSAGE_COLUMNS; i++)
		result_set(result, 0, i, NULL, 0);
	result_set(result, 0, 0, id, 8);
	result_set(result, 0, 1, id, 2);
	result_set(result, 0, 2, id, 2);
	result_set(result, 0, 3, id, 8);
	result_set(result, 0, 4, routes, sizeof(routes));
	result_set(result, 0, 5, "t", 1);
	result_set(result, 0, 13, "", 0);
	return result;
}

/* A change of one column makes it one that cannot be read, with its id. */
static void
check_unreadable(int column, const void *data, size_t len, const char *what)
{
	PGresult *result = good_message();
	WireMessage message;

	result_set(result, 0, column, data, len);
	ok(!rows_message(result, 0, &message), "a message %s", what);
	is_int(message.id, 42, "of which the id is known");
	PQclear(result);
}

static void
test_message(void)
{
	static const uint8_t far[2] = {0x04, 0x00};
	static const uint8_t infinity[8] = {0x7f, 0xff, 0xff, 0xff,
										0xff, 0xff, 0xff, 0xff};
	static const uint8_t two[20] = {[3] = 2};
	PGresult *result = good_message();
	WireMessage message;

	ok(rows_message(result, 0, &message), "a message");
	ok(message.nroutes == 1 && message.routes[0] == 9 &&
		   message.payload.len == 0 && message.payload.data != NULL &&
		   message.topic.data == NULL && message.nheaders == 0,
	   "as it was written");
	PQclear(result);
	check_unreadable(13, NULL, 0, "without a payload");
	check_unreadable(3, infinity, 8, "made at no time");
	check_unreadable(2, far, 2, "of shard 1024");
	check_unreadable(4, two, sizeof(two), "with a matrix of routes");
	check_unreadable(4, "abc", 3, "with routes that are no array");
	check_unreadable(12, two, 19, "with headers that are no array");
}

int
main(void)
{
	test_route();
	test_route_wrong();
	test_route_long();
	test_run();
	test_segment();
	test_waiting();
	test_start();
	test_message();
	return tap_done();
}
