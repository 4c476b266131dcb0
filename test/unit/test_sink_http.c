/*
 * test/unit/test_sink_http.c
 *
 * What the HTTP sink makes of destinations that misbehave, what it sends,
 * and what it never sends.  The contract of all sinks is in test_sink.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "http_server.h"
#include "sink_bench.h"

static int port;
static Network loopback = {AF_INET, {127}, 8};
static Config config = {.allow_targets = &loopback, .nallow_targets = 1};
static Config config_strict;

static RouteSpec
spec_make(const char *host, int timeout_ms)
{
	RouteSpec spec = {.timeout_ms = timeout_ms,
					  .connect_timeout_ms = timeout_ms,
					  .concurrency = 8};

	snprintf(spec.name, sizeof(spec.name), "r");
	snprintf(spec.target, sizeof(spec.target), "http://%s:%d/in", host, port);
	return spec;
}

/* Each after a good delivery, so over a connection that was kept. */
static void
test_moods(void)
{
	static const struct
	{
		ServerMood mood;
		OutcomeClass class;
		int status;
		const char *name;
	} cases[] = {
		{SERVER_GOOD, OUTCOME_OK, 200, "200"},
		{SERVER_BUSY, OUTCOME_TRANSIENT, 503, "503"},
		{SERVER_GONE, OUTCOME_PERMANENT, 410, "410"},
		{SERVER_REDIRECT, OUTCOME_PERMANENT, 302, "redirect"},
		{SERVER_HANG, OUTCOME_TRANSIENT, 0, "no answer"},
		{SERVER_TRICKLE, OUTCOME_TRANSIENT, 200, "trickle"},
		{SERVER_RESET, OUTCOME_TRANSIENT, 0, "reset"},
		{SERVER_CLOSE, OUTCOME_TRANSIENT, 0, "close"},
		{SERVER_CUT, OUTCOME_TRANSIENT, 200, "reset in the body"},
		{SERVER_GARBAGE, OUTCOME_TRANSIENT, 0, "garbage"},
		{SERVER_HUGE, OUTCOME_OK, 200, "endless body"},
		{SERVER_MANY_HEADERS, OUTCOME_TRANSIENT, 200, "endless headers"},
		{SERVER_LONG_HEADER, OUTCOME_TRANSIENT, 200, "endless header"},
		{SERVER_CONTINUES, OUTCOME_TRANSIENT, 100, "endless 100"},
		{SERVER_GZIP, OUTCOME_OK, 200, "compressed body"},
	};
	RouteSpec spec = spec_make("127.0.0.1", 400);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Bench *bench = bench_open(&sink_http, &config, &spec);

		server_mood(SERVER_GOOD);
		bench_submit(bench, 0);
		bench_wait(bench, has_done, 1, 5000);
		server_forget();
		server_mood(cases[i].mood);
		bench_submit(bench, 1);
		ok(bench_wait(bench, has_done, 2, 5000), "%s: an outcome: %s",
		   cases[i].name, bench->last.error);
		is_int(bench->last.class, cases[i].class, "%s: class", cases[i].name);
		is_int(bench->last.status, cases[i].status, "%s: status",
			   cases[i].name);
		is_int(bench->last.retry_after_ms,
			   cases[i].mood == SERVER_BUSY ? 7000 : -1, "%s: retry after",
			   cases[i].name);
		is_int(server_requests(), 1, "%s: one request", cases[i].name);
		ok(bench->last.duration_us < 480000, "%s: in time", cases[i].name);
		server_mood(SERVER_GOOD);
		bench_free(bench);
	}
}

static void
test_answer_kept(void)
{
	RouteSpec spec = spec_make("127.0.0.1", 2000);
	Bench *bench = bench_open(&sink_http, &config, &spec);

	server_mood(SERVER_BUSY);
	bench_submit(bench, 0);
	bench_wait(bench, has_done, 1, 5000);
	is_mem(bench->last.answer, bench->last.answer_len, "busy", 4,
		   "the answer is kept");
	is_str(bench->last.error, "HTTP status 503", "and the status named");
	server_mood(SERVER_HUGE);
	bench_submit(bench, 1);
	bench_wait(bench, has_done, 2, 5000);
	is_int(bench->last.answer_len, OUTCOME_ANSWER_MAX, "its first bytes only");
	server_mood(SERVER_MANY_HEADERS);
	bench_submit(bench, 2);
	bench_wait(bench, has_done, 3, 5000);
	/* libcurl's own limit lies higher, and not every version has one */
	is_str(bench->last.error, "the answer has more than 64 kB of headers",
		   "its first headers only");
	server_mood(SERVER_GZIP);
	bench_submit(bench, 3);
	bench_wait(bench, has_done, 4, 5000);
	ok(bench->last.answer_len == 20 && bench->last.answer[0] == 0x1f,
	   "never decoded");
	server_mood(SERVER_GOOD);
	bench_free(bench);
}

static void
test_request(void)
{
	RouteSpec spec = spec_make("127.0.0.1", 2000);
	Bench *bench = bench_open(&sink_http, &config, &spec);
	char expected[1024];

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	bench->message[0].headers[0] =
		(WireHeader){wire_text("X-Own"), wire_text("a")};
	bench->message[0].nheaders = 1;
	bench->delivery[0].attempt = 3;
	bench_submit(bench, 0);
	bench_wait(bench, has_done, 1, 5000);
	snprintf(expected, sizeof(expected),
			 "POST /in HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n"
			 "Outbox-Message-Id: 1000\r\n"
			 "Outbox-Message-Type: order.created\r\n"
			 "Outbox-Message-Key: key\r\nOutbox-Attempt: 3\r\n"
			 "Outbox-Timestamp: 2026-01-02T03:04:05.000006Z\r\n"
			 "Content-Type: application/json\r\n"
			 "User-Agent: outbox-relay/" OUTBOX_VERSION "\r\nX-Own: a\r\n"
			 "Content-Length: 8\r\n\r\n{\"n\": 0}",
			 port);
	is_str(server_last(), expected, "the request, byte by byte");
	bench->message[1].payload = (WireBytes){(const uint8_t *) "", 0};
	bench_submit(bench, 1);
	bench_wait(bench, has_done, 2, 5000);
	ok(strstr(server_last(), "Content-Length: 0\r\n") != NULL, "an empty body");
	unsetenv("http_proxy");
	bench_free(bench);
}

static void
test_never_sent(void)
{
	static const char *const hosts[] = {"127.0.0.1",  "localhost",
										"2130706433", "0x7f.1",
										"0177.0.0.1", "[::ffff:127.0.0.1]"};
	RouteSpec spec = spec_make("127.0.0.1", 2000);
	Bench *bench = bench_open(&sink_http, &config, &spec);

	server_forget();
	bench->message[0].headers[0] =
		(WireHeader){wire_text("X"), wire_text("a\r\nHost: b")};
	bench->message[0].nheaders = 1;
	ok(bench_submit(bench, 0), "a header with a line break is taken");
	is_int(bench->ndone, 0, "and not answered from submit");
	bench_wait(bench, has_done, 1, 5000);
	is_int(bench->last.class, OUTCOME_PERMANENT, "%s", bench->last.error);
	bench_free(bench);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
	{
		spec = spec_make(hosts[i], 2000);
		bench = bench_open(&sink_http, &config_strict, &spec);
		bench_submit(bench, 0);
		bench_wait(bench, has_done, 1, 5000);
		is_int(bench->last.class, OUTCOME_TRANSIENT, "%s is refused", hosts[i]);
		ok(strstr(bench->last.error, "is not in allow_targets") != NULL, "%s",
		   bench->last.error);
		bench_free(bench);
	}
	is_int(server_requests(), 0, "nothing reached the server");
}

static void
test_open(void)
{
	static const char *const targets[] = {
		"", "x", "/x", "file:///x", "http://", "http://a b/", "gopher://a/"};
	Config bad_ca = {.ca_file = (char *) "/nonexistent/ca.pem"};
	RouteSpec spec = spec_make("127.0.0.1", 2000);
	Loop *loop = loop_new();
	char err[256];

	ok(sink_http.open(loop, &bad_ca, &spec, (SinkCaller){0}, err,
					  sizeof(err)) == NULL,
	   "%s", err);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
	{
		snprintf(spec.target, sizeof(spec.target), "%s", targets[i]);
		ok(sink_http.open(loop, &config, &spec, (SinkCaller){0}, err,
						  sizeof(err)) == NULL,
		   "\"%s\": %s", targets[i], err);
	}
	loop_free(loop);
}

/* Each transfer of a handle, the first and those after it. */
static void
test_target_whole(void)
{
	static const char head[] =
		"POST /a%%20b/..c?d=%%20e&f HTTP/1.1\r\n"
		"Host: 127.0.0.1:%d\r\nAuthorization: Basic dTpwIHc=\r\n";
	RouteSpec spec = spec_make("127.0.0.1", 2000);
	char expected[256];
	Bench *bench;

	snprintf(spec.target, sizeof(spec.target),
			 "http://u:p%%20w@127.0.0.1:%d/x/../a%%20b/..c?d=%%20e&f#g", port);
	snprintf(expected, sizeof(expected), head, port);
	bench = bench_open(&sink_http, &config, &spec);
	for (int i = 0; i < 3; i++)
	{
		bench_submit(bench, i);
		bench_wait(bench, has_done, i + 1, 5000);
		ok(strncmp(server_last(), expected, strlen(expected)) == 0,
		   "path, query and credentials of the target, time %d", i + 1);
	}
	bench_free(bench);
}

int
main(void)
{
	port = server_start();
	test_open();
	test_target_whole();
	test_request();
	test_answer_kept();
	test_moods();
	test_never_sent();
	return tap_done();
}
