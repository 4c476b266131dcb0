/*
 * bench/receive.c
 *
 * Receives a logical replication stream and throws it away: what a slot's
 * decoding costs, whoever reads it.  Ends when the stream has passed LSN and
 * prints seconds since START_REPLICATION, messages and bytes.  It confirms
 * nothing, so that the next run is sent the same.
 *
 *	receive CONNINFO SLOT LSN OPTIONS
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <endian.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLY_SIZE 34 /* 'r', three positions, a time, a flag */
#define KEEPALIVE_SIZE 18

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void
die(PGconn *conn)
{
	fprintf(stderr, "%s", PQerrorMessage(conn));
	exit(1);
}

/* All positions 0: alive, and nothing is confirmed. */
static void
reply(PGconn *conn)
{
	char text[REPLY_SIZE] = "r";

	if (PQputCopyData(conn, text, REPLY_SIZE) != 1 || PQflush(conn) != 0)
		die(conn);
}

static uint64_t
position_at(const char *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return be64toh(value);
}

/* start: sends START_REPLICATION. */
static void
start(PGconn *conn, const char *slot, const char *options)
{
	char sql[1024];
	PGresult *result;

	snprintf(sql, sizeof(sql), "START_REPLICATION SLOT \"%s\" LOGICAL 0/0 (%s)",
			 slot, options);
	result = PQexec(conn, sql);
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		die(conn);
	PQclear(result);
}

static bool
is_past(PGconn *conn, const char *data, int len, uint64_t wanted)
{
	if (data[0] == 'k' && len >= KEEPALIVE_SIZE)
	{
		if (data[KEEPALIVE_SIZE - 1])
			reply(conn);
		return position_at(data + 1) >= wanted;
	}
	return false;
}

int
main(int argc, char **argv)
{
	int64_t messages = 0;
	int64_t bytes = 0;
	bool past = false;
	unsigned high, low;
	PGconn *conn;
	double began;

	if (argc != 5 || sscanf(argv[3], "%X/%X", &high, &low) != 2)
		return 2;
	conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK)
		die(conn);
	began = now();
	start(conn, argv[2], argv[4]);
	while (!past)
	{
		char *data;
		int len = PQgetCopyData(conn, &data, 0);

		if (len <= 0)
			die(conn);
		past = is_past(conn, data, len, (uint64_t) high << 32 | low);
		messages += data[0] == 'w';
		bytes += len;
		PQfreemem(data);
	}
	printf("%.6f %" PRId64 " %" PRId64 "\n", now() - began, messages, bytes);
	PQfinish(conn);
	return 0;
}
