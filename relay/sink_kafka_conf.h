/*
 * relay/sink_kafka_conf.h
 *
 * The parts of the Kafka sink that know nothing of deliveries under way:
 * which properties a producer has, which class an error is, how a producer is
 * ended.  For sink_kafka.c, and kafka_check for relay.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_KAFKA_CONF_H
#define OUTBOX_SINK_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "config.h"
#include "sink.h"
#include "sink_kafka_partitions.h"

#define KAFKA_TOPIC_MAX 250 /* Kafka's 249 and the NUL */

/* kafka_class: of one error code. */
extern OutcomeClass kafka_class(rd_kafka_resp_err_t code);
/* kafka_follows: told of a delivery that went behind the one that failed. */
extern bool kafka_follows(rd_kafka_resp_err_t code, bool one_failed);

/*
 * kafka_target: the cluster that the route's target names, and its topic in
 * KAFKA_TOPIC_MAX bytes, "" when the message names it.  NULL with a sentence.
 */
extern const KafkaCluster *kafka_target(const Config *config,
										const RouteSpec *spec, char *topic,
										char *err, size_t err_size);

/*
 * kafka_topic: the route's, else the message's, in KAFKA_TOPIC_MAX bytes of
 * room; NULL when neither can be used.
 */
extern const char *kafka_topic(const char *of_route, const WireMessage *message,
							   char *room);

/* kafka_conf: for rd_kafka_conf_dup; NULL with the property that is wrong. */
extern rd_kafka_conf_t *kafka_conf(const Config *config,
								   const KafkaCluster *cluster, char *err,
								   size_t err_size);

typedef struct KafkaProducer
{
	rd_kafka_t *rk;          /* NULL: there is none */
	rd_kafka_queue_t *queue; /* of its events */
	rd_kafka_topic_t *topic; /* NULL: each message names its own */
	Partitions partitions;   /* as this producer knows them */
} KafkaProducer;

/*
 * kafka_check: are there brokers in each section, and does librdkafka take
 * the properties; else "FILE:LINE: what is wrong".
 */
extern bool kafka_check(const Config *config, char *err, size_t err_size);

/*
 * kafka_producer: makes one; event_fd is written when there are events.
 * topic: "" when it is for any.  False with the reason; conf stays the
 * caller's.
 */
extern bool kafka_producer(KafkaProducer *producer, const rd_kafka_conf_t *conf,
						   const char *topic, int event_fd, char *err,
						   size_t err_size);

/*
 * kafka_ended: has the producer an error that is fatal, as librdkafka has it;
 * the text.  It takes nothing any more, for ever.
 */
extern bool kafka_ended(const KafkaProducer *producer, char *text, size_t size);

/* kafka_log: what librdkafka would log, for debugging. */
extern void kafka_log(rd_kafka_event_t *event, const char *route);

/*
 * kafka_bury: purges and destroys a producer; there is none afterwards.  That
 * waits for its threads, one of which may be in a name look-up, so a thread
 * does it; it adds 1 to the eventfd and closes it when all is over, -1: tells
 * nobody.
 */
extern void kafka_bury(KafkaProducer *producer, int event_fd);

#endif /* OUTBOX_SINK_KAFKA_CONF_H */
