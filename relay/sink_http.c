/*
 * relay/sink_http.c
 *
 * Delivers by HTTP or HTTPS POST with libcurl's multi interface.  libcurl
 * decides when a connection has something to do, loop.h says when it can;
 * http_headers.c what is sent beside the body; address.c where a connection
 * may go.  sink_http_request.c decides which class a failed transfer is.
 *
 * libcurl would of its own send a request again on a new connection when a
 * kept one turns out to be closed.  That would be a retry that nobody
 * counts, so the second request of a transfer is stopped (transfer_starts).
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "sink_http_request.h"

/* When libcurl had no memory and nothing is under way. */
#define MEMORY_WAIT_MS 1000

static void
busy_add(SinkHttp *sink, Request *request)
{
	request->prev = NULL;
	request->next = sink->busy;
	if (sink->busy != NULL)
		sink->busy->prev = request;
	sink->busy = request;
}

static void
busy_remove(SinkHttp *sink, Request *request)
{
	if (request->prev != NULL)
		request->prev->next = request->next;
	else
		sink->busy = request->next;
	if (request->next != NULL)
		request->next->prev = request->prev;
}

/* ---- the loop ---- */

Socket *
http_socket_of(SinkHttp *sink, int fd)
{
	if (fd >= sink->nsockets)
	{
		int n = fd + 64;

		sink->sockets = mem_realloc(sink->sockets, (size_t) n * sizeof(Socket));
		memset(&sink->sockets[sink->nsockets], 0,
			   (size_t) (n - sink->nsockets) * sizeof(Socket));
		sink->nsockets = n;
	}
	return &sink->sockets[fd];
}

static void
sink_release(SinkHttp *sink)
{
	Request *next;

	for (Request *request = sink->busy; request != NULL; request = next)
	{
		next = request->next;
		curl_multi_remove_handle(sink->multi, request->easy);
		http_request_free(request);
	}
	for (Request *request = sink->refused; request != NULL; request = next)
	{
		next = request->next;
		http_request_free(request);
	}
	for (Request *request = sink->idle; request != NULL; request = next)
	{
		next = request->next;
		http_request_free(request);
	}
	curl_multi_cleanup(sink->multi);
	for (int fd = 0; fd < sink->nsockets; fd++)
		watch_free(sink->sockets[fd].watch);
	timer_free(sink->curl_timer);
	timer_free(sink->later);
	mem_free(sink->sockets);
	mem_free(sink->networks);
	mem_free(sink->ca_file);
	curl_url_cleanup(sink->url);
	mem_free(sink);
}

/* The caller may submit or close from here. */
static void
request_done(Request *request)
{
	SinkHttp *sink = request->sink;
	Outcome *outcome = &request->outcome;

	sink->nbusy--;
	outcome->duration_us = loop_now_us(sink->loop) - request->start_us;
	sink->caller.done(sink->caller.arg, request->delivery, outcome);
	request->next = sink->idle;
	sink->idle = request;
}

static void
sink_tell_ready(SinkHttp *sink)
{
	if (sink->closed || !sink->wants_ready ||
		sink->nbusy >= sink->spec.concurrency)
		return;
	sink->wants_ready = false;
	sink->caller.ready(sink->caller.arg);
}

static void
sink_finish(SinkHttp *sink)
{
	sink_tell_ready(sink);
	sink->dispatching = false;
	if (sink->closed)
		sink_release(sink);
}

/* Says what libcurl has brought to an end. */
static void
sink_collect(SinkHttp *sink)
{
	CURLMsg *message;
	int left;

	sink->dispatching = true;
	while (!sink->closed &&
		   (message = curl_multi_info_read(sink->multi, &left)) != NULL)
	{
		CURLcode code = message->data.result;
		Request *request = NULL;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		http_request_judge(request, code);
		curl_multi_remove_handle(sink->multi, request->easy);
		busy_remove(sink, request);
		request_done(request);
	}
	sink_finish(sink);
}

static void
later_came(void *arg)
{
	SinkHttp *sink = arg;

	sink->dispatching = true;
	while (!sink->closed && sink->refused != NULL)
	{
		Request *request = sink->refused;

		sink->refused = request->next;
		if (sink->refused == NULL)
			sink->refused_end = &sink->refused;
		request_done(request);
	}
	sink_finish(sink);
}

/* A socket that libcurl cannot remember would never be heard again. */
static void
multi_act(SinkHttp *sink, curl_socket_t fd, int what)
{
	int running;

	if (curl_multi_socket_action(sink->multi, fd, what, &running) ==
		CURLM_OUT_OF_MEMORY)
		mem_exhausted();
	sink_collect(sink);
}

static void
curl_timer_came(void *arg)
{
	multi_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
curl_wants_timer(CURLM *multi, long delay_ms, void *arg)
{
	SinkHttp *sink = arg;

	(void) multi;
	if (delay_ms < 0)
		timer_clear(sink->curl_timer);
	else
		timer_set(sink->curl_timer, delay_ms);
	return 0;
}

static void
socket_ready(void *arg, int fd, unsigned events)
{
	SinkHttp *sink = arg;
	Socket *socket = &sink->sockets[fd];
	int what = 0;

	if ((events & socket->wanted) == 0)
	{
		/* Idle and closed by the other side: libcurl finds out at reuse. */
		socket->armed = socket->wanted;
		watch_set(socket->watch, socket->armed);
		return;
	}
	if (events & LOOP_READ)
		what |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		what |= CURL_CSELECT_OUT;
	multi_act(sink, fd, what);
}

static int
curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
				  void *unused)
{
	SinkHttp *sink = arg;
	Socket *socket = http_socket_of(sink, fd);

	(void) easy, (void) unused;
	socket->wanted = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		socket->wanted |= LOOP_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		socket->wanted |= LOOP_WRITE;
	/* An idle connection keeps its watch, if that is for reading only. */
	if (socket->wanted == socket->armed ||
		(what == CURL_POLL_REMOVE && socket->is_connection &&
		 socket->armed == LOOP_READ))
		return 0;
	if (what == CURL_POLL_REMOVE && !socket->is_connection)
	{
		watch_free(socket->watch);
		memset(socket, 0, sizeof(*socket));
		return 0;
	}
	socket->armed = socket->wanted;
	if (socket->watch == NULL)
		socket->watch =
			loop_watch(sink->loop, fd, socket->armed, socket_ready, sink);
	else
		watch_set(socket->watch, socket->armed);
	return 0;
}

/* ---- the contract ---- */

/* NULL: not a URL of ours; err says why. */
static CURLU *
target_parse(const RouteSpec *spec, char *err, size_t err_size)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, spec->target, 0);
	bool good = false;

	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (url == NULL || code == CURLUE_OUT_OF_MEMORY)
		mem_exhausted();
	if (code != CURLUE_OK)
		snprintf(err, err_size, "the target is not a URL: %s",
				 curl_url_strerror(code));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		snprintf(err, err_size,
				 "the target's scheme is \"%s\", expected http or https",
				 scheme);
	else
		good = true;
	curl_free(scheme);
	if (good)
		return url;
	curl_url_cleanup(url);
	return NULL;
}

static void
multi_init(SinkHttp *sink)
{
	long most = sink->spec.concurrency;

	sink->multi = curl_multi_init();
	if (sink->multi == NULL)
		mem_exhausted();
	curl_multi_setopt(sink->multi, CURLMOPT_MAX_HOST_CONNECTIONS, most);
	curl_multi_setopt(sink->multi, CURLMOPT_MAXCONNECTS, most);
	curl_multi_setopt(sink->multi, CURLMOPT_PIPELINING,
					  (long) CURLPIPE_NOTHING);
	curl_multi_setopt(sink->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
	curl_multi_setopt(sink->multi, CURLMOPT_SOCKETDATA, sink);
	curl_multi_setopt(sink->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
	curl_multi_setopt(sink->multi, CURLMOPT_TIMERDATA, sink);
}

static Sink *
sink_http_open(Loop *loop, const Config *config, const RouteSpec *spec,
			   SinkCaller caller, char *err, size_t err_size)
{
	static bool global_done;
	SinkHttp *sink;
	CURLU *url;

	/* libcurl names no other reason for which this could fail. */
	if (!global_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		mem_exhausted();
	global_done = true;
	if (config->ca_file != NULL && access(config->ca_file, R_OK) != 0)
	{
		snprintf(err, err_size, "could not read ca_file \"%s\": %m",
				 config->ca_file);
		return NULL;
	}
	url = target_parse(spec, err, err_size);
	if (url == NULL)
		return NULL;
	sink = mem_alloc(sizeof(*sink));
	sink->base.ops = &sink_http;
	sink->loop = loop;
	sink->caller = caller;
	sink->spec = *spec;
	sink->refused_end = &sink->refused;
	sink->url = url;
	if (config->ca_file != NULL)
		sink->ca_file = mem_copy(config->ca_file, strlen(config->ca_file) + 1);
	sink->nnetworks = config->nallow_targets;
	if (sink->nnetworks > 0)
		sink->networks = mem_copy(config->allow_targets,
								  (size_t) sink->nnetworks * sizeof(Network));
	sink->curl_timer = loop_timer(loop, curl_timer_came, sink);
	sink->later = loop_timer(loop, later_came, sink);
	multi_init(sink);
	return &sink->base;
}

/* Never sent; the reason is in its outcome. */
static void
request_refuse(SinkHttp *sink, Request *request, OutcomeClass class)
{
	request->outcome.class = class;
	request->next = NULL;
	*sink->refused_end = request;
	sink->refused_end = &request->next;
	timer_set(sink->later, 0);
}

static bool
sink_http_submit(Sink *base, Delivery *delivery)
{
	SinkHttp *sink = (SinkHttp *) base;
	Request *request = NULL;

	if (sink->nbusy < sink->spec.concurrency)
		request = http_request_take(sink);
	if (request == NULL)
	{
		sink->wants_ready = true;
		if (sink->nbusy == 0)
			timer_set(sink->later, MEMORY_WAIT_MS);
		return false;
	}
	http_request_init(request, delivery);
	sink->nbusy++;
	if (!http_headers_build(&request->headers, delivery->message,
							delivery->attempt, request->outcome.error,
							sizeof(request->outcome.error)))
	{
		request_refuse(sink, request, OUTCOME_PERMANENT);
		return true;
	}
	http_request_set_message(request, delivery->message);
	busy_add(sink, request);
	/* Only takes it on: the work is done when its timer calls. */
	if (curl_multi_add_handle(sink->multi, request->easy) != CURLM_OK)
		mem_exhausted();
	return true;
}

static void
sink_http_close(Sink *base)
{
	SinkHttp *sink = (SinkHttp *) base;

	sink->closed = true;
	if (!sink->dispatching)
		sink_release(sink);
}

const SinkOps sink_http = {
	.kind = "http",
	.keeps_order = false,
	.open = sink_http_open,
	.submit = sink_http_submit,
	.close = sink_http_close,
};
