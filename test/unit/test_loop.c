/*
 * test/unit/test_loop.c
 *
 * What relay/loop.h promises: order within a turn, one clock per turn,
 * silence after a free, nothing called from inside a call.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "loop.h"

#include <event2/buffer.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static Loop *loop;
static int turns;
static int calls;
static unsigned last_events;
static Watch *watches[2];
static Timer *timers[2];
static int pairs[2][2];
static int64_t seen_us[2];

static int64_t
clock_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
count_turn(void *arg)
{
	(void) arg;
	turns++;
}

static void
stop_call(void *arg)
{
	loop_stop(loop, *(int *) arg);
}

static void
count_call(void *arg)
{
	(void) arg;
	calls++;
}

static void
test_timers(void)
{
	static int code = 7;
	int64_t before = clock_now_us();
	Timer *timer = loop_timer(loop, stop_call, &code);
	Timer *cleared = loop_timer(loop, count_call, NULL);

	ok(!timer_is_set(timer), "a new timer is not set");
	timer_set(timer, 20);
	timer_set(cleared, 1);
	ok(timer_is_set(timer), "a set timer is set");
	timer_clear(cleared);
	ok(!timer_is_set(cleared), "a cleared timer is not set");
	is_int(loop_run(loop), 7, "loop_run gives the code of loop_stop");
	ok(clock_now_us() - before >= 20000, "a timer is never early");
	ok(!timer_is_set(timer), "a timer that fired is not set");
	is_int(calls, 0, "a cleared timer is not called");
	timer_set(timer, -5);
	is_int(loop_run(loop), 7, "a delay that is past is the next turn");
	timer_free(timer);
	timer_free(cleared);
	timer_free(NULL);
}

static void
set_again(void *arg)
{
	(void) arg;
	calls++;
	if (calls == 1)
		timer_set(timers[0], 0);
	else
		loop_stop(loop, turns);
}

static void
test_next_turn(void)
{
	calls = turns = 0;
	timers[0] = loop_timer(loop, set_again, NULL);
	timer_set(timers[0], 0);
	is_int(calls, 0, "nothing is called from inside timer_set");
	is_int(loop_run(loop), 1, "a timer set to 0 in a call waits a turn");
	is_int(turns, 2, "loop_after_turn is called at the end of each turn");
	timer_free(timers[0]);
}

/* The first of two ready watches frees the other. */
static void
free_other(void *arg, int fd, unsigned events)
{
	int self = *(int *) arg;

	(void) fd;
	last_events = events;
	calls++;
	seen_us[self] = loop_now_us(loop);
	watch_free(watches[1 - self]);
	watches[1 - self] = NULL;
	watch_free(watches[self]);
	watches[self] = NULL;
	loop_stop(loop, 0);
}

static void
test_freed_watch(void)
{
	static int index[2] = {0, 1};

	calls = 0;
	for (int i = 0; i < 2; i++)
	{
		ok(write(pairs[i][1], "x", 1) == 1, "descriptor %d is readable", i);
		watches[i] =
			loop_watch(loop, pairs[i][0], LOOP_READ, free_other, &index[i]);
	}
	is_int(calls, 0, "nothing is called from inside loop_watch");
	loop_run(loop);
	is_int(calls, 1, "a freed watch gets no call in the same turn");
	is_int(last_events, LOOP_READ, "events say what is ready");
	watch_free(NULL);
}

/* The first of two due timers frees the other. */
static void
free_other_timer(void *arg)
{
	int self = *(int *) arg;

	calls++;
	timer_free(timers[1 - self]);
	timers[1 - self] = NULL;
	timer_free(timers[self]);
	timers[self] = NULL;
	loop_stop(loop, 0);
}

static void
test_freed_timer(void)
{
	static int index[2] = {0, 1};

	calls = 0;
	for (int i = 0; i < 2; i++)
	{
		timers[i] = loop_timer(loop, free_other_timer, &index[i]);
		timer_set(timers[i], 0);
	}
	loop_run(loop);
	is_int(calls, 1, "a freed timer gets no call in the same turn");
}

static void
spend_time(void *arg, int fd, unsigned events)
{
	int self = *(int *) arg;
	int64_t until = clock_now_us() + 2000;
	char byte;

	(void) events;
	seen_us[self] = loop_now_us(loop);
	ok(read(fd, &byte, 1) == 1, "watch %d is level-triggered", self);
	while (clock_now_us() < until)
		continue;
	loop_stop(loop, 0);
}

static void
test_clock(void)
{
	static int index[2] = {0, 1};
	int64_t wall = (int64_t) time(NULL);

	for (int i = 0; i < 2; i++)
		watches[i] =
			loop_watch(loop, pairs[i][0], LOOP_READ, spend_time, &index[i]);
	loop_run(loop);
	ok(seen_us[0] == seen_us[1], "the clock is read once a turn");
	is_int(loop_now_ms(loop), loop_now_us(loop) / 1000, "ms are of the us");
	ok(llabs(loop_wall_us(loop) / 1000000 - wall) <= 5, "wall clock is UTC");
	for (int i = 0; i < 2; i++)
		watch_free(watches[i]);
}

static void
note_events(void *arg, int fd, unsigned events)
{
	(void) arg;
	(void) fd;
	calls++;
	last_events = events;
	loop_stop(loop, 0);
}

static void
test_watch_set(void)
{
	static int code = 3;
	Timer *timer = loop_timer(loop, stop_call, &code);

	calls = 0;
	watches[0] = loop_watch(loop, pairs[0][0], LOOP_READ, note_events, NULL);
	watch_set(watches[0], LOOP_READ | LOOP_WRITE);
	loop_run(loop);
	is_int(last_events, LOOP_WRITE, "watch_set adds an event");
	watch_set(watches[0], 0);
	calls = 0;
	timer_set(timer, 5);
	is_int(loop_run(loop), 3, "a watch for nothing is silent");
	is_int(calls, 0, "no call came");
	watch_set(watches[0], LOOP_WRITE);
	loop_run(loop);
	is_int(calls, 1, "and can be woken again");
	watch_free(watches[0]);
	timer_free(timer);
}

static void
signal_call(void *arg, int signo)
{
	*(int *) arg = signo;
	loop_stop(loop, 0);
}

static void
test_signal(void)
{
	int got = 0;

	loop_signal(loop, SIGUSR1, signal_call, &got);
	raise(SIGUSR1);
	is_int(got, 0, "a signal is not handled where it strikes");
	loop_run(loop);
	is_int(got, SIGUSR1, "but from the loop");
}

static void
test_stop(void)
{
	loop_stop(loop, 4);
	loop_stop(loop, 5);
	is_int(loop_run(loop), 4, "the first reason to stop is reported");
}

/* libevent forgets a connection, or crashes, without memory for it. */
static void
test_no_memory(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
	{
		evbuffer_expand(evbuffer_new(), SIZE_MAX / 4);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 1,
	   "libevent has the relay's memory, which ends the process");
}

int
main(void)
{
	loop = loop_new();
	for (int i = 0; i < 2; i++)
	{
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) != 0)
			return 2;
	}
	loop_after_turn(loop, count_turn, NULL);
	test_timers();
	test_next_turn();
	test_freed_watch();
	test_freed_timer();
	test_clock();
	test_watch_set();
	test_stop();
	test_signal();
	test_no_memory();
	for (int i = 0; i < 2; i++)
	{
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	loop_free(loop);
	loop_free(NULL);
	return tap_done();
}
