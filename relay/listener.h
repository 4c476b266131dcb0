/*
 * relay/listener.h
 *
 * The HTTP listener: takes a GET (or HEAD) for a path and sends the page its
 * caller makes of it.  What pages there are is not decided here.  Requests
 * are bounded in size and time, and each connection serves one.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LISTENER_H
#define OUTBOX_LISTENER_H

#include <stddef.h>

#include "loop.h"

#define LISTENER_HEADERS_MAX 8192
#define LISTENER_BODY_MAX 1024
#define LISTENER_TIMEOUT_S 10

typedef struct Listener Listener;

/* A page being written. */
typedef struct Page
{
	char *text;
	size_t len;
	size_t room;
	const char *content_type; /* a constant; text/plain unless set */
} Page;

extern void page_printf(Page *page, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * ListenerCall: writes the page of path, which has no query, and returns its
 * HTTP status: 404 for a path it does not know, with a page or without.
 * From the loop only; it does not close the listener.
 */
typedef int (*ListenerCall)(void *arg, const char *path, Page *page);

/*
 * listener_open: at host:port, [address]:port for IPv6; port 0 is any free
 * one.  NULL with a sentence in err when it cannot be had, but without memory
 * the process ends as in core/mem.h.
 */
extern Listener *listener_open(Loop *loop, const char *host_port,
							   ListenerCall call, void *arg, char *err,
							   size_t err_size);
/* listener_close: cuts off requests under way.  NULL is allowed. */
extern void listener_close(Listener *listener);

/* listener_port: the one it got. */
extern int listener_port(const Listener *listener);

#endif /* OUTBOX_LISTENER_H */
