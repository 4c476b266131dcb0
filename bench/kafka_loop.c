/*
 * bench/kafka_loop.c
 *
 * What librdkafka alone can do: COUNT records of SIZE bytes to a topic, with
 * the idempotent producer, acks=all and the properties the relay sets by
 * default, until each has its delivery report.  At most WINDOW are under way.
 * Prints the seconds from the first produce, the connection being open.
 *
 *	kafka_loop BOOTSTRAP TOPIC COUNT SIZE WINDOW
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const properties[][2] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"partitioner", "murmur2_random"},
	{"enable.gapless.guarantee", "true"},
	{"linger.ms", "0"},
	{"socket.nagle.disable", "true"},
	{"queue.buffering.max.messages", "10000"},
	{"queue.buffering.max.kbytes", "65536"},
};

static int reported;
static int failed;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void
on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
	(void) rk, (void) arg;
	reported++;
	failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *
producer_new(const char *bootstrap)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char err[512];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
	for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
		if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], err,
							  sizeof(err)) != RD_KAFKA_CONF_OK)
		{
			fprintf(stderr, "%s\n", err);
			exit(1);
		}
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof(err));
	if (rk == NULL)
	{
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	return rk;
}

/* The fields that the relay gives each record. */
static rd_kafka_headers_t *
headers_new(int number)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
	char text[20];

	snprintf(text, sizeof(text), "%d", number);
	rd_kafka_header_add(headers, "outbox-message-id", -1, text, -1);
	rd_kafka_header_add(headers, "outbox-message-type", -1, "bench", -1);
	rd_kafka_header_add(headers, "outbox-attempt", -1, "1", -1);
	rd_kafka_header_add(headers, "outbox-timestamp", -1,
						"2026-01-02T03:04:05.000000Z", -1);
	rd_kafka_header_add(headers, "content-type", -1, "application/json", -1);
	return headers;
}

static void
produce(rd_kafka_t *rk, const char *topic, int number, void *body, size_t size)
{
	rd_kafka_headers_t *headers = headers_new(number);
	rd_kafka_resp_err_t code = rd_kafka_producev(
		rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE(body, size), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_END);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		fprintf(stderr, "%s\n", rd_kafka_err2str(code));
		exit(1);
	}
}

static void
produce_all(rd_kafka_t *rk, const char *topic, int count, size_t size,
			int window)
{
	char *body = malloc(size + 1);

	memset(body, 'x', size);
	reported = failed = 0;
	for (int i = 0; i < count; i++)
	{
		while (i - reported >= window)
			rd_kafka_poll(rk, 100);
		produce(rk, topic, i, body, size);
		rd_kafka_poll(rk, 0);
	}
	while (reported < count)
		rd_kafka_poll(rk, 100);
	free(body);
}

int
main(int argc, char **argv)
{
	rd_kafka_t *rk;
	double began;

	if (argc != 6)
		return 2;
	rk = producer_new(argv[1]);
	produce_all(rk, argv[2], 1, 1, 1);
	began = now();
	produce_all(rk, argv[2], atoi(argv[3]), (size_t) atoi(argv[4]),
				atoi(argv[5]));
	printf("%.6f\n", now() - began);
	rd_kafka_destroy(rk);
	return failed == 0 ? 0 : 1;
}
