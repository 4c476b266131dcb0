/*
 * relay/sink_kafka.c
 *
 * Delivers to a Kafka topic with librdkafka's idempotent producer.  The only
 * truth is the delivery report.  librdkafka has threads of its own; its
 * events come to the loop through an eventfd.
 *
 * Order.  Deliveries go out in the order of submit.  When one fails, nothing
 * behind it in its partition may arrive before it is tried again, and
 * librdkafka alone cannot promise that, so the whole producer is given up: a
 * thread purges and destroys it, and only when it is gone for certain are
 * all that had no report yet reported TRANSIENT, in the order of submit, and
 * a new producer is made.  Meanwhile submit refuses.  A report that came
 * before the end is told as it is.  Time-outs are ours, for the same reason:
 * message.timeout.ms would drop one message and send the next.
 *
 * A request that is on its way already when one fails is refused by the
 * broker, by its sequence number, if the broker knows the producer: see
 * sink_kafka_partitions.h.
 *
 * A broker judges batches, not messages.  A PERMANENT verdict is believed
 * only of a delivery that was alone under way; else it is told as TRANSIENT,
 * and later attempts go alone until the suspects are through.
 *
 * What librdkafka sends again within an attempt it does under the same
 * sequence number, which the broker takes once.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/mem.h"
#include "log.h"
#include "loop.h"
#include "sink_kafka_conf.h"
#include "sink_kafka_flights.h"

#define REBUILD_WAIT_MS 1000

typedef struct SinkKafka
{
	Sink base;
	Loop *loop;
	SinkCaller caller;
	RouteSpec spec;
	char topic[KAFKA_TOPIC_MAX]; /* "": the message's own */
	rd_kafka_conf_t *conf;       /* copied for each producer */
	KafkaProducer producer;      /* none: being given up or rebuilt */
	int event_fd;                /* librdkafka writes, the loop reads */
	Watch *watch;
	int grave_fd; /* a burial is over */
	Watch *grave_watch;
	Timer *timer; /* oldest delivery's time-out, or the next rebuild */
	Timer *later; /* verdicts of our own, and ready */
	Flights flights;
	int suspects; /* verdicts that were not believed */
	bool burying; /* the old producer is not gone yet */
	bool hold;    /* a verdict of our own is to be told first */
	bool wants_ready;
	bool full; /* until one more has been told */
	bool dispatching;
	bool closed;
	char fault[OUTCOME_ERROR_MAX]; /* last trouble with the brokers */
	char cause[OUTCOME_ERROR_MAX]; /* why the producer is given up */
} SinkKafka;

/* The caller may submit or close from here. */
static void
flight_done(SinkKafka *sink, Flight *flight)
{
	Outcome outcome;

	outcome.class = flight->class;
	outcome.held_back = flight->code == RD_KAFKA_RESP_ERR__PURGE_QUEUE;
	outcome.status = flight->code;
	outcome.retry_after_ms = -1;
	outcome.duration_us = loop_now_us(sink->loop) - flight->start_us;
	outcome.answer_len = 0;
	memcpy(outcome.error, flight->error, sizeof(outcome.error));
	if (sink->suspects > 0 && flight->delivery->attempt > 1 && flight->alone)
		sink->suspects--;
	flights_remove(&sink->flights, flight);
	sink->full = false;
	sink->caller.done(sink->caller.arg, flight->delivery, &outcome);
}

static bool
producer_make(SinkKafka *sink, char *err, size_t err_size)
{
	return kafka_producer(&sink->producer, sink->conf, sink->topic,
						  sink->event_fd, err, err_size);
}

static void
sink_release(SinkKafka *sink)
{
	if (sink->producer.rk != NULL)
		kafka_bury(&sink->producer, -1);
	if (sink->conf != NULL)
		rd_kafka_conf_destroy(sink->conf);
	watch_free(sink->watch);
	watch_free(sink->grave_watch);
	timer_free(sink->timer);
	timer_free(sink->later);
	close(sink->event_fd);
	close(sink->grave_fd);
	flights_reset(&sink->flights);
	mem_free(sink);
}

/* From here to the end of the burial submit refuses. */
static void
producer_give_up(SinkKafka *sink)
{
	int fd = dup(sink->grave_fd);

	if (fd < 0)
	{
		log_error("kafka_failed", "could not duplicate a descriptor: %m");
		exit(1);
	}
	timer_clear(sink->timer);
	sink->burying = true;
	log_info("kafka_producer_ended", "route \"%s\": new producer after: %s",
			 sink->spec.name, sink->cause);
	kafka_bury(&sink->producer, fd);
}

/* The caller may have closed the sink in a done or ready. */
static void
sink_finish(SinkKafka *sink)
{
	if (!sink->closed && sink->wants_ready && sink->producer.rk != NULL &&
		!sink->hold && !sink->full && flights_admits(&sink->flights))
	{
		sink->wants_ready = false;
		sink->caller.ready(sink->caller.arg);
	}
	sink->dispatching = false;
	if (sink->closed)
		sink_release(sink);
}

static void
sink_rebuild(SinkKafka *sink)
{
	char err[OUTCOME_ERROR_MAX];

	sink->cause[0] = '\0';
	if (producer_make(sink, err, sizeof(err)))
		return;
	log_warning("kafka_producer_failed",
				"route \"%s\": could not make a producer: %s", sink->spec.name,
				err);
	timer_set(sink->timer, REBUILD_WAIT_MS);
}

static void
burial_over(void *arg, int fd, unsigned events)
{
	SinkKafka *sink = arg;
	char text[OUTCOME_ERROR_MAX + 32];
	eventfd_t count;

	(void) events;
	eventfd_read(fd, &count);
	sink->burying = false;
	sink->hold = false;
	sink->dispatching = true;
	flights_blame(&sink->flights, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
				  RD_KAFKA_RESP_ERR__FATAL, sink->cause);
	snprintf(text, sizeof(text), "held back: %s", sink->cause);
	while (!sink->closed && sink->flights.first != NULL)
	{
		if (!sink->flights.first->judged)
			flight_judge(sink->flights.first, OUTCOME_TRANSIENT,
						 RD_KAFKA_RESP_ERR__PURGE_QUEUE, text);
		flight_done(sink, sink->flights.first);
	}
	if (!sink->closed)
		sink_rebuild(sink);
	sink_finish(sink);
}

static void
sink_fail(SinkKafka *sink, const char *text)
{
	if (sink->cause[0] == '\0')
		snprintf(sink->cause, sizeof(sink->cause), "%s", text);
}

static void
report_read(SinkKafka *sink, const rd_kafka_message_t *report)
{
	Flight *flight = report->_private;
	OutcomeClass class = kafka_class(report->err);
	char text[OUTCOME_ERROR_MAX];

	if (class == OUTCOME_OK)
	{
		kafka_taken(&sink->producer, report, loop_now_us(sink->loop));
		flight_judge(flight, class, report->err, "");
		flight_done(sink, flight);
		return;
	}
	if (class == OUTCOME_PERMANENT && !flight->alone)
	{
		sink->suspects++;
		class = OUTCOME_TRANSIENT;
	}
	flight_judge(flight, class, report->err, rd_kafka_err2str(report->err));
	/* librdkafka purges by itself when the producer has come to its end. */
	if (report->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
		kafka_ended(&sink->producer, text, sizeof(text)))
		sink_fail(sink, text);
	sink_fail(sink, flight->error);
}

static void
error_read(SinkKafka *sink, rd_kafka_event_t *event)
{
	snprintf(sink->fault, sizeof(sink->fault), "%s",
			 rd_kafka_event_error_string(event));
	log_debug("kafka_fault", "route \"%s\": %s", sink->spec.name, sink->fault);
}

static void
event_read(SinkKafka *sink, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *report;

	switch (rd_kafka_event_type(event))
	{
		case RD_KAFKA_EVENT_DR:
			while (!sink->closed &&
				   (report = rd_kafka_event_message_next(event)) != NULL)
				report_read(sink, report);
			break;
		case RD_KAFKA_EVENT_ERROR:
			error_read(sink, event);
			break;
		case RD_KAFKA_EVENT_LOG:
			kafka_log(event, sink->spec.name);
			break;
		default:
			break;
	}
}

static void
events_came(void *arg, int fd, unsigned events)
{
	SinkKafka *sink = arg;
	rd_kafka_event_t *event;
	eventfd_t count;

	(void) events;
	eventfd_read(fd, &count);
	if (sink->producer.rk == NULL)
		return;
	sink->dispatching = true;
	while (!sink->closed &&
		   (event = rd_kafka_queue_poll(sink->producer.queue, 0)) != NULL)
	{
		event_read(sink, event);
		rd_kafka_event_destroy(event);
	}
	if (!sink->closed && sink->cause[0] != '\0')
		producer_give_up(sink);
	sink_finish(sink);
}

/* Everything that is past its time has no answer; the rest waits behind it. */
static void
flights_time_out(SinkKafka *sink, int64_t now_us)
{
	int64_t limit_us = (int64_t) sink->spec.timeout_ms * 1000;
	char text[OUTCOME_ERROR_MAX];

	snprintf(text, sizeof(text), "no delivery report within %d ms%s%.180s",
			 sink->spec.timeout_ms, sink->fault[0] != '\0' ? ": " : "",
			 sink->fault);
	sink_fail(sink, text);
	for (Flight *it = sink->flights.first; it != NULL; it = it->next)
	{
		if (!it->judged && now_us - it->start_us >= limit_us)
			flight_judge(it, OUTCOME_TRANSIENT,
						 RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, text);
	}
	producer_give_up(sink);
}

static void
timer_came(void *arg)
{
	SinkKafka *sink = arg;
	int64_t now_us = loop_now_us(sink->loop);
	int64_t left_us;

	if (sink->producer.rk == NULL)
	{
		sink_rebuild(sink);
		sink->dispatching = true;
		sink_finish(sink);
		return;
	}
	if (sink->flights.first == NULL)
		return;
	left_us = sink->flights.first->start_us +
			  (int64_t) sink->spec.timeout_ms * 1000 - now_us;
	if (left_us > 0)
		timer_set(sink->timer, (left_us + 999) / 1000);
	else
		flights_time_out(sink, now_us);
}

/*
 * Of one that has come to its end with nothing under way there is no report:
 * the first that it does not take shows it.
 */
static void
producer_renew(SinkKafka *sink)
{
	char text[OUTCOME_ERROR_MAX];

	if (sink->flights.first != NULL ||
		!kafka_ended(&sink->producer, text, sizeof(text)))
		return;
	sink_fail(sink, text);
	producer_give_up(sink);
}

/* A verdict of our own: it is the last one taken, see sink_judge. */
static void
later_came(void *arg)
{
	SinkKafka *sink = arg;

	if (sink->burying || !sink->hold)
		return;
	sink->dispatching = true;
	sink->hold = false;
	flight_done(sink, sink->flights.last);
	if (!sink->closed)
		producer_renew(sink);
	sink_finish(sink);
}

/*
 * Our own verdict, told from the loop.  Nothing else is taken before, so that
 * no later one overtakes this.
 */
static void
sink_judge(SinkKafka *sink, Flight *flight, OutcomeClass class,
		   rd_kafka_resp_err_t code, const char *text)
{
	flight_judge(flight, class, code, text);
	sink->hold = true;
	timer_set(sink->later, 0);
}

/* The queue is full; alone in it, waiting would not help. */
static bool
submit_full(SinkKafka *sink, Flight *flight)
{
	if (sink->flights.first != flight)
	{
		flights_remove(&sink->flights, flight);
		sink->wants_ready = true;
		sink->full = true;
		return false;
	}
	sink_judge(sink, flight, OUTCOME_TRANSIENT, RD_KAFKA_RESP_ERR__QUEUE_FULL,
			   "larger than queue.buffering.max.kbytes allows");
	return true;
}

static bool
sink_can_take(const SinkKafka *sink, const Delivery *delivery)
{
	if (sink->producer.rk == NULL || sink->hold || sink->cause[0] != '\0' ||
		!flights_admits(&sink->flights))
		return false;
	/* Suspects go alone: see the head of this file. */
	return sink->suspects == 0 || sink->flights.first == NULL ||
		   (delivery->attempt == 1 &&
			sink->flights.first->delivery->attempt == 1);
}

static bool
sink_kafka_submit(Sink *base, Delivery *delivery)
{
	SinkKafka *sink = (SinkKafka *) base;
	char room[KAFKA_TOPIC_MAX];
	const char *topic = kafka_topic(sink->topic, delivery->message, room);
	rd_kafka_resp_err_t code;
	Flight *flight;
	bool opens;

	assert(!delivery->message->payload_omitted);
	if (!sink_can_take(sink, delivery))
	{
		sink->wants_ready = true;
		sink->full = sink->flights.first != NULL;
		return false;
	}
	flight = flights_add(&sink->flights, delivery, loop_now_us(sink->loop));
	if (topic == NULL)
	{
		sink_judge(sink, flight, OUTCOME_PERMANENT,
				   RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
				   "the message has no topic, or not a legal one, and the "
				   "route has none");
		return true;
	}
	code = kafka_produce(&sink->producer, topic, delivery, flight,
						 flight->start_us, &opens);
	if (opens)
		sink->flights.opening = flight;
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return submit_full(sink, flight);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		sink_judge(sink, flight, kafka_class(code), code,
				   rd_kafka_err2str(code));
	else if (!timer_is_set(sink->timer))
		timer_set(sink->timer, sink->spec.timeout_ms);
	return true;
}

static Sink *
sink_kafka_open(Loop *loop, const Config *config, const RouteSpec *spec,
				SinkCaller caller, char *err, size_t err_size)
{
	char topic[KAFKA_TOPIC_MAX];
	const KafkaCluster *cluster =
		kafka_target(config, spec, topic, err, err_size);
	SinkKafka *sink;
	rd_kafka_conf_t *conf;

	if (cluster == NULL)
		return NULL;
	conf = kafka_conf(config, cluster, err, err_size);
	if (conf == NULL)
		return NULL;
	sink = mem_alloc(sizeof(*sink));
	sink->base.ops = &sink_kafka;
	sink->loop = loop;
	sink->caller = caller;
	sink->spec = *spec;
	sink->flights.window = spec->concurrency;
	sink->conf = conf;
	memcpy(sink->topic, topic, sizeof(topic));
	sink->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	sink->grave_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sink->event_fd < 0 || sink->grave_fd < 0)
	{
		log_error("kafka_failed", "could not make an eventfd: %m");
		exit(1);
	}
	sink->watch =
		loop_watch(loop, sink->event_fd, LOOP_READ, events_came, sink);
	sink->grave_watch =
		loop_watch(loop, sink->grave_fd, LOOP_READ, burial_over, sink);
	sink->timer = loop_timer(loop, timer_came, sink);
	sink->later = loop_timer(loop, later_came, sink);
	if (!producer_make(sink, err, err_size))
	{
		sink_release(sink);
		return NULL;
	}
	return &sink->base;
}

static void
sink_kafka_close(Sink *base)
{
	SinkKafka *sink = (SinkKafka *) base;

	sink->closed = true;
	if (!sink->dispatching)
		sink_release(sink);
}

const SinkOps sink_kafka = {
	.kind = "kafka",
	.keeps_order = true,
	.open = sink_kafka_open,
	.submit = sink_kafka_submit,
	.close = sink_kafka_close,
};
