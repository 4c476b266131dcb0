/*
 * test/unit/test_sink_kafka.c
 *
 * What is the Kafka sink's alone, against librdkafka's mock cluster; what it
 * shares with the others is in test_sink.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "kafka_mock.h"

static Config config;
static RouteSpec spec;

/*
 * A broker that does not know the producer takes what comes behind a request
 * that failed, as the mock does: nothing may be on its way by then.
 */
static void
test_first_request(void)
{
	Bench *bench = bench_open(&sink_kafka, &config, &spec);
	int before = kafka_count();
	int wrong = 0;

	kafka_set_mood(SLOW);
	kafka_fail(0);
	submit_all(bench, 0, 1);
	bench_wait(bench, has_done, 1, SLOW_MS / 2);
	submit_all(bench, 1, 10);
	is_int(bench->submitted, 10, "all are taken beside the first");
	bench_wait(bench, has_done, 10, 5000);
	for (int i = 0; i < 10; i++)
		wrong += bench->class[i] != OUTCOME_TRANSIENT || bench->order[i] != i;
	is_int(wrong, 0, "the first fails, and all with it");
	kafka_set_mood(GOOD);
	is_int(kafka_count() - before, 0, "none has arrived");
	submit_all(bench, 0, 10);
	bench_wait(bench, has_done, 20, 5000);
	for (int i = 0; i < 10; i++)
		wrong += bench->class[i] != OUTCOME_OK || bench->order[10 + i] != i;
	is_int(wrong, 0, "and all go on from there, in order");
	is_int(kafka_count() - before, 10, "none twice");
	bench_free(bench);
}

/*
 * Without a key there is no order, but librdkafka takes it that what it has to
 * send again was stored if what came behind is: of a broker that takes any
 * number first that is not true, and would be a loss.
 */
static void
test_first_without_key(void)
{
	KafkaProperty one = {"batch.num.messages", "1", 2, NULL};
	int before = kafka_count();
	Bench *bench;

	config.kafka->properties->next = &one;
	bench = bench_open(&sink_kafka, &config, &spec);
	/* the producer is at work, the partition not known */
	bench_wait(bench, never, 0, 1000);
	kafka_set_mood(SLOW);
	rd_kafka_mock_push_request_errors(mock, PRODUCE, 1,
									  RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
	for (int i = 0; i < 10; i++)
	{
		bench->message[i].message_key = (WireBytes){NULL, 0};
		bench_submit(bench, i);
	}
	bench_wait(bench, has_done, 10, 5000);
	kafka_set_mood(GOOD);
	is_int(bench->ndone, 10, "without a key: all are told");
	is_int(bench->last.class, OUTCOME_OK, "without a key: OK");
	is_int(kafka_count() - before, 10, "without a key: all have arrived");
	bench_free(bench);
	config.kafka->properties->next = NULL;
}

/* Keys in ten partitions. */
static Bench *
bench_open_wide(int timeout_ms)
{
	static char keys[100][8];
	RouteSpec wide = spec;
	Bench *bench;

	snprintf(wide.target, sizeof(wide.target), "c/wide");
	wide.timeout_ms = timeout_ms;
	bench = bench_open(&sink_kafka, &config, &wide);
	for (int i = 0; i < 1000; i++)
	{
		snprintf(keys[i % 100], sizeof(keys[0]), "k%d", i % 100);
		bench->message[i].message_key = wire_text(keys[i % 100]);
	}
	return bench;
}

/* One partition of ten has no leader. */
static void
test_without_leader(void)
{
	Bench *bench;
	int arrived = 0;

	rd_kafka_mock_topic_create(mock, "wide", 10, 1);
	rd_kafka_mock_partition_set_leader(mock, "wide", 3, -1);
	bench = bench_open_wide(2000);
	submit_all(bench, 0, 1000);
	bench_wait(bench, has_done, 1000, 1500);
	ok(bench->ndone >= 800 && bench->ndone < 1000,
	   "a partition without a leader stops no other: %d of 1000", bench->ndone);
	for (int i = 0; i < 1000; i++)
		arrived += bench->times[i] == 1 && bench->class[i] == OUTCOME_OK;
	is_int(arrived, bench->ndone, "which arrive");
	ok(bench_wait(bench, has_done, 1000, 3000), "the others are told");
	is_int(bench->last.class, OUTCOME_TRANSIENT, "TRANSIENT, as too late: %s",
		   bench->last.error);
	bench_free(bench);
}

/* The queue of librdkafka takes four at a time. */
static void
test_waiting_for_room(void)
{
	KafkaProperty few = {"queue.buffering.max.messages", "4", 2, NULL};
	Bench *bench;
	int wrong = 0;

	config.kafka->properties->next = &few;
	bench = bench_open(&sink_kafka, &config, &spec);
	kafka_set_mood(SLOW);
	submit_all(bench, 0, 10);
	is_int(bench->ndone, 0, "more than the queue takes wait");
	kafka_set_mood(GOOD);
	ok(bench_wait(bench, has_done, 10, 5000), "and go when there is room");
	for (int i = 0; i < 10; i++)
		wrong += bench->class[i] != OUTCOME_OK || bench->order[i] != i;
	is_int(wrong, 0, "in order");
	bench_free(bench);
	config.kafka->properties->next = NULL;
}

static void
kafka_deny(bool denied)
{
	rd_kafka_resp_err_t errors[50];

	for (int i = 0; i < 50; i++)
		errors[i] = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
	rd_kafka_mock_clear_request_errors(mock, INIT_PRODUCER_ID);
	if (denied)
		rd_kafka_mock_push_request_errors_array(mock, INIT_PRODUCER_ID, 50,
												errors);
}

/* A producer that is refused ends for good: its deliveries fail, and it goes. */
static void
test_denied(void)
{
	Bench *bench;

	kafka_deny(true);
	bench = bench_open(&sink_kafka, &config, &spec);
	submit_all(bench, 0, 1);
	ok(bench_wait(bench, has_done, 1, 5000), "denied: it is told");
	ok(bench->class[0] == OUTCOME_TRANSIENT && !bench->last.held_back,
	   "denied: as tried: %s", bench->last.error);
	/* the next producer has come to its end as well by now */
	bench_wait(bench, never, 0, 1500);
	kafka_deny(false);
	submit_all(bench, 0, 1);
	ok(bench_wait(bench, has_done, 2, 5000), "denied: it is told once more");
	submit_all(bench, 0, 1);
	bench_wait(bench, has_done, 3, 5000);
	is_int(bench->last.class, OUTCOME_OK, "denied no more: it arrives: %s",
		   bench->last.error);
	bench_free(bench);
}

/* The producer comes to its end with one, and takes along what is queued. */
static void
test_ends_with_one(void)
{
	Bench *bench = bench_open_wide(TIMEOUT_MS);
	int failed = 0;

	rd_kafka_mock_partition_set_leader(mock, "wide", 3, 1);
	submit_all(bench, 0, 100);
	bench_wait(bench, has_done, 100, 5000);
	is_int(bench->last.class, OUTCOME_OK, "all ten partitions are at work");
	kafka_set_mood(SLOW);
	rd_kafka_mock_push_request_errors(
		mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	submit_all(bench, 100, 200);
	bench_wait(bench, has_done, 200, 5000);
	for (int i = 100; i < 200; i++)
		failed += bench->class[i] != OUTCOME_OK;
	is_int(failed - bench->nheld, 1, "%d did not go, of which one was tried",
		   failed);
	kafka_set_mood(GOOD);
	bench_free(bench);
}

/* The thread of the loop gets no turn, those of librdkafka do. */
static void
stand_still(int ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

/*
 * The broker is away, and when it is back librdkafka is alone with it: the
 * first delivery is past its time by then, the second is not.  Only the first
 * may arrive without the other.
 */
static void
test_stands_still(void)
{
	RouteSpec quick = spec;
	Bench *bench;
	int before;

	quick.timeout_ms = 500;
	bench = bench_open(&sink_kafka, &config, &quick);
	open_the_way(bench);
	before = kafka_count();
	rd_kafka_mock_broker_set_down(mock, 1);
	bench_wait(bench, never, 0, 100);
	bench_submit(bench, 1);
	stand_still(2500);
	bench_submit(bench, 2);
	stand_still(3100);
	rd_kafka_mock_broker_set_up(mock, 1);
	stand_still(1500);
	ok(kafka_count() - before != 1, "of two of a key none arrives alone");
	ok(bench_wait(bench, has_done, 3, 5000), "both are told");
	ok(bench->class[1] == OUTCOME_OK || bench->class[2] != OUTCOME_OK,
	   "none is OK behind one that is not");
	bench_free(bench);
}

int
main(void)
{
	KafkaProperty where = {"bootstrap.servers", NULL, 1, NULL};
	KafkaCluster cluster = {"c", 1, &where, NULL};

	mock_start();
	where.value = (char *) rd_kafka_mock_cluster_bootstraps(mock);
	config.kafka = &cluster;
	spec = bench_spec("c/t", 1000);
	test_first_request();
	test_first_without_key();
	test_without_leader();
	test_waiting_for_room();
	test_denied();
	test_ends_with_one();
	test_stands_still();
	mock_stop();
	return tap_done();
}
