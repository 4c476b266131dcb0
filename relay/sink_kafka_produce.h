/*
 * relay/sink_kafka_produce.h
 *
 * Hands a message to librdkafka, or lets it wait for its partition, see
 * sink_kafka_partitions.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_KAFKA_PRODUCE_H
#define OUTBOX_SINK_KAFKA_PRODUCE_H

#include "sink_kafka_conf.h"
#include "sink_kafka_flights.h"

/* Of kafka_produce: it waits for its partition, and has to be tried again. */
#define KAFKA_WAITS RD_KAFKA_RESP_ERR__IN_PROGRESS

/*
 * kafka_produce: with our headers and the message's own; opaque comes back
 * in the delivery report.  passage: of this delivery.
 */
extern rd_kafka_resp_err_t kafka_produce(KafkaProducer *producer,
										 const char *topic,
										 const Delivery *delivery, void *opaque,
										 Passage *passage, int64_t now_us);

/*
 * kafka_produce_waiting: what waited for a partition that is open now, in
 * order and until one is not taken: last, and why.  of_route as in
 * kafka_topic.
 */
extern rd_kafka_resp_err_t kafka_produce_waiting(KafkaProducer *producer,
												 const char *of_route,
												 const Flights *flights,
												 int64_t now_us, Flight **last);

/*
 * kafka_taken: a report without an error; the partition knows the producer.
 * Are there some that waited for it?
 */
extern bool kafka_taken(KafkaProducer *producer,
						const rd_kafka_message_t *report, Passage *passage,
						int64_t now_us);

/* kafka_assign: the partitioner. */
extern int32_t kafka_assign(const rd_kafka_topic_t *topic, const void *key,
							size_t len, int32_t count, void *topic_opaque,
							void *opaque);

#endif /* OUTBOX_SINK_KAFKA_PRODUCE_H */
