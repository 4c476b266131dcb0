/*
 * test/unit/test_sink_http_memory.c
 *
 * The HTTP sink where libcurl finds no memory, for each allocation that a
 * delivery and the opening before it take, one after the other: the next
 * delivery succeeds, or the process ends to be started again.  No route is
 * broken by it, and no message is refused for good.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <curl/curl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_server.h"
#include "sink_bench.h"

#define ALLOCATIONS_MAX 2000
#define TRIES 4

/* How a child ended; 1 is the relay's own exit without memory. */
enum
{
	DELIVERS = 10,
	REFUSES,
	NEVER_DELIVERS,
	NOT_REACHED
};

/* A process that ends at once leaks what it holds. */
extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static int left; /* until the one that fails */

static void *
limited_malloc(size_t size)
{
	return --left == 0 ? NULL : malloc(size);
}

static void *
limited_realloc(void *old, size_t size)
{
	return --left == 0 ? NULL : realloc(old, size);
}

static char *
limited_strdup(const char *text)
{
	return --left == 0 ? NULL : strdup(text);
}

static void *
limited_calloc(size_t n, size_t size)
{
	return --left == 0 ? NULL : calloc(n, size);
}

static int
run_child(int port, int number)
{
	Network loopback = {AF_INET, {127}, 8};
	Config config = {.allow_targets = &loopback, .nallow_targets = 1};
	RouteSpec spec = {
		.timeout_ms = 1000, .connect_timeout_ms = 1000, .concurrency = 1};
	Bench *bench;

	snprintf(spec.target, sizeof(spec.target), "http://127.0.0.1:%d/in", port);
	left = number;
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, limited_malloc, free,
						 limited_realloc, limited_strdup, limited_calloc);
	bench = bench_open(&sink_http, &config, &spec);
	for (int i = 0; i < TRIES; i++)
	{
		if (!bench_submit(bench, i))
			bench_wait(bench, has_ready, bench->nready + 1, 20000);
		else if (!bench_wait(bench, has_done, bench->ndone + 1, 20000))
			return NEVER_DELIVERS;
		else if (bench->last.class == OUTCOME_OK)
			return left > 0 ? NOT_REACHED : DELIVERS;
		else if (bench->last.class == OUTCOME_PERMANENT)
			return REFUSES;
	}
	return NEVER_DELIVERS;
}

static int
end_of_child(int port, int number)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_child(port, number));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * The server in a process of its own: the thread of one in ours could hold a
 * lock of the sanitizer's while we fork, which no child would ever get.
 */
static int
server_process(void)
{
	int ends[2];
	int port = 0;

	if (pipe(ends) == 0 && fork() == 0)
	{
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		port = server_start();
		if (write(ends[1], &port, sizeof(port)) == sizeof(port))
			pause();
		_exit(1);
	}
	return read(ends[0], &port, sizeof(port)) == sizeof(port) ? port : 0;
}

int
main(void)
{
	int port = server_process();
	int exits = 0;
	int end = DELIVERS;

	for (int number = 1; end != NOT_REACHED && number < ALLOCATIONS_MAX;
		 number++)
	{
		end = end_of_child(port, number);
		exits += end == 1;
		if (end != 1 && end != DELIVERS && end != NOT_REACHED)
			diag("allocation %d: %s", number,
				 end == REFUSES          ? "the message is refused for good"
				 : end == NEVER_DELIVERS ? "nothing is delivered"
										 : "the route is broken, or a crash");
		ok(end == 1 || end == DELIVERS || end == NOT_REACHED,
		   "allocation %d finds no memory", number);
	}
	is_int(end, NOT_REACHED, "no more of them");
	ok(exits > 0, "%d times the process ended", exits);
	return tap_done();
}
