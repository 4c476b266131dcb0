/*
 * relay/loop.c
 *
 * The event loop over libevent.  libevent decides what is ready; this file
 * decides what a turn is: one wait, one reading of the clock, the calls of
 * all that was ready, then the calls registered with loop_after_turn.
 *
 * Freeing an event takes it off libevent's list of active ones too, which is
 * why a freed watch or timer gets no call from the turn that freed it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "loop.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"
#include "log.h"

struct Watch
{
	Loop *loop;
	struct event event;
	int fd;
	unsigned events;
	WatchCall call;
	void *arg;
};

struct Timer
{
	Loop *loop;
	struct event event;
	bool set;
	int64_t due_us;
	TimerCall call;
	void *arg;
};

typedef struct SignalWatch
{
	Loop *loop;
	struct event *event;
	SignalCall call;
	void *arg;
	struct SignalWatch *next;
} SignalWatch;

typedef struct AfterTurn
{
	TimerCall call;
	void *arg;
	struct AfterTurn *next;
} AfterTurn;

struct Loop
{
	struct event_base *base;
	bool clock_read; /* in this turn */
	int64_t now_us;
	int64_t wall_us;
	bool stopped;
	int exit_code;
	SignalWatch *signals;
	AfterTurn *after_turn;
};

/* loop_must: for what fails only when memory or kernel limits are at an end. */
static void
loop_must(bool condition, const char *what)
{
	if (condition)
		return;
	log_error("loop_failed", "could not %s: out of memory or descriptors",
			  what);
	exit(1);
}

static void *
loop_alloc(size_t size)
{
	void *memory = calloc(1, size);

	loop_must(memory != NULL, "allocate memory");
	return memory;
}

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
loop_read_clock(Loop *loop)
{
	loop->now_us = clock_us(CLOCK_MONOTONIC);
	loop->wall_us = clock_us(CLOCK_REALTIME);
	loop->clock_read = true;
}

/* loop_begin_call: the first call of a turn reads the clock for all. */
static void
loop_begin_call(Loop *loop)
{
	if (!loop->clock_read)
		loop_read_clock(loop);
}

/* libevent's own words would stand in the log without time and level. */
static void
take_message(int severity, const char *message)
{
	if (severity >= EVENT_LOG_WARN)
		log_warning("event_loop", "%s", message);
	else
		log_debug("event_loop", "%s", message);
}

static void *
event_memory(size_t size)
{
	return mem_realloc(NULL, size);
}

Loop *
loop_new(void)
{
	Loop *loop = NULL;
	struct event_base *base = NULL;
	struct event_config *config;

	/* Without memory evhttp crashes where a connection comes in. */
	event_set_mem_functions(event_memory, mem_realloc, mem_free);
	config = event_config_new();
	if (config == NULL)
		return NULL;
	/* A peer that has gone is an error of the write, not the end of us. */
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(take_message);
	/* The coarse clock would make timers up to 4 ms early or late. */
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		return NULL;
	loop = loop_alloc(sizeof(*loop));
	loop->base = base;
	loop_read_clock(loop);
	return loop;
}

void
loop_free(Loop *loop)
{
	if (loop == NULL)
		return;
	while (loop->signals != NULL)
	{
		SignalWatch *next = loop->signals->next;

		event_free(loop->signals->event);
		free(loop->signals);
		loop->signals = next;
	}
	while (loop->after_turn != NULL)
	{
		AfterTurn *next = loop->after_turn->next;

		free(loop->after_turn);
		loop->after_turn = next;
	}
	event_base_free(loop->base);
	free(loop);
}

int
loop_run(Loop *loop)
{
	while (!loop->stopped)
	{
		loop->clock_read = false;
		loop_must(event_base_loop(loop->base, EVLOOP_ONCE) == 0,
				  "wait for events");
		loop_begin_call(loop);
		for (AfterTurn *it = loop->after_turn; it != NULL; it = it->next)
			it->call(it->arg);
	}
	loop->stopped = false;
	return loop->exit_code;
}

void
loop_stop(Loop *loop, int exit_code)
{
	/* The first reason to stop is the one to report. */
	if (!loop->stopped)
		loop->exit_code = exit_code;
	loop->stopped = true;
}

int64_t
loop_now_us(const Loop *loop)
{
	return loop->now_us;
}

int64_t
loop_now_ms(const Loop *loop)
{
	return loop->now_us / 1000;
}

int64_t
loop_wall_us(const Loop *loop)
{
	return loop->wall_us;
}

void *
loop_base(Loop *loop)
{
	return loop->base;
}

static void
watch_ready(evutil_socket_t fd, short what, void *arg)
{
	Watch *watch = arg;
	unsigned events = 0;

	loop_begin_call(watch->loop);
	if (what & EV_READ)
		events |= LOOP_READ;
	if (what & EV_WRITE)
		events |= LOOP_WRITE;
	watch->call(watch->arg, fd, events);
	/* watch may be gone now */
}

static void
watch_add(Watch *watch)
{
	short what = EV_PERSIST;

	if (watch->events == 0)
		return;
	if (watch->events & LOOP_READ)
		what |= EV_READ;
	if (watch->events & LOOP_WRITE)
		what |= EV_WRITE;
	event_assign(&watch->event, watch->loop->base, watch->fd, what, watch_ready,
				 watch);
	loop_must(event_add(&watch->event, NULL) == 0, "watch a descriptor");
}

Watch *
loop_watch(Loop *loop, int fd, unsigned events, WatchCall call, void *arg)
{
	Watch *watch = loop_alloc(sizeof(*watch));

	assert(fd >= 0 && call != NULL);
	watch->loop = loop;
	watch->fd = fd;
	watch->events = events;
	watch->call = call;
	watch->arg = arg;
	event_assign(&watch->event, loop->base, fd, EV_PERSIST, watch_ready, watch);
	watch_add(watch);
	return watch;
}

void
watch_set(Watch *watch, unsigned events)
{
	if (watch->events == events)
		return;
	event_del(&watch->event);
	watch->events = events;
	watch_add(watch);
}

void
watch_free(Watch *watch)
{
	if (watch == NULL)
		return;
	event_del(&watch->event);
	free(watch);
}

static void
timer_add(Timer *timer, int64_t delay_us)
{
	struct timeval delay = {.tv_sec = delay_us / 1000000,
							.tv_usec = delay_us % 1000000};

	timer->set = true;
	loop_must(evtimer_add(&timer->event, &delay) == 0, "set a timer");
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	Timer *timer = arg;
	int64_t left_us;

	(void) fd;
	(void) what;
	loop_begin_call(timer->loop);
	left_us = timer->due_us - timer->loop->now_us;
	/* libevent counts from its own reading of the clock, a little earlier */
	if (left_us > 0)
	{
		timer_add(timer, left_us);
		return;
	}
	timer->set = false;
	timer->call(timer->arg);
	/* timer may be gone now */
}

Timer *
loop_timer(Loop *loop, TimerCall call, void *arg)
{
	Timer *timer = loop_alloc(sizeof(*timer));

	timer->loop = loop;
	timer->call = call;
	timer->arg = arg;
	evtimer_assign(&timer->event, loop->base, timer_fired, timer);
	return timer;
}

void
timer_set(Timer *timer, int64_t delay_ms)
{
	int64_t delay_us = delay_ms > 0 ? delay_ms * 1000 : 0;

	timer->due_us = timer->loop->now_us + delay_us;
	timer_add(timer, delay_us);
}

void
timer_clear(Timer *timer)
{
	evtimer_del(&timer->event);
	timer->set = false;
}

bool
timer_is_set(const Timer *timer)
{
	return timer->set;
}

void
timer_free(Timer *timer)
{
	if (timer == NULL)
		return;
	evtimer_del(&timer->event);
	free(timer);
}

static void
signal_came(evutil_socket_t signo, short what, void *arg)
{
	SignalWatch *watch = arg;

	(void) what;
	loop_begin_call(watch->loop);
	watch->call(watch->arg, signo);
}

void
loop_signal(Loop *loop, int signo, SignalCall call, void *arg)
{
	SignalWatch *watch = loop_alloc(sizeof(*watch));

	watch->loop = loop;
	watch->call = call;
	watch->arg = arg;
	watch->event = evsignal_new(loop->base, signo, signal_came, watch);
	loop_must(watch->event != NULL && event_add(watch->event, NULL) == 0,
			  "watch a signal");
	watch->next = loop->signals;
	loop->signals = watch;
}

void
loop_after_turn(Loop *loop, TimerCall call, void *arg)
{
	AfterTurn **last = &loop->after_turn;

	while (*last != NULL)
		last = &(*last)->next;
	*last = loop_alloc(sizeof(**last));
	(*last)->call = call;
	(*last)->arg = arg;
}
