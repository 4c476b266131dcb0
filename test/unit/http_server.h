/*
 * test/unit/http_server.h
 *
 * A destination for the sink tests: an HTTP server on a loopback port that
 * the kernel chose, one thread a connection, doing what it was told last.
 * Header only, like tap.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TEST_HTTP_SERVER_H
#define OUTBOX_TEST_HTTP_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sink_bench.h"
#include "tap.h"

typedef enum ServerMood
{
	SERVER_GOOD,         /* 200 */
	SERVER_BUSY,         /* 503, Retry-After: 7 */
	SERVER_GONE,         /* 410 */
	SERVER_REDIRECT,     /* 302 to itself */
	SERVER_HANG,         /* no answer until the mood changes, then 200 */
	SERVER_SLOW,         /* 200 after SLOW_MS */
	SERVER_TRICKLE,      /* a byte of a header at a time, for ever */
	SERVER_RESET,        /* RST instead of an answer */
	SERVER_CLOSE,        /* FIN instead of an answer */
	SERVER_CUT,          /* 200, half a body, RST */
	SERVER_GARBAGE,      /* what is not HTTP */
	SERVER_HUGE,         /* 200 and a body without end */
	SERVER_MANY_HEADERS, /* header fields without end */
	SERVER_LONG_HEADER,  /* one header field without end */
	SERVER_CONTINUES,    /* 100 Continue without end */
	SERVER_GZIP          /* a compressed body */
} ServerMood;

/* server_start: the port. */
static TAP_UNUSED int server_start(void);
static TAP_UNUSED void server_mood(ServerMood mood);
/* server_requests: read to their end since the last server_forget. */
static TAP_UNUSED int server_requests(void);
static TAP_UNUSED void server_forget(void);
/* server_last: the last request, head and body, NUL-terminated. */
static const char *server_last(void);

#define REQUEST_MAX 65536

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static ServerMood server_now;
static int server_seen;
static char server_text[REQUEST_MAX + 1];

static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static const char busy[] = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n"
						   "Content-Length: 4\r\n\r\nbusy";
static const char gone[] = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
static const char redirect[] =
	"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
static const char zipped[] =
	"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
	"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
static const char bytes_1000[1001] = {[0 ... 999] = 'x'};

static bool
say(int fd, const char *text, size_t len)
{
	while (len > 0)
	{
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t) n;
	}
	return true;
}

static void
pause_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void
say_for_ever(int fd, const char *start, const char *again, long ms)
{
	bool there = say(fd, start, strlen(start));

	while (there)
	{
		there = say(fd, again, strlen(again));
		if (ms > 0)
			pause_ms(ms);
	}
}

static void
reset(int fd)
{
	struct linger linger = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void
hang(void)
{
	pthread_mutex_lock(&mutex);
	while (server_now == SERVER_HANG)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

/* False when the connection is to be closed. */
static bool
answer(int fd, ServerMood now)
{
	switch (now)
	{
		case SERVER_HANG:
			hang();
			return say(fd, good, sizeof(good) - 1);
		case SERVER_SLOW:
			pause_ms(SLOW_MS);
			return say(fd, good, sizeof(good) - 1);
		case SERVER_GOOD:
			return say(fd, good, sizeof(good) - 1);
		case SERVER_BUSY:
			return say(fd, busy, sizeof(busy) - 1);
		case SERVER_GONE:
			return say(fd, gone, sizeof(gone) - 1);
		case SERVER_REDIRECT:
			return say(fd, redirect, sizeof(redirect) - 1);
		case SERVER_GZIP:
			return say(fd, zipped, sizeof(zipped) - 1);
		case SERVER_RESET:
			reset(fd);
			break;
		case SERVER_CUT:
			say(fd, half, sizeof(half) - 1);
			reset(fd);
			break;
		case SERVER_GARBAGE:
			say_for_ever(fd, "\x01\x02 nonsense\r\n\r\n", "", 20);
			break;
		case SERVER_HUGE:
			say_for_ever(fd, "HTTP/1.1 200 OK\r\n\r\n", bytes_1000, 0);
			break;
		case SERVER_TRICKLE:
			say_for_ever(fd, "HTTP/1.1 200 OK\r\nX: ", "x", 20);
			break;
		case SERVER_MANY_HEADERS:
			say_for_ever(fd, "HTTP/1.1 200 OK\r\n",
						 "A: one of many header fields\r\n", 0);
			break;
		case SERVER_LONG_HEADER:
			say_for_ever(fd, "HTTP/1.1 200 OK\r\nA: ", bytes_1000, 0);
			break;
		case SERVER_CONTINUES:
			say_for_ever(fd, "", "HTTP/1.1 100 Continue\r\n\r\n", 0);
			break;
		case SERVER_CLOSE:
			break;
	}
	return false;
}

/* Length of the request at the start of text; 0: not all there yet. */
static size_t
request_length(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "\r\nContent-Length:");

	if (end == NULL)
		return 0;
	return (size_t) (end + 4 - text) + (length != NULL && length < end
											? strtoul(length + 17, NULL, 10)
											: 0);
}

static ServerMood
request_seen(const char *text, size_t len)
{
	ServerMood now;

	pthread_mutex_lock(&mutex);
	server_seen++;
	memcpy(server_text, text, len);
	server_text[len] = '\0';
	now = server_now;
	pthread_mutex_unlock(&mutex);
	return now;
}

static void *
serve(void *arg)
{
	int fd = (int) (long) arg;
	char *text = calloc(1, REQUEST_MAX + 1);
	size_t len = 0;
	bool there = true;

	while (there)
	{
		ssize_t n = recv(fd, text + len, REQUEST_MAX - len, 0);
		size_t whole;

		if (n <= 0)
			break;
		len += (size_t) n;
		text[len] = '\0';
		whole = request_length(text);
		if (whole == 0 || whole > len)
			continue;
		there = answer(fd, request_seen(text, whole));
		len = 0;
	}
	free(text);
	close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int listener = (int) (long) arg;

	for (;;)
	{
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 ||
			pthread_create(&thread, NULL, serve, (void *) (long) fd) != 0)
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

static TAP_UNUSED int
server_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	if (listener < 0 ||
		bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 128) != 0 ||
		getsockname(listener, (struct sockaddr *) &address, &size) != 0 ||
		pthread_create(&thread, NULL, accept_all, (void *) (long) listener) !=
			0)
	{
		perror("cannot start the test server");
		exit(1);
	}
	pthread_detach(thread);
	return ntohs(address.sin_port);
}

static TAP_UNUSED void
server_mood(ServerMood fresh)
{
	pthread_mutex_lock(&mutex);
	server_now = fresh;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static TAP_UNUSED int
server_requests(void)
{
	int n;

	pthread_mutex_lock(&mutex);
	n = server_seen;
	pthread_mutex_unlock(&mutex);
	return n;
}

static TAP_UNUSED void
server_forget(void)
{
	pthread_mutex_lock(&mutex);
	server_seen = 0;
	server_text[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

static TAP_UNUSED const char *
server_last(void)
{
	return server_text;
}

#endif /* OUTBOX_TEST_HTTP_SERVER_H */
