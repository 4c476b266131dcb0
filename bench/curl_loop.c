/*
 * bench/curl_loop.c
 *
 * What libcurl alone can do: COUNT POSTs of SIZE bytes to URL, CONCURRENCY at
 * a time on kept connections, by the multi_socket interface on epoll, with
 * header fields as the relay sends them.  Prints the seconds it took.
 *
 *	curl_loop URL COUNT SIZE CONCURRENCY
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define FIELDS 6

typedef struct Transfer
{
	CURL *easy;
	struct curl_slist lines[FIELDS];
	char text[FIELDS][80];
} Transfer;

static CURLM *multi;
static int epoll;
static long timeout_ms = -1;
static int count;
static int started;
static int finished;
static int good;
static unsigned armed[4096]; /* by descriptor: what epoll waits for */

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static int
wants_timer(CURLM *curl, long ms, void *arg)
{
	(void) curl, (void) arg;
	timeout_ms = ms;
	return 0;
}

/* An idle connection keeps its watch, as in the relay. */
static int
wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct epoll_event event = {.data.fd = fd};
	bool known = armed[fd] != 0;

	(void) easy, (void) arg, (void) unused;
	if (what == CURL_POLL_REMOVE)
		return 0;
	event.events |= what & CURL_POLL_IN ? EPOLLIN : 0;
	event.events |= what & CURL_POLL_OUT ? EPOLLOUT : 0;
	if (armed[fd] == event.events)
		return 0;
	armed[fd] = event.events;
	epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	return 0;
}

static size_t
swallow(char *data, size_t size, size_t n, void *arg)
{
	(void) data, (void) arg;
	return size * n;
}

static void
transfer_set_fields(Transfer *transfer, int number)
{
	snprintf(transfer->text[0], 80, "Content-Type: application/json");
	snprintf(transfer->text[1], 80, "Outbox-Message-Id: %d", number);
	snprintf(transfer->text[2], 80, "Outbox-Message-Type: bench");
	snprintf(transfer->text[3], 80, "Outbox-Attempt: 1");
	snprintf(transfer->text[4], 80, "Outbox-Timestamp: 2026-01-02T03:04:05Z");
	snprintf(transfer->text[5], 80, "User-Agent: curl_loop");
	for (int i = 0; i < FIELDS; i++)
	{
		transfer->lines[i].data = transfer->text[i];
		transfer->lines[i].next =
			i + 1 < FIELDS ? &transfer->lines[i + 1] : NULL;
	}
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->lines);
}

static void
transfer_start(Transfer *transfer)
{
	if (started == count)
		return;
	transfer_set_fields(transfer, ++started);
	curl_multi_add_handle(multi, transfer->easy);
}

static Transfer *
transfer_new(const char *url, const char *body, long size)
{
	Transfer *transfer = calloc(1, sizeof(*transfer));
	CURL *easy = curl_easy_init();

	transfer->easy = easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, size);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	return transfer;
}

static void
collect(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		Transfer *transfer = NULL;
		long status = 0;
		bool done = message->data.result == CURLE_OK;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		good += done && status == 200;
		finished++;
		curl_multi_remove_handle(multi, transfer->easy);
		transfer_start(transfer);
	}
}

static void
turn(void)
{
	struct epoll_event events[256];
	int running;
	int n = epoll_wait(epoll, events, 256,
					   timeout_ms < 0 ? 1000 : (int) timeout_ms);

	if (n == 0 || timeout_ms == 0)
	{
		timeout_ms = -1;
		curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	for (int i = 0; i < n; i++)
	{
		int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
				   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);

		curl_multi_socket_action(multi, events[i].data.fd, what, &running);
	}
	collect();
}

int
main(int argc, char **argv)
{
	double began;
	char *body;
	int size;

	if (argc != 5)
		return 2;
	count = atoi(argv[2]);
	size = atoi(argv[3]);
	body = malloc((size_t) size + 1);
	memset(body, 'x', (size_t) size);
	curl_global_init(CURL_GLOBAL_ALL);
	multi = curl_multi_init();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, wants_timer);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, wants_socket);
	began = now();
	for (int i = 0; i < atoi(argv[4]); i++)
		transfer_start(transfer_new(argv[1], body, size));
	while (finished < count)
		turn();
	printf("%.6f\n", now() - began);
	return good == count ? 0 : 1;
}
