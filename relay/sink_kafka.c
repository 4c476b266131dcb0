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
 * only of a delivery that was alone under way; else all of the batch are told
 * as held back, and fewer go together until the one is found.
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
	bool burying; /* the old producer is not gone yet */
	bool hold;    /* a verdict of our own is to be told first */
	bool fatal;   /* the producer has ended; what it still says is awaited */
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
	outcome.held_back = flight->held_back;
	outcome.status = flight->code;
	outcome.retry_after_ms = -1;
	outcome.duration_us = loop_now_us(sink->loop) - flight->start_us;
	outcome.answer_len = 0;
	memcpy(outcome.error, flight->error, sizeof(outcome.error));
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
	sink->fatal = false;
	sink->burying = true;
	log_info("kafka_producer_ended", "route \"%s\": new producer after: %s",
			 sink->spec.name, sink->cause);
	kafka_bury(&sink->producer, fd);
}

static bool
sink_can_take(const SinkKafka *sink)
{
	return sink->producer.rk != NULL && !sink->hold && !sink->fatal &&
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
	int under_way = sink->flights.count;
	eventfd_t count;

	(void) events;
	eventfd_read(fd, &count);
	sink->burying = false;
	sink->hold = false;
	sink->dispatching = true;
	snprintf(text, sizeof(text), "held back: %s", sink->cause);
	while (!sink->closed && sink->flights.first != NULL)
	{
		if (!sink->flights.first->judged)
			flight_hold_back(sink->flights.first,
							 RD_KAFKA_RESP_ERR__PURGE_QUEUE, text);
		flight_done(sink, sink->flights.first);
	}
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
report_read(SinkKafka *sink, const rd_kafka_message_t *report)
{
	Flight *flight = report->_private;
	OutcomeClass class = kafka_class(report->err);
	const char *text;

	if (class == OUTCOME_OK)
	{
		kafka_taken(&sink->producer, report, loop_now_us(sink->loop));
		flight_judge(flight, class, report->err, "");
		flight_done(sink, flight);
		return;
	}
	text = rd_kafka_err2str(report->err);
	if (kafka_follows(report->err, sink->cause[0] != '\0'))
	{
		flight_hold_back(flight, report->err, text);
		return;
	}
	if (class == OUTCOME_PERMANENT)
		flights_refuse(&sink->flights, flight, report->err, text);
	else
		flight_judge(flight, class, report->err, text);
	sink_fail(sink, text);
}

static void
error_read(SinkKafka *sink, rd_kafka_event_t *event)
{
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL)
	{
		rd_kafka_fatal_error(sink->producer.rk, sink->fault,
							 sizeof(sink->fault));
		sink->fatal = true;
		return;
	}
	snprintf(sink->fault, sizeof(sink->fault), "%s",
			 rd_kafka_event_error_string(event));
	log_debug("kafka_fault", "route \"%s\": %s", sink->spec.name, sink->fault);
}

static void
log_read(SinkKafka *sink, rd_kafka_event_t *event)
{
	const char *facility;
	const char *text;
	int level;

	if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
		log_debug("kafka_log", "route \"%s\": %s: %s", sink->spec.name,
				  facility, text);
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
			log_read(sink, event);
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
	/* which one failed comes in a report, perhaps after the fatal error */
	if (sink->fatal && flights_all_judged(&sink->flights))
		sink_fail(sink, sink->fault);
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

/* The producer did not take it. */
static bool
submit_failed(SinkKafka *sink, Flight *flight, rd_kafka_resp_err_t code)
{
	bool queue_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;

	/* alone in the queue, waiting would not help */
	if (kafka_follows(code, false) ||
		(queue_full && sink->flights.first != flight))
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
	bool opens;

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
						 flight->start_us, &opens);
	if (opens)
		sink->flights.opening = flight;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
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
	conf = kafka_conf(config, cluster, spec, err, err_size);
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
