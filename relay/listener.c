/*
 * relay/listener.c
 *
 * The HTTP listener over libevent's evhttp.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "listener.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/mem.h"

/* All that evhttp knows, so that the refusal is ours: 405 and not 501. */
#define ALL_METHODS                                                            \
	(EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |     \
	 EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |               \
	 EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct Listener
{
	struct evhttp *http;
	int port;
	ListenerCall call;
	void *arg;
};

void
page_printf(Page *page, const char *format, ...)
{
	va_list args;
	int needed;

	for (;;)
	{
		size_t left = page->room - page->len;

		va_start(args, format);
		needed = vsnprintf(page->text == NULL ? NULL : page->text + page->len,
						   left, format, args);
		va_end(args);
		if (needed < 0)
			return;
		if ((size_t) needed < left)
			break;
		page->room = (page->room + (size_t) needed + 1) * 2;
		page->text = mem_realloc(page->text, page->room);
	}
	page->len += (size_t) needed;
}

static const char *
reason_of(int status)
{
	switch (status)
	{
		case 200:
			return "OK";
		case 404:
			return "Not Found";
		case 405:
			return "Method Not Allowed";
		case 503:
			return "Service Unavailable";
		default:
			return "Other";
	}
}

/* make_page: the status; a page that is empty gets the reason as its text. */
static int
make_page(Listener *listener, struct evhttp_request *request, Page *page)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	int status = 404;

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
		status = 405;
	else if (path != NULL)
		status = listener->call(listener->arg, path, page);
	if (page->len == 0)
		page_printf(page, "%s\n", reason_of(status));
	return status;
}

static void
take_request(struct evhttp_request *request, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	Page page = {.content_type = "text/plain; charset=utf-8"};
	struct evbuffer *body = evbuffer_new();
	int status = make_page(arg, request, &page);
	char length[32];

	/* evhttp would send the body of an answer to HEAD too */
	snprintf(length, sizeof(length), "%zu", page.len);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		page.len = 0;
	if (body != NULL && evbuffer_add(body, page.text, page.len) == 0)
	{
		evhttp_add_header(headers, "Content-Length", length);
		evhttp_add_header(headers, "Content-Type", page.content_type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		evhttp_add_header(headers, "Connection", "close");
		if (status == 405)
			evhttp_add_header(headers, "Allow", "GET, HEAD");
		evhttp_send_reply(request, status, reason_of(status), body);
	}
	else
		evhttp_send_error(request, 500, NULL);
	if (body != NULL)
		evbuffer_free(body);
	mem_free(page.text);
}

static int
port_of(evutil_socket_t fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *) &address, &len) != 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *) &address)->sin6_port);
	return ntohs(((struct sockaddr_in *) &address)->sin_port);
}

/* split_address: host without its brackets; false when it is no address. */
static bool
split_address(const char *host_port, char *host, size_t size, uint16_t *port)
{
	const char *colon = strrchr(host_port, ':');
	char *end = NULL;
	size_t len;
	long number;

	if (colon == NULL || colon == host_port)
		return false;
	number = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || number < 0 || number > 65535)
		return false;
	len = (size_t) (colon - host_port);
	if (len > 2 && host_port[0] == '[' && host_port[len - 1] == ']')
	{
		host_port++;
		len -= 2;
	}
	if (len >= size)
		return false;
	memcpy(host, host_port, len);
	host[len] = '\0';
	*port = (uint16_t) number;
	return true;
}

static bool
bind_to(Listener *listener, const char *host_port, char *err, size_t err_size)
{
	char host[256];
	uint16_t port;
	struct evhttp_bound_socket *bound;

	if (!split_address(host_port, host, sizeof(host), &port))
	{
		snprintf(err, err_size, "cannot listen at \"%s\": expected host:port",
				 host_port);
		return false;
	}
	errno = 0;
	bound = evhttp_bind_socket_with_handle(listener->http, host, port);
	if (bound == NULL && errno == ENOMEM)
		mem_exhausted();
	if (bound == NULL)
	{
		snprintf(err, err_size, "could not listen at %s: %s", host_port,
				 errno == 0 ? "no such address" : strerror(errno));
		return false;
	}
	listener->port = port_of(evhttp_bound_socket_get_fd(bound));
	return true;
}

Listener *
listener_open(Loop *loop, const char *host_port, ListenerCall call, void *arg,
			  char *err, size_t err_size)
{
	Listener *listener = mem_alloc(sizeof(*listener));

	listener->call = call;
	listener->arg = arg;
	listener->http = evhttp_new(loop_base(loop));
	if (listener->http == NULL)
		mem_exhausted();
	if (bind_to(listener, host_port, err, err_size))
	{
		evhttp_set_allowed_methods(listener->http, ALL_METHODS);
		evhttp_set_max_headers_size(listener->http, LISTENER_HEADERS_MAX);
		evhttp_set_max_body_size(listener->http, LISTENER_BODY_MAX);
		evhttp_set_timeout(listener->http, LISTENER_TIMEOUT_S);
		evhttp_set_gencb(listener->http, take_request, listener);
		return listener;
	}
	listener_close(listener);
	return NULL;
}

void
listener_close(Listener *listener)
{
	if (listener == NULL)
		return;
	evhttp_free(listener->http);
	mem_free(listener);
}

int
listener_port(const Listener *listener)
{
	return listener->port;
}
