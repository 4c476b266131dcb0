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
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "http_server.h"
#include "sink_fake.h"

#define TIMEOUT_MS 10000 /* of an attempt; longer than any test waits */
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

/* ---- Kafka ---- */

#define PRODUCE 0        /* ApiKey */
#define AFTER_FAILURE 50 /* more than can be on their way */

static rd_kafka_t *mock_owner;
static rd_kafka_mock_cluster_t *mock;

/*
 * One request fails.  The mock has no eye on sequence numbers, by which a
 * broker that knows the producer refuses the next ones too.
 */
static void
kafka_fail(int followers)
{
	rd_kafka_resp_err_t errors[1 + AFTER_FAILURE];

	errors[0] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	for (int i = 1; i <= followers; i++)
		errors[i] = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
	rd_kafka_mock_push_request_errors_array(mock, PRODUCE, 1 + followers,
											errors);
}

static void
kafka_set_mood(Mood mood)
{
	int rtt = mood == HANG ? 8000 : mood == SLOW ? SERVER_SLOW_MS : 0;

	rd_kafka_mock_broker_set_rtt(mock, 1, rtt);
	rd_kafka_mock_clear_request_errors(mock, PRODUCE);
	if (mood == FAIL)
		kafka_fail(AFTER_FAILURE);
}

static int
kafka_count(void)
{
	int64_t low = 0;
	int64_t high = -1;

	rd_kafka_query_watermark_offsets(mock_owner, "t", 0, &low, &high, 5000);
	return (int) high;
}

static void
mock_start(void)
{
	char err[256];

	mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, err, sizeof(err));
	mock = rd_kafka_mock_cluster_new(mock_owner, 1);
	rd_kafka_mock_topic_create(mock, "t", 1, 1);
	rd_kafka_brokers_add(mock_owner, rd_kafka_mock_cluster_bootstraps(mock));
}

/* ---- the sentences ---- */

static bool
never(Bench *bench)
{
	(void) bench;
	return false;
}

/* Submits all of [from, to), waiting for ready when refused. */
static void
submit_all(Bench *bench, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		while (!bench_submit(bench, i))
		{
			if (!bench_wait(bench, has_ready, bench->nready + 1, 5000))
			{
				diag("not ready again for delivery %d", i);
				return;
			}
		}
	}
}

/* Delivery 0 arrives: whatever goes before the first is done with. */
static void
open_the_way(Bench *bench)
{
	submit_all(bench, 0, 1);
	bench_wait(bench, has_done, 1, 5000);
}

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
	ok(!bench_wait(bench, has_done, 2, SERVER_SLOW_MS / 2),
	   "%s: no done before the answer", kind);
	ok(bench_wait(bench, has_done, 2, 5000), "%s: done after it", kind);
	ok(bench->last.duration_us >= (SERVER_SLOW_MS - 10) * 1000,
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

/* ---- what is Kafka's alone ---- */

/*
 * A broker that does not know the producer takes what comes behind a request
 * that failed, as the mock does: nothing may be on its way by then.
 */
static void
test_first_request(const Subject *subject)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int taken = 0;

	subject->mood(SLOW);
	kafka_fail(0);
	bench_submit(bench, 0);
	bench_wait(bench, has_done, 1, SERVER_SLOW_MS / 2);
	for (int i = 1; i < 10; i++)
		taken += bench_submit(bench, i);
	is_int(taken, 0, "none is taken beside the first with a key");
	bench_wait(bench, has_done, 1, 5000);
	is_int(bench->class[0], OUTCOME_TRANSIENT, "which fails");
	subject->mood(GOOD);
	submit_all(bench, 0, 10);
	bench_wait(bench, has_done, 11, 5000);
	for (int i = 0; i < 10; i++)
		taken += bench->class[i] == OUTCOME_OK && bench->order[i + 1] == i;
	is_int(taken, 10, "and all go on from there, in order");
	bench_free(bench);
}

static void
test_first_without_key(const Subject *subject)
{
	Bench *bench = bench_open(subject->ops, &subject->config, &subject->spec);
	int taken = 0;

	for (int i = 0; i < 10; i++)
	{
		bench->message[i].message_key = (WireBytes){NULL, 0};
		taken += bench_submit(bench, i);
	}
	is_int(taken, 10, "what has no key does not wait");
	bench_wait(bench, has_done, 10, 5000);
	taken = bench_submit(bench, 10);
	is_int(taken + bench_submit(bench, 11), 1,
		   "and does not make the way for what has");
	bench_wait(bench, has_done, 11, 5000);
	bench_free(bench);
}

/* ---- subjects ---- */

static Network loopback = {AF_INET, {127}, 8};

static RouteSpec
spec_make(const char *target, int concurrency)
{
	RouteSpec spec = {.timeout_ms = TIMEOUT_MS,
					  .connect_timeout_ms = 2000,
					  .concurrency = concurrency};

	snprintf(spec.name, sizeof(spec.name), "r");
	snprintf(spec.target, sizeof(spec.target), "%s", target);
	return spec;
}

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
	subject.spec = spec_make(url, 64);
	subject.small_config = subject.config;
	subject.small_spec = spec_make(url, WINDOW);
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
	subject.spec = spec_make("c/t", 1000);
	subject.small_spec = subject.spec;
	test_subject(&subject);
	test_first_request(&subject);
	test_first_without_key(&subject);
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(mock_owner);
	is_int(rd_kafka_wait_destroyed(10000), 0, "every producer is gone");
}

static void
test_fake(void)
{
	Subject subject = {.ops = &sink_fake,
					   .mood = fake_set_mood,
					   .arrived = fake_count,
					   .bad_target = ""};

	subject.spec = spec_make("fake", BENCH_MAX);
	subject.small_spec = spec_make("fake", WINDOW);
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
