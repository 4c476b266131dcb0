/*
 * relay/sink_kafka_produce.c
 *
 * What is sent of a message, and to where: librdkafka tells the partition by
 * asking for it, in the middle of its produce.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_produce.h"

#include "http_headers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What is sought for the delivery that this thread produces. */
typedef struct Search
{
	KafkaProducer *producer;
	const char *topic;
	Passage *passage;
	int64_t now_us;
	bool found;
} Search;

static _Thread_local Search *search;

/* murmur2_random; a partition that is not there stops librdkafka. */
int32_t
kafka_assign(const rd_kafka_topic_t *topic, const void *key, size_t len,
			 int32_t count, void *topic_opaque, void *opaque)
{
	int32_t chosen = rd_kafka_msg_partitioner_murmur2_random(
		topic, key, len, count, topic_opaque, opaque);

	if (search == NULL)
		return chosen;
	search->found = true;
	return passage_enter(search->passage,
						 partitions_get(&search->producer->partitions,
										search->topic, chosen),
						 search->now_us)
			   ? chosen
			   : INT32_MAX;
}

static void
header_add(rd_kafka_headers_t *headers, const char *name, WireBytes value)
{
	if (value.data != NULL)
		rd_kafka_header_add(headers, name, -1, value.data, value.len);
}

static rd_kafka_headers_t *
headers_make(const Delivery *delivery)
{
	const WireMessage *message = delivery->message;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8 + message->nheaders);
	char text[HTTP_TIMESTAMP_SIZE];

	http_integer(message->id, text);
	rd_kafka_header_add(headers, "outbox-message-id", -1, text, -1);
	header_add(headers, "outbox-message-type", message->type);
	header_add(headers, "outbox-biz-key", message->biz_key);
	header_add(headers, "outbox-tag", message->tag);
	http_integer(delivery->attempt, text);
	rd_kafka_header_add(headers, "outbox-attempt", -1, text, -1);
	http_timestamp(message->create_time, text);
	rd_kafka_header_add(headers, "outbox-timestamp", -1, text, -1);
	header_add(headers, "content-type", message->content_type);
	for (int i = 0; i < message->nheaders; i++)
		rd_kafka_header_add(
			headers, (const char *) message->headers[i].name.data,
			message->headers[i].name.len, message->headers[i].value.data,
			message->headers[i].value.len);
	return headers;
}

static rd_kafka_vu_t
topic_field(const KafkaProducer *producer, const char *topic)
{
	if (producer->topic != NULL)
		return (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT,
							   .u.rkt = producer->topic};
	return (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic};
}

/* Copied, since after a close librdkafka may hold it a little longer. */
static rd_kafka_resp_err_t
produce(const KafkaProducer *producer, const char *topic,
		const Delivery *delivery, void *opaque)
{
	const WireMessage *message = delivery->message;
	rd_kafka_headers_t *headers = headers_make(delivery);
	/* NULL would be a tombstone, which no message is. */
	const void *payload =
		message->payload.len > 0 ? (const void *) message->payload.data : "";
	const rd_kafka_vu_t fields[] = {
		topic_field(producer, topic),
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY,
		 .u.mem = {(void *) message->message_key.data,
				   message->message_key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE,
		 .u.mem = {(void *) payload, message->payload.len}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
		{.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
	};
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_error_t *error =
		rd_kafka_produceva(producer->rk, fields, COUNT(fields));

	if (error != NULL)
	{
		code = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
		rd_kafka_headers_destroy(headers);
	}
	return code;
}

rd_kafka_resp_err_t
kafka_produce(KafkaProducer *producer, const char *topic,
			  const Delivery *delivery, void *opaque, Passage *passage,
			  int64_t now_us)
{
	Search here = {producer, topic, passage, now_us, false};
	Partition *unassigned =
		partitions_get(&producer->partitions, topic, PARTITION_UNASSIGNED);
	rd_kafka_resp_err_t code;

	if (!passage_free(passage, unassigned))
	{
		passage_enter(passage, unassigned, now_us);
		return KAFKA_WAITS;
	}
	search = &here;
	code = produce(producer, topic, delivery, opaque);
	search = NULL;
	if (here.found && passage->waits)
		return KAFKA_WAITS;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		passage_end(passage);
	else if (!here.found)
		passage_enter(passage, unassigned, now_us);
	return code;
}

rd_kafka_resp_err_t
kafka_produce_waiting(KafkaProducer *producer, const char *of_route,
					  const Flights *flights, int64_t now_us, Flight **last)
{
	char room[KAFKA_TOPIC_MAX];
	rd_kafka_resp_err_t code;

	for (Flight *it = flights->first; it != NULL; it = it->next)
	{
		if (!it->passage.waits || it->passage.partition->opening)
			continue;
		code = kafka_produce(producer,
							 kafka_topic(of_route, it->delivery->message, room),
							 it->delivery, it, &it->passage, now_us);
		*last = it;
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != KAFKA_WAITS)
			return code;
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool
kafka_taken(KafkaProducer *producer, const rd_kafka_message_t *report,
			Passage *passage, int64_t now_us)
{
	partitions_get(&producer->partitions, rd_kafka_topic_name(report->rkt),
				   report->partition)
		->answered_us = now_us;
	return passage_end(passage);
}
