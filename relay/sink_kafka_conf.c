/*
 * relay/sink_kafka_conf.c
 *
 * See sink_kafka_conf.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_conf.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/mem.h"
#include "log.h"
#include "sink_kafka_produce.h"

/* A producer on its way out, owned by the thread that buries it. */
typedef struct Burial
{
	KafkaProducer producer;
	int event_fd; /* of its own; -1: nobody waits */
} Burial;

/*
 * What never works, however often it is tried.  All others are TRANSIENT,
 * those that an operator can mend (topic, authorization) on purpose.
 */
static const rd_kafka_resp_err_t permanent_errors[] = {
	RD_KAFKA_RESP_ERR_INVALID_MSG,
	RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
	RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
	RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
	RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
	RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
	RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
	RD_KAFKA_RESP_ERR_INVALID_RECORD,
};

/* These stand whatever the configuration says; another value is an error. */
static const struct
{
	const char *name;
	const char *value;
} forced[] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"request.required.acks", "-1"},
	{"delivery.report.only.error", "false"},
	{"partitioner", "murmur2_random"},
	/* The partitioner is asked for each message, see kafka_assign. */
	{"sticky.partitioning.linger.ms", "0"},
	/* A batch that fails stops the producer instead of leaving a gap. */
	{"enable.gapless.guarantee", "true"},
	/*
	 * Never: a message that times out there leaves a gap, for which nothing
	 * stops, and what comes behind it is sent.  The time-out is ours.
	 */
	{"message.timeout.ms", "0"},
	{"delivery.timeout.ms", "0"},
};

/* For low latency: what has gathered while a request was out is a batch. */
static const struct
{
	const char *name;
	const char *value;
} defaults[] = {
	{"client.id", "outbox-relay"},
	{"linger.ms", "0"},
	{"socket.nagle.disable", "true"},
	/* What a broker takes by default; librdkafka's own is a little less. */
	{"message.max.bytes", "1048588"},
	{"queue.buffering.max.messages", "10000"},
	{"queue.buffering.max.kbytes", "65536"},
	{"reconnect.backoff.max.ms", "1000"},
	{"log.queue", "true"},
	{"topic.metadata.propagation.max.ms", "5000"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

OutcomeClass
kafka_class(rd_kafka_resp_err_t code)
{
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return OUTCOME_OK;
	for (size_t i = 0; i < COUNT(permanent_errors); i++)
	{
		if (permanent_errors[i] == code)
			return OUTCOME_PERMANENT;
	}
	return OUTCOME_TRANSIENT;
}

bool
kafka_follows(rd_kafka_resp_err_t code, bool one_failed)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
		case RD_KAFKA_RESP_ERR__FATAL:
		case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
		case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
			return true;
		case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
			return one_failed;
		default:
			return false;
	}
}

bool
kafka_producer(KafkaProducer *producer, const rd_kafka_conf_t *template,
			   const char *topic, int event_fd, char *err, size_t err_size)
{
	static const uint64_t one = 1;
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(template);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, err_size);

	if (rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		return false;
	}
	producer->rk = rk;
	rd_kafka_set_log_queue(rk, NULL);
	producer->queue = rd_kafka_queue_get_main(rk);
	rd_kafka_queue_io_event_enable(producer->queue, event_fd, &one,
								   sizeof(one));
	/* It is told of an empty queue that fills, and this one may not be. */
	eventfd_write(event_fd, one);
	/* Asks for its leaders at once, without which nobody would connect yet. */
	if (topic[0] != '\0')
		producer->topic = rd_kafka_topic_new(rk, topic, NULL);
	return true;
}

bool
kafka_ended(const KafkaProducer *producer, char *text, size_t size)
{
	return producer->rk != NULL &&
		   rd_kafka_fatal_error(producer->rk, text, size) !=
			   RD_KAFKA_RESP_ERR_NO_ERROR;
}

void
kafka_log(rd_kafka_event_t *event, const char *route)
{
	const char *facility;
	const char *text;
	int level;

	if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
		log_debug("kafka_log", "route \"%s\": %s: %s", route, facility, text);
}

static void *
burial_run(void *arg)
{
	Burial *burial = arg;
	const KafkaProducer *producer = &burial->producer;

	rd_kafka_purge(producer->rk,
				   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_queue_destroy(producer->queue);
	if (producer->topic != NULL)
		rd_kafka_topic_destroy(producer->topic);
	rd_kafka_destroy_flags(producer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	if (burial->event_fd >= 0)
	{
		eventfd_write(burial->event_fd, 1);
		close(burial->event_fd);
	}
	mem_free(burial);
	return NULL;
}

/* Signals are the loop's; a thread of ours must not take one. */
static bool
thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	sigset_t all;
	sigset_t old;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	code = pthread_create(&thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (code == 0)
		pthread_detach(thread);
	return code == 0;
}

void
kafka_bury(KafkaProducer *producer, int event_fd)
{
	Burial *burial = mem_alloc(sizeof(*burial));

	rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
	partitions_reset(&producer->partitions);
	burial->producer = *producer;
	burial->event_fd = event_fd;
	*producer = (KafkaProducer){.rk = NULL};
	if (!thread_start(burial_run, burial))
		burial_run(burial);
}

static bool
property_allowed(const KafkaProperty *property, char *err, size_t err_size)
{
	for (size_t i = 0; i < COUNT(forced); i++)
	{
		if (strcmp(property->name, forced[i].name) != 0 ||
			strcmp(property->value, forced[i].value) == 0)
			continue;
		snprintf(err, err_size, "it is always %s here", forced[i].value);
		return false;
	}
	if (strcmp(property->name, "transactional.id") == 0)
	{
		snprintf(err, err_size, "transactions are not used here");
		return false;
	}
	return true;
}

static bool
conf_set_properties(rd_kafka_conf_t *conf, const Config *config,
					const KafkaCluster *cluster, char *err, size_t err_size)
{
	char text[256];

	for (const KafkaProperty *it = cluster->properties; it; it = it->next)
	{
		if (property_allowed(it, text, sizeof(text)) &&
			rd_kafka_conf_set(conf, it->name, it->value, text, sizeof(text)) ==
				RD_KAFKA_CONF_OK)
			continue;
		snprintf(err, err_size, "%s:%d: property \"%s\" of [kafka %s]: %s",
				 config->path != NULL ? config->path : "configuration",
				 it->line, it->name, cluster->name, text);
		return false;
	}
	return true;
}

rd_kafka_conf_t *
kafka_conf(const Config *config, const KafkaCluster *cluster, char *err,
		   size_t err_size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();

	rd_kafka_topic_conf_set_partitioner_cb(topic_conf, kafka_assign);
	rd_kafka_conf_set_default_topic_conf(conf, topic_conf);
	for (size_t i = 0; i < COUNT(defaults); i++)
		rd_kafka_conf_set(conf, defaults[i].name, defaults[i].value, NULL, 0);
	for (size_t i = 0; i < COUNT(forced); i++)
		rd_kafka_conf_set(conf, forced[i].name, forced[i].value, NULL, 0);
	if (!conf_set_properties(conf, config, cluster, err, err_size))
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR |
									   RD_KAFKA_EVENT_LOG |
									   RD_KAFKA_EVENT_STATS);
	return conf;
}

static bool
has_brokers(const KafkaCluster *cluster)
{
	for (const KafkaProperty *it = cluster->properties; it; it = it->next)
	{
		if (strcmp(it->name, "bootstrap.servers") == 0 ||
			strcmp(it->name, "metadata.broker.list") == 0)
			return true;
	}
	return false;
}

bool
kafka_check(const Config *config, char *err, size_t err_size)
{
	for (const KafkaCluster *it = config->kafka; it != NULL; it = it->next)
	{
		rd_kafka_conf_t *conf = kafka_conf(config, it, err, err_size);

		if (conf == NULL)
			return false;
		rd_kafka_conf_destroy(conf);
		if (has_brokers(it))
			continue;
		snprintf(err, err_size,
				 "%s:%d: bootstrap.servers is missing in section [kafka %s]",
				 config->path, it->line, it->name);
		return false;
	}
	return true;
}

static bool
topic_legal(const char *topic, size_t len)
{
	return len > 0 && len < KAFKA_TOPIC_MAX &&
		   strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						 "0123456789._-") == len;
}

const char *
kafka_topic(const char *of_route, const WireMessage *message, char *room)
{
	const WireBytes *own = &message->topic;

	if (of_route[0] != '\0')
		return of_route;
	if (own->data == NULL || own->len >= KAFKA_TOPIC_MAX)
		return NULL;
	memcpy(room, own->data, own->len);
	room[own->len] = '\0';
	return topic_legal(room, own->len) ? room : NULL;
}

/* Target is CLUSTER/TOPIC, CLUSTER/ or CLUSTER. */
const KafkaCluster *
kafka_target(const Config *config, const RouteSpec *spec, char *topic,
			 char *err, size_t err_size)
{
	const char *slash = strchr(spec->target, '/');
	const char *wanted = slash != NULL ? slash + 1 : "";
	size_t len =
		slash != NULL ? (size_t) (slash - spec->target) : strlen(spec->target);
	char name[SPEC_TARGET_MAX];
	const KafkaCluster *cluster;

	memcpy(name, spec->target, len);
	name[len] = '\0';
	cluster = config_kafka(config, name);
	if (cluster == NULL)
		snprintf(err, err_size, "the configuration has no section [kafka %s]",
				 name);
	else if (wanted[0] != '\0' && !topic_legal(wanted, strlen(wanted)))
	{
		snprintf(err, err_size, "\"%s\" is not a legal topic", wanted);
		cluster = NULL;
	}
	else
		snprintf(topic, KAFKA_TOPIC_MAX, "%s", wanted);
	return cluster;
}
