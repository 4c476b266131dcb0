/*
 * test/unit/kafka_mock.h
 *
 * librdkafka's mock cluster of one broker, with a topic t of one partition.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TEST_KAFKA_MOCK_H
#define OUTBOX_TEST_KAFKA_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "sink_bench.h"

#define PRODUCE 0 /* ApiKeys */
#define INIT_PRODUCER_ID 22
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
	int rtt = mood == HANG ? 8000 : mood == SLOW ? SLOW_MS : 0;

	rd_kafka_mock_broker_set_rtt(mock, 1, rtt);
	rd_kafka_mock_clear_request_errors(mock, PRODUCE);
	if (mood == FAIL)
		kafka_fail(AFTER_FAILURE);
}

static TAP_UNUSED int
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

static void
mock_stop(void)
{
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(mock_owner);
	is_int(rd_kafka_wait_destroyed(10000), 0, "every producer is gone");
}

#endif /* OUTBOX_TEST_KAFKA_MOCK_H */
