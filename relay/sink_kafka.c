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
 * all that had no report yet held back, in the order of submit, and a new
 * producer is made.  Meanwhile submit refuses.  Time-outs are ours, for the
 * same reason: message.timeout.ms would drop one message and send the next.
 *
 * A request that is on its way already when one fails is refused by the
 * broker, by its sequence number, if the broker knows the producer.  Until it
 * does what has been taken may wait here: see sink_kafka_partitions.h.
 *
 * A broker judges batches, not messages.  A PERMANENT verdict is believed of
 * a delivery that was alone under way; else all of the batch are held back,
 * and fewer go together until the one is found: see sink_kafka_flights.h.
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
#include "sink_kafka_produce.h"

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
	bool burying; /* the old producer is not gone yet */
	bool hold;    /* a verdict of our own is to be told first */
	bool ended;   /* the producer has; reports of what it sent may come */
	bool wants_ready;
	bool full;   /* until one more has been told */
	bool opened; /* what waited for a partition may go */
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

	flight_outcome(flight, loop_now_us(sink->loop), &outcome);
	flights_remove(&sink->flights, flight);
	sink->full = false;
	sink->caller.done(sink->caller.arg, flight->delivery, &outcome);
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
	sink->ended = false;
	sink->burying = true;
	log_info("kafka_producer_ended", "route \"%s\": new producer after: %s",
			 sink->spec.name, sink->cause);
	kafka_bury(&sink->producer, fd);
}

static bool
sink_can_take(const SinkKafka *sink)
{
	return sink->producer.rk != NULL && !sink->hold && !sink->ended &&
		   sink->cause[0] == '\0' && flights_admits(&sink->flights);
}

/* The caller may have closed the sink in a done or ready. */
static void
sink_finish(SinkKafka *sink)
{
	if (!sink->closed && sink->wants_ready && !sink->full &&
		sink_can_take(sink))
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
	sink->opened = false;
	if (kafka_producer(&sink->producer, sink->conf, sink->topic, sink->event_fd,
					   err, sizeof(err)))
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
	int under_way = sink->flights.count;
	eventfd_t count;

	(void) events;
	eventfd_read(fd, &count);
	sink->burying = false;
	sink->hold = false;
	sink->dispatching = true;
	flights_hold_back(&sink->flights, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
					  RD_KAFKA_RESP_ERR__FATAL, sink->cause);
	while (!sink->closed && sink->flights.first != NULL)
		flight_done(sink, sink->flights.first);
	flights_search(&sink->flights, under_way);
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
delivery_failed(SinkKafka *sink, Flight *flight, rd_kafka_resp_err_t code)
{
	const char *text = rd_kafka_err2str(code);

	if (kafka_follows(code, sink->cause[0] != '\0'))
	{
		flight_hold_back(flight, code, text);
		sink->ended = true;
		return;
	}
	flights_fail(&sink->flights, flight, kafka_class(code), code, text);
	sink_fail(sink, text);
}

/* Of what the producer has sent reports come, even when it has ended. */
static void
ended_finish(SinkKafka *sink)
{
	char text[OUTCOME_ERROR_MAX] = "the producer has ended";

	if (!flights_all_judged(&sink->flights))
		return;
	kafka_ended(&sink->producer, text, sizeof(text));
	sink_fail(sink, text);
}

static void
report_read(SinkKafka *sink, const rd_kafka_message_t *report)
{
	Flight *flight = report->_private;

	if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (kafka_taken(&sink->producer, report, &flight->passage,
						loop_now_us(sink->loop)))
			sink->opened = true;
		flight_judge(flight, OUTCOME_OK, report->err, "");
		flight_done(sink, flight);
		return;
	}
	delivery_failed(sink, flight, report->err);
}

/* A failure ends the producer, since others may wait behind it. */
static void
waiting_go(SinkKafka *sink)
{
	Flight *last;
	rd_kafka_resp_err_t code =
		kafka_produce_waiting(&sink->producer, sink->topic, &sink->flights,
							  loop_now_us(sink->loop), &last);

	sink->opened = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR && !sink->opened)
		delivery_failed(sink, last, code);
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
			snprintf(sink->fault, sizeof(sink->fault), "%s",
					 rd_kafka_event_error_string(event));
			log_debug("kafka_fault", "route \"%s\": %s", sink->spec.name,
					  sink->fault);
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
	if (!sink->closed && sink->ended)
		ended_finish(sink);
	else if (!sink->closed && sink->opened && sink->cause[0] == '\0')
		waiting_go(sink);
	if (!sink->closed && sink->cause[0] != '\0')
		producer_give_up(sink);
	sink_finish(sink);
}

/* Everything that is past its time has no answer; the rest waits behind it. */
static void
flights_time_out(SinkKafka *sink, int64_t now_us)
{
	char text[OUTCOME_ERROR_MAX];

	snprintf(text, sizeof(text), "no delivery report within %d ms%s%.180s",
			 sink->spec.timeout_ms, sink->fault[0] != '\0' ? ": " : "",
			 sink->fault);
	sink_fail(sink, text);
	flights_judge_late(&sink->flights,
					   now_us - (int64_t) sink->spec.timeout_ms * 1000,
					   RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, text);
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

/* One that ended with nothing under way shows by the first it refuses. */
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

static bool
submit_refuse(SinkKafka *sink)
{
	sink->wants_ready = true;
	sink->full = sink->flights.first != NULL;
	return false;
}

/* The producer did not take it; alone there, waiting would not help. */
static bool
submit_failed(SinkKafka *sink, Flight *flight, rd_kafka_resp_err_t code)
{
	bool queue_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;

	if ((queue_full || kafka_follows(code, false)) &&
		sink->flights.first != flight)
	{
		flights_remove(&sink->flights, flight);
		return submit_refuse(sink);
	}
	sink_judge(sink, flight, kafka_class(code), code,
			   queue_full ? "larger than queue.buffering.max.kbytes allows"
						  : rd_kafka_err2str(code));
	return true;
}

static bool
sink_kafka_submit(Sink *base, Delivery *delivery)
{
	SinkKafka *sink = (SinkKafka *) base;
	char room[KAFKA_TOPIC_MAX];
	const char *topic = kafka_topic(sink->topic, delivery->message, room);
	rd_kafka_resp_err_t code;
	Flight *flight;

	assert(!delivery->message->payload_omitted);
	if (!sink_can_take(sink))
		return submit_refuse(sink);
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
						 &flight->passage, flight->start_us);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != KAFKA_WAITS)
		return submit_failed(sink, flight, code);
	if (!timer_is_set(sink->timer))
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
	if (!kafka_producer(&sink->producer, conf, topic, sink->event_fd, err,
						err_size))
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
