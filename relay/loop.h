/*
 * relay/loop.h
 *
 * The event loop: file descriptors, timers, signals, one cached clock.  A
 * thin skin over libevent, which no file but loop.c and listener.c includes.
 *
 * A watch or timer that has been freed gets no more calls, also within the
 * turn that freed it.  Nothing is called back from inside a loop_* call.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LOOP_H
#define OUTBOX_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_READ 0x01
#define LOOP_WRITE 0x02

typedef struct Loop Loop;
typedef struct Watch Watch;
typedef struct Timer Timer;

typedef void (*WatchCall)(void *arg, int fd, unsigned events);
typedef void (*TimerCall)(void *arg);
typedef void (*SignalCall)(void *arg, int signo);

/*
 * loop_new: NULL only when the operating system refuses.  From then on the
 * process ignores SIGPIPE.
 */
extern Loop *loop_new(void);
extern void loop_free(Loop *loop);

/* loop_run: until loop_stop; returns the code given to it. */
extern int loop_run(Loop *loop);
extern void loop_stop(Loop *loop, int exit_code);

/* loop_now_ms, loop_now_us: monotonic, read once a turn. */
extern int64_t loop_now_ms(const Loop *loop);
extern int64_t loop_now_us(const Loop *loop);
/* loop_wall_us: microseconds since 1970-01-01 UTC, of the same moment. */
extern int64_t loop_wall_us(const Loop *loop);

/* loop_watch: level-triggered, until freed. events: LOOP_READ | LOOP_WRITE. */
extern Watch *loop_watch(Loop *loop, int fd, unsigned events, WatchCall call,
						 void *arg);
extern void watch_set(Watch *watch, unsigned events);
extern void watch_free(Watch *watch);

/* loop_timer: not set; timer_set: one call after delay_ms (0: next turn). */
extern Timer *loop_timer(Loop *loop, TimerCall call, void *arg);
extern void timer_set(Timer *timer, int64_t delay_ms);
extern void timer_clear(Timer *timer);
extern bool timer_is_set(const Timer *timer);
extern void timer_free(Timer *timer);

/* loop_signal: for the life of the loop. */
extern void loop_signal(Loop *loop, int signo, SignalCall call, void *arg);

/* loop_after_turn: called at the end of every turn, for batching. */
extern void loop_after_turn(Loop *loop, TimerCall call, void *arg);

/* loop_base: the struct event_base, for listener.c alone. */
extern void *loop_base(Loop *loop);

#endif /* OUTBOX_LOOP_H */
