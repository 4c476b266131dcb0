/*
 * test/unit/test_listener.c
 *
 * The HTTP listener, spoken to in raw bytes over loopback.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define DEADLINE_MS (3000 * LISTENER_TIMEOUT_S)

static Loop *loop;
static Listener *listener;
static int calls;
static char last_path[64];

static char answer[300000];
static size_t answer_len;
static bool gave_up;
static const char *pending; /* of the request, not sent yet */
static Watch *client;

static int
make_page(void *arg, const char *path, Page *page)
{
	(void) arg;
	calls++;
	snprintf(last_path, sizeof(last_path), "%s", path);
	if (strcmp(path, "/readyz") == 0)
	{
		page_printf(page, "not ready: %s\n", "no lease");
		return 503;
	}
	if (strcmp(path, "/metrics") != 0)
		return 404;
	page->content_type = "text/plain; version=0.0.4";
	for (int i = 0; i < 20000; i++)
		page_printf(page, "metric_%05d\n", i);
	return 200;
}

static void
client_ready(void *arg, int fd, unsigned events)
{
	ssize_t n;

	(void) arg;
	if (events & LOOP_WRITE)
	{
		n = send(fd, pending, strlen(pending), MSG_NOSIGNAL);
		pending += n > 0 ? n : 0;
		if (n < 0 || *pending == '\0')
			watch_set(client, LOOP_READ);
	}
	if (events & LOOP_READ)
	{
		n = recv(fd, answer + answer_len, sizeof(answer) - 1 - answer_len, 0);
		if (n > 0)
			answer_len += (size_t) n;
		else
			loop_stop(loop, 0);
	}
}

static void
give_up(void *arg)
{
	(void) arg;
	gave_up = true;
	diag("no end of the answer within %d ms", DEADLINE_MS);
	loop_stop(loop, 1);
}

static int
connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_port = htons((uint16_t) port),
								  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
		diag("cannot connect to port %d", port);
	return fd;
}

/* ask: everything that comes back until the connection is closed. */
static const char *
ask(const char *request)
{
	Timer *deadline = loop_timer(loop, give_up, NULL);
	int fd = connect_to(listener_port(listener));

	answer_len = 0;
	gave_up = false;
	pending = request;
	client = loop_watch(loop, fd, LOOP_READ | LOOP_WRITE, client_ready, NULL);
	timer_set(deadline, DEADLINE_MS);
	loop_run(loop);
	watch_free(client);
	timer_free(deadline);
	close(fd);
	answer[answer_len] = '\0';
	return answer;
}

static bool
starts_with(const char *text, const char *start)
{
	bool starts = strncmp(text, start, strlen(start)) == 0;

	if (!starts)
		diag("got: %.100s", text);
	return starts;
}

static const char *
body(void)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end == NULL ? "(no body)" : end + 4;
}

static void
test_pages(void)
{
	ok(starts_with(ask("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
				   "HTTP/1.1 200 OK\r\n"),
	   "a page");
	is_str(last_path, "/metrics", "the path is without the query");
	is_int(strlen(body()), 20000 * 13, "all of a long page");
	ok(strncmp(body(), "metric_00000\n", 13) == 0 &&
		   strcmp(body() + 19999 * 13, "metric_19999\n") == 0,
	   "from first to last line");
	ok(strstr(answer, "Content-Type: text/plain; version=0.0.4\r\n") != NULL,
	   "content type of the page");
	ok(starts_with(ask("GET /readyz HTTP/1.0\r\n\r\n"), "HTTP/1.0 503 "),
	   "status of the page");
	is_str(body(), "not ready: no lease\n", "with its text");
	ok(starts_with(ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
				   "HTTP/1.1 200 OK\r\n"),
	   "HEAD");
	is_str(body(), "", "has no body");
	ok(strstr(answer, "Content-Length: 260000\r\n") != NULL, "but its length");
	ok(starts_with(ask("GET /nope HTTP/1.1\r\nHost: a\r\n\r\n"),
				   "HTTP/1.1 404 Not Found\r\n"),
	   "no such page");
	is_str(body(), "Not Found\n", "says so");
}

static void
test_refusals(void)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS",
										  "PATCH"};
	static char huge[40000];
	char request[128];

	calls = 0;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
	{
		snprintf(request, sizeof(request),
				 "%s /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
				 methods[i]);
		ok(starts_with(ask(request), "HTTP/1.1 405 "), "%s", methods[i]);
	}
	ok(strstr(answer, "Allow: GET, HEAD\r\n") != NULL, "405 says what may be");
	ok(starts_with(ask("BREW / HTTP/1.1\r\n\r\n"), "HTTP/1.1 4") ||
		   starts_with(answer, "HTTP/1.1 5"),
	   "an unknown method");
	ok(starts_with(ask("\x16\x03\x01garbage\r\n\r\n"), "HTTP/1.1 4") ||
		   answer_len == 0,
	   "no HTTP at all");
	strcpy(huge, "GET /metrics HTTP/1.1\r\nX: ");
	memset(huge + strlen(huge), 'x', sizeof(huge) - 100);
	strcat(huge, "\r\n\r\n");
	ok(!starts_with(ask(huge), "HTTP/1.1 200"), "headers without end");
	ok(!starts_with(ask("GET /metrics HTTP/1.1\r\nContent-Length: "
						"99999999\r\n\r\n"),
					"HTTP/1.1 200"),
	   "a body without end");
	snprintf(huge, sizeof(huge),
			 "GET /metrics HTTP/1.1\r\nContent-Length: %d\r\n\r\n%0*d",
			 LISTENER_BODY_MAX + 1, LISTENER_BODY_MAX + 1, 0);
	ok(!starts_with(ask(huge), "HTTP/1.1 200"), "a body that is too long");
	ask("GET /metrics HT");
	ok(!gave_up, "who says no more is not waited for");
	is_int(calls, 0, "none of them is asked for a page");
	ok(starts_with(ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
				   "HTTP/1.1 200"),
	   "and the next one is served");
}

static void
test_open(void)
{
	static const char *const bad[] = {
		"", "9187", "a:", ":1", "a:x", "a:65536", "a:-1", "256.0.0.1:0", NULL};
	char err[256];
	char taken[32];

	for (int i = 0; bad[i] != NULL; i++)
	{
		err[0] = '\0';
		ok(listener_open(loop, bad[i], make_page, NULL, err, sizeof(err)) ==
				   NULL &&
			   err[0] != '\0',
		   "\"%s\": %s", bad[i], err);
	}
	snprintf(taken, sizeof(taken), "127.0.0.1:%d", listener_port(listener));
	ok(listener_open(loop, taken, make_page, NULL, err, sizeof(err)) == NULL &&
		   strstr(err, "in use") != NULL,
	   "a port that is taken: in use");
}

static int left; /* allocations of libevent that find memory */

static void *
limited_malloc(size_t size)
{
	if (left-- > 0)
		return malloc(size);
	errno = ENOMEM;
	return NULL;
}

static void *
limited_realloc(void *old, size_t size)
{
	if (left-- > 0)
		return realloc(old, size);
	errno = ENOMEM;
	return NULL;
}

/* open_with: in a process of its own, whose exit status it gives back. */
static int
open_with(int allocations)
{
	char err[256];
	int status;
	pid_t pid = fork();

	if (pid == 0)
	{
		left = allocations;
		event_set_mem_functions(limited_malloc, limited_realloc, free);
		_exit(listener_open(loop, "127.0.0.1:0", make_page, NULL, err,
							sizeof(err)) != NULL
				  ? 0
				  : 2);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_no_memory(void)
{
	int allocations = 0;

	while (open_with(allocations) == 1 && allocations < 1000)
		allocations++;
	is_int(open_with(allocations), 0,
		   "where memory ends after less than %d allocations it exits with 1",
		   allocations);
	ok(allocations > 0, "of which there are some");
}

int
main(void)
{
	char err[256] = "";

	loop = loop_new();
	listener =
		listener_open(loop, "127.0.0.1:0", make_page, NULL, err, sizeof(err));
	if (!ok(listener != NULL && listener_port(listener) > 0, "opened %s", err))
		return tap_done();
	is_int(calls, 0, "nothing is called from inside listener_open");
	test_pages();
	test_refusals();
	test_open();
	test_no_memory();
	listener_close(listener);
	listener_close(NULL);
	loop_free(loop);
	return tap_done();
}
