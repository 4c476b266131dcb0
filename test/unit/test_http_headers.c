/*
 * test/unit/test_http_headers.c
 *
 * The lines that go out, byte by byte; what is refused; Retry-After.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "http_headers.h"

#include <stdlib.h>
#include <time.h>

#include "tap.h"

#define NOW_US INT64_C(1767323045000006) /* 2026-01-02T03:04:05.000006Z */
#define DAY_MS HTTP_RETRY_AFTER_MAX_MS

static WireBytes
text(const char *string)
{
	return (WireBytes){(const uint8_t *) string, (uint32_t) strlen(string)};
}

static const char *
line_of(const HttpHeaders *headers, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < headers->n; i++)
	{
		const char *line = headers->text + headers->start[i];

		if (strncmp(line, name, len) == 0 &&
			(line[len] == ':' || line[len] == ';'))
			return line;
	}
	return NULL;
}

static void
test_lines(void)
{
	static WireMessage message;
	HttpHeaders headers = {0};
	char err[256];

	message.id = INT64_MAX;
	message.create_time = NOW_US;
	message.type = text("a.b");
	message.message_key = text(" k\xc3\xa9y%\n ");
	message.biz_key = text("");
	message.nheaders = 3;
	message.headers[0] = (WireHeader){text("X-Own"), text("v: 1")};
	message.headers[1] = (WireHeader){text("X-Empty"), text("")};
	message.headers[2] = (WireHeader){text("X-Blank"), text(" \t")};
	ok(http_headers_build(&headers, &message, 3, err, sizeof(err)), "builds");
	is_str(line_of(&headers, "Outbox-Message-Id"),
		   "Outbox-Message-Id: 9223372036854775807", "id");
	is_str(line_of(&headers, "Outbox-Message-Type"), "Outbox-Message-Type: a.b",
		   "type");
	is_str(line_of(&headers, "Outbox-Message-Key"),
		   "Outbox-Message-Key: %20k%C3%A9y%25%0A%20", "encoded key");
	is_str(line_of(&headers, "Outbox-Biz-Key"), "Outbox-Biz-Key;", "empty");
	is_str(line_of(&headers, "Outbox-Topic"), NULL, "NULL is left out");
	is_str(line_of(&headers, "Outbox-Attempt"), "Outbox-Attempt: 3", "attempt");
	is_str(line_of(&headers, "Outbox-Timestamp"),
		   "Outbox-Timestamp: 2026-01-02T03:04:05.000006Z", "timestamp");
	is_str(line_of(&headers, "Content-Type"),
		   "Content-Type: application/octet-stream", "default type");
	is_str(line_of(&headers, "User-Agent"),
		   "User-Agent: outbox-relay/" OUTBOX_VERSION, "agent");
	is_str(line_of(&headers, "Expect"), "Expect:", "no Expect");
	is_str(line_of(&headers, "X-Own"), "X-Own: v: 1", "own");
	is_str(line_of(&headers, "X-Empty"), "X-Empty;", "own, empty");
	is_str(line_of(&headers, "X-Blank"), "X-Blank;", "own, blank");
	message.headers[0].name = text("content-TYPE");
	ok(http_headers_build(&headers, &message, 3, err, sizeof(err)), "again");
	is_str(line_of(&headers, "Content-Type"), NULL, "own type takes the place");
	is_str(line_of(&headers, "content-TYPE"), "content-TYPE: v: 1", "of ours");
	message.nheaders = WIRE_HEADERS_MAX;
	for (int i = 0; i < WIRE_HEADERS_MAX; i++)
		message.headers[i] = (WireHeader){text("A"), text("b")};
	message.topic = message.tag = text("t");
	ok(http_headers_build(&headers, &message, 3, err, sizeof(err)), "most");
	is_int(headers.n, HTTP_HEADERS_MAX, "as many lines as there can be");
	http_headers_reset(&headers);
}

static void
test_refused(void)
{
	static const struct
	{
		const char *name;
		const char *value;
		uint32_t value_len;
		bool good;
	} cases[] = {
		{"Host", "x", 1, false},
		{"content-length", "1", 1, false},
		{"Transfer-Encoding", "chunked", 7, false},
		{"CONNECTION", "close", 5, false},
		{"Expect", "100-continue", 12, false},
		{"outbox-Message-Id", "1", 1, false},
		{"Outbox-", "1", 1, false},
		{"Outbo", "1", 1, true},
		{"Hos", "x", 1, true},
		{"Hostx", "x", 1, true},
		{"", "x", 1, false},
		{"a b", "x", 1, false},
		{"a:", "x", 1, false},
		{"a\r\nb", "x", 1, false},
		{"a;", "x", 1, false},
		{"\xc3\xa9", "x", 1, false},
		{"~!#$%&'*+-.^_`|9zZ", "x", 1, true},
		{"a", "x\r\nHost: y", 10, false},
		{"a", "x\n", 2, false},
		{"a", "\r", 1, false},
		{"a", "x\0y", 3, false},
		{"a", "\xc3\xa9\t", 3, true},
	};
	static WireMessage message;
	HttpHeaders headers = {0};

	message.nheaders = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char err[256] = "";

		message.headers[0].name = text(cases[i].name);
		message.headers[0].value =
			(WireBytes){(const uint8_t *) cases[i].value, cases[i].value_len};
		is_int(http_headers_build(&headers, &message, 1, err, sizeof(err)),
			   cases[i].good, "header case %d: %s", (int) i,
			   cases[i].good ? "sent" : err);
		ok(cases[i].good == (err[0] == '\0'), "says why");
	}
	message.nheaders = 0;
	message.content_type = text("a/b\r\nX: y");
	ok(!http_headers_build(&headers, &message, 1, (char[256]){0}, 256),
	   "a content type with a line break is refused");
	http_headers_reset(&headers);
}

static void
test_retry_after(void)
{
	static const struct
	{
		const char *value;
		int64_t ms;
	} cases[] = {
		{"0", 0},
		{" 7 \r\n", 7000},
		{"86400", DAY_MS},
		{"86401", DAY_MS},
		{"1000000000000", DAY_MS},
		{"99999999999999999999999999999999999999", DAY_MS},
		{"-1", -1},
		{"+5", -1},
		{"1.5", -1},
		{"7s", -1},
		{"", -1},
		{"soon", -1},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10000},
		{"Friday, 02-Jan-26 03:04:15 GMT", 10000},
		{"Fri Jan  2 03:04:15 2026", 10000},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", DAY_MS},
		{"Fri, 02 Jan 2026 03:04:15 CET", -1},
		{"Fri, 02 Jan 2026 03:04:15 GMT, then", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(http_retry_after(cases[i].value, strlen(cases[i].value), NOW_US),
			   cases[i].ms, "Retry-After case %d", (int) i);
	is_int(http_retry_after("1\0002", 3, NOW_US), -1, "a NUL within");
}

/* By the C library, which is right and slow. */
static void
expected_stamp(int64_t seconds, char *text, size_t size)
{
	time_t time = (time_t) seconds;
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(text, size, "%Y-%m-%dT%H:%M:%S.000007Z", &tm);
}

static void
test_timestamp(void)
{
	const int64_t first = INT64_C(-30610224000); /* 1000-01-01 */
	const int64_t last = INT64_C(253402300799);  /* 9999-12-31 */
	char stamp[HTTP_TIMESTAMP_SIZE];
	char expected[64];
	int wrong = 0;

	/* every day, each at another second of it */
	for (int64_t at = first; at <= last; at += 86401)
	{
		http_timestamp(at * 1000000 + 7, stamp);
		expected_stamp(at, expected, sizeof(expected));
		wrong += strcmp(stamp, expected) != 0;
	}
	is_int(wrong, 0, "the dates of nine thousand years");
	http_timestamp(-1, stamp);
	is_str(stamp, "1969-12-31T23:59:59.999999Z", "before 1970");
	http_timestamp(INT64_MAX, stamp);
	is_str(stamp, "294247-01-10T04:00:54.775807Z", "the last there can be");
	http_timestamp(INT64_C(-210866803200) * 1000000, stamp);
	is_str(stamp, "-4713-11-24T00:00:00.000000Z", "PostgreSQL's first");
	http_timestamp(INT64_MIN, stamp);
	is_str(stamp, "-290308-12-21T19:59:05.224192Z", "the first of all times");
}

static void
test_integer(void)
{
	char text[HTTP_INTEGER_SIZE];

	is_int((int64_t) http_integer(0, text), 1, "a digit");
	is_str(text, "0", "nothing");
	http_integer(INT64_MAX, text);
	is_str(text, "9223372036854775807", "the greatest");
	http_integer(INT64_MIN, text);
	is_str(text, "-9223372036854775808", "the least");
}

int
main(void)
{
	test_lines();
	test_refused();
	test_retry_after();
	test_timestamp();
	test_integer();
	return tap_done();
}
