/*
 * test/unit/test_sink.c
 *
 * The contract of relay/sink.h, sentence by sentence, against the HTTP sink
 * (a server of our own), the Kafka sink (librdkafka's mock cluster) and a
 * fake.  A subject says how to make its destination behave; the test itself
 * knows none of them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "http_server.h"
#include "kafka_mock.h"
#include "sink_fake.h"

typedef struct Subject
{
	const SinkOps *ops;
	Config config;
	RouteSpec spec;      /* takes at least BENCH_MAX */
	Config small_config; /* with small_spec: takes WINDOW */
	RouteSpec small_spec;
	void (*mood)(Mood mood);
	int (*arrived)(void); /* deliveries the destination has, ever */
	const char *bad_target;
} Subject;

/* ---- HTTP ---- */

static void
http_set_mood(Mood mood)
{
	static const ServerMood moods[] = {SERVER_GOOD, SERVER_BUSY, SERVER_HANG,
									   SERVER_SLOW};

	server_mood(moods[mood]);
}

/* ---- the sentences ---- */

static int
count_not_once(const Bench *bench, int n)
{
	int wrong = 0;

	for (int i = 0; i < BENCH_MAX; i++)
		wrong += bench->times[i] != (i < n ? 1 : 0);
	return wrong;
}

static void
test_submit_is_quiet(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int64_t start;

	open_the_way(bench);
	subject->mood(HANG);
	start = clock_ms();
	for (int i = 1; i < 50; i++)
		bench_submit(bench, i);
	ok(clock_ms() - start < 200, "%s: submit does not block", kind);
	is_int(bench->submitted, 50, "%s: all are taken", kind);
	is_int(bench->ndone, 1, "%s: submit does not call done", kind);
	subject->mood(GOOD);
	bench_free(bench);
}

static void
test_done_once(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int before = subject->arrived();

	submit_all(bench, 0, 500);
	ok(bench_wait(bench, has_done, 500, 20000), "%s: done for each", kind);
	bench_wait(bench, has_done, 501, 50);
	is_int(count_not_once(bench, 500), 0, "%s: exactly once", kind);
	is_int(bench->last.class, OUTCOME_OK, "%s: OK", kind);
	is_str(bench->last.error, "", "%s: without an error", kind);
	is_int(subject->arrived() - before, 500, "%s: 500 arrived", kind);
	ok(!bench->broke_rule, "%s: nothing was called from inside", kind);
	bench_free(bench);
}

static void
test_done_is_the_answer(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);

	open_the_way(bench);
	subject->mood(SLOW);
	submit_all(bench, 1, 2);
	ok(!bench_wait(bench, has_done, 2, SLOW_MS / 2),
	   "%s: no done before the answer", kind);
	ok(bench_wait(bench, has_done, 2, 5000), "%s: done after it", kind);
	ok(bench->last.duration_us >= (SLOW_MS - 10) * 1000,
	   "%s: duration is that of the answer", kind);
	subject->mood(GOOD);
	bench_free(bench);
}

static void
test_no_retry(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);

	open_the_way(bench);
	subject->mood(FAIL);
	submit_all(bench, 1, 2);
	ok(bench_wait(bench, has_done, 2, 5000), "%s: a failure is told", kind);
	is_int(bench->last.class, OUTCOME_TRANSIENT, "%s: as TRANSIENT", kind);
	ok(bench->last.error[0] != '\0', "%s: with a text: %s", kind,
	   bench->last.error);
	subject->mood(GOOD);
	bench_wait(bench, has_done, 3, 300);
	is_int(count_not_once(bench, 2), 0, "%s: and not tried again", kind);
	bench->delivery[1].attempt = 2;
	submit_all(bench, 1, 2);
	bench_wait(bench, has_done, 3, 5000);
	is_int(bench->last.class, OUTCOME_OK, "%s: the caller can", kind);
	bench_free(bench);
}

static void
test_refused(const Subject *subject, const char *kind)
{
	Bench *bench =
		bench_open(subject->ops, &subject->small_config, &subject->small_spec);
	int n = 1;

	open_the_way(bench);
	subject->mood(HANG);
	while (n < BENCH_MAX && bench_submit(bench, n))
		n++;
	is_int(n - 1, WINDOW, "%s: takes its window and no more", kind);
	ok(!bench_wait(bench, has_ready, 1, 50), "%s: not ready yet", kind);
	subject->mood(GOOD);
	ok(bench_wait(bench, has_ready, 1, 20000), "%s: ready again", kind);
	bench_wait(bench, has_done, n, 20000);
	is_int(bench->times[n], 0, "%s: no done for the refused", kind);
	submit_all(bench, n, n + 1);
	bench_wait(bench, has_done, n + 1, 20000);
	is_int(count_not_once(bench, n + 1), 0, "%s: then it is taken", kind);
	bench_free(bench);
}

static void
test_close(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int64_t start;

	open_the_way(bench);
	subject->mood(HANG);
	submit_all(bench, 1, 20);
	bench_wait(bench, has_done, 2, 50);
	start = clock_ms();
	bench_close(bench);
	ok(clock_ms() - start < 200, "%s: close does not block", kind);
	subject->mood(GOOD);
	bench_wait(bench, never, 0, 200);
	is_int(bench->ndone, 1, "%s: no done after close", kind);
	bench_free(bench);
}

static void
test_close_in_done(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);

	open_the_way(bench);
	bench->close_in_done = true;
	submit_all(bench, 1, 20);
	bench_wait(bench, has_done, 2, 5000);
	bench_wait(bench, has_done, 3, 100);
	is_int(bench->ndone, 2, "%s: none after a close in done", kind);
	bench_free(bench);
}

static void
test_time_out(const Subject *subject, const char *kind)
{
	RouteSpec spec = subject->spec;
	Bench *bench;

	spec.timeout_ms = 500;
	bench = bench_open(subject->ops, &subject->config, &spec);
	open_the_way(bench);
	subject->mood(HANG);
	submit_all(bench, 1, 4);
	ok(bench_wait(bench, has_done, 4, 5000), "%s: time-out is told", kind);
	is_int(bench->last.class, OUTCOME_TRANSIENT, "%s: TRANSIENT", kind);
	ok(bench->last.duration_us >= 490000 && bench->last.duration_us < 700000,
	   "%s: after %d ms of 500: %s", kind,
	   (int) (bench->last.duration_us / 1000), bench->last.error);
	subject->mood(GOOD);
	bench_free(bench);
}

static void
test_open_refuses(const Subject *subject, const char *kind)
{
	RouteSpec spec = subject->spec;
	Loop *loop = loop_new();
	char err[256] = "";

	snprintf(spec.target, sizeof(spec.target), "%s", subject->bad_target);
	ok(subject->ops->open(loop, &subject->config, &spec, (SinkCaller){0}, err,
						  sizeof(err)) == NULL,
	   "%s: a bad target is refused", kind);
	ok(err[0] != '\0', "%s: %s", kind, err);
	loop_free(loop);
}

/* Only what keeps order: nothing is OK behind what was not. */
static void
test_order(const Subject *subject, const char *kind)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int first_bad = -1;
	int wrong = 0;
	int n = 1;

	open_the_way(bench);
	subject->mood(FAIL);
	/* It refuses when it knows of the failure already. */
	while (n < 300 && bench_submit(bench, n))
		n++;
	ok(bench_wait(bench, has_done, n, 10000), "%s: all are told", kind);
	for (int k = 1; k < bench->ndone; k++)
	{
		int i = bench->order[k];

		wrong += i != bench->order[k - 1] + 1;
		if (bench->class[i] != OUTCOME_OK && first_bad < 0)
			first_bad = i;
		wrong += first_bad >= 0 && bench->class[i] == OUTCOME_OK;
	}
	ok(first_bad >= 1, "%s: one failed: %d", kind, first_bad);
	is_int(wrong, 0, "%s: none behind it is OK, told in order", kind);
	subject->mood(GOOD);
	submit_all(bench, first_bad, 300);
	bench_wait(bench, has_done, n + 300 - first_bad, 10000);
	is_int(bench->last.class, OUTCOME_OK, "%s: goes on after it", kind);
	bench_free(bench);
}

static void
test_subject(const Subject *subject)
{
	const char *kind = subject->ops->kind;

	diag("%s", kind);
	subject->mood(GOOD);
	test_open_refuses(subject, kind);
	test_submit_is_quiet(subject, kind);
	test_done_once(subject, kind);
	test_done_is_the_answer(subject, kind);
	test_no_retry(subject, kind);
	test_refused(subject, kind);
	test_close(subject, kind);
	test_close_in_done(subject, kind);
	if (subject->ops != &sink_fake)
		test_time_out(subject, kind);
	if (subject->ops->keeps_order)
		test_order(subject, kind);
}

/* ---- subjects ---- */

static Network loopback = {AF_INET, {127}, 8};

static void
test_http(void)
{
	char url[64];
	Subject subject = {.ops = &sink_http,
					   .mood = http_set_mood,
					   .arrived = server_requests,
					   .bad_target = "ftp://localhost/x"};

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/in", server_start());
	subject.config.allow_targets = &loopback;
	subject.config.nallow_targets = 1;
	subject.spec = bench_spec(url, 64);
	subject.small_config = subject.config;
	subject.small_spec = bench_spec(url, WINDOW);
	test_subject(&subject);
}

static void
test_kafka(void)
{
	Subject subject = {.ops = &sink_kafka,
					   .mood = kafka_set_mood,
					   .arrived = kafka_count,
					   .bad_target = "elsewhere/t"};
	KafkaProperty small = {"queue.buffering.max.messages", "4", 2, NULL};
	KafkaProperty where = {"bootstrap.servers", NULL, 1, NULL};
	KafkaProperty where_small = {"bootstrap.servers", NULL, 1, &small};
	KafkaCluster cluster = {"c", 1, &where, NULL};
	KafkaCluster small_cluster = {"c", 1, &where_small, NULL};

	mock_start();
	where.value = (char *) rd_kafka_mock_cluster_bootstraps(mock);
	where_small.value = where.value;
	subject.config.kafka = &cluster;
	subject.small_config.kafka = &small_cluster;
	subject.spec = bench_spec("c/t", 1000);
	subject.small_spec = subject.spec;
	test_subject(&subject);
	mock_stop();
}

static void
test_fake(void)
{
	Subject subject = {.ops = &sink_fake,
					   .mood = fake_set_mood,
					   .arrived = fake_count,
					   .bad_target = ""};

	subject.spec = bench_spec("fake", BENCH_MAX);
	subject.small_spec = bench_spec("fake", WINDOW);
	test_subject(&subject);
}

int
main(void)
{
	ok(sink_ops_of(SPEC_HTTP) == &sink_http, "http is registered");
	ok(sink_ops_of(SPEC_KAFKA) == &sink_kafka, "kafka is registered");
	test_fake();
	test_http();
	test_kafka();
	return tap_done();
}
