/*
 * relay/sink_http.c
 *
 * Delivers by HTTP or HTTPS POST with libcurl's multi interface.  libcurl
 * decides when a connection has something to do, loop.h says when it can;
 * http_headers.c what is sent beside the body; address.c where a connection
 * may go.  This file decides which class a failed transfer is.
 *
 * libcurl would of its own send a request again on a new connection when a
 * kept one turns out to be closed.  That would be a retry that nobody
 * counts, so the second request of a transfer is stopped (transfer_starts).
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "address.h"
#include "config.h"
#include "core/mem.h"
#include "http_headers.h"
#include "loop.h"

/* Of an answer no more than this is read, body and header fields. */
#define ANSWER_READ_MAX 65536
#define ANSWER_HEADERS_MAX 65536

/* When libcurl had no memory and nothing is under way. */
#define MEMORY_WAIT_MS 1000

typedef struct SinkHttp SinkHttp;

/* One delivery under way, or waiting in the sink's idle list. */
typedef struct Request
{
	SinkHttp *sink;
	CURL *easy;
	Delivery *delivery;
	int64_t start_us;
	struct Request *prev; /* in busy */
	struct Request *next; /* in busy, refused or idle */
	int starts;
	size_t body_read;
	size_t headers_read;
	bool too_many_headers;
	char refused[ADDRESS_TEXT_MAX]; /* by the address filter; "": none */
	char error[CURL_ERROR_SIZE];
	Outcome outcome;
	HttpHeaders headers;
	struct curl_slist lines[HTTP_HEADERS_MAX];
} Request;

/*
 * A socket of libcurl's.  The watch of a connection is kept while the
 * connection is idle: taking it off and adding it again would be two system
 * calls for each delivery.
 */
typedef struct Socket
{
	Watch *watch;
	unsigned armed;     /* what the watch waits for */
	unsigned wanted;    /* what libcurl waits for */
	bool is_connection; /* libcurl says when it is closed */
} Socket;

struct SinkHttp
{
	Sink base;
	Loop *loop;
	SinkCaller caller;
	CURLM *multi;
	Timer *curl_timer;
	Timer *later; /* refused deliveries and ready */
	char *url;
	char *ca_file;
	RouteSpec spec;
	Network *networks;
	int nnetworks;
	Socket *sockets; /* by descriptor */
	int nsockets;
	Request *busy;
	Request *refused;
	Request **refused_end;
	Request *idle;
	int nbusy;
	bool wants_ready;
	bool dispatching; /* in a call of the caller's */
	bool closed;
};

/* What a transfer that did not end well means; all others TRANSIENT. */
static const struct
{
	CURLcode code;
	OutcomeClass class;
} curl_classes[] = {
	{CURLE_URL_MALFORMAT, OUTCOME_PERMANENT},
	{CURLE_UNSUPPORTED_PROTOCOL, OUTCOME_PERMANENT},
	{CURLE_NOT_BUILT_IN, OUTCOME_PERMANENT},
	{CURLE_COULDNT_RESOLVE_HOST, OUTCOME_TRANSIENT},
	{CURLE_COULDNT_CONNECT, OUTCOME_TRANSIENT},
	{CURLE_OPERATION_TIMEDOUT, OUTCOME_TRANSIENT},
	{CURLE_GOT_NOTHING, OUTCOME_TRANSIENT},
	{CURLE_SEND_ERROR, OUTCOME_TRANSIENT},
	{CURLE_RECV_ERROR, OUTCOME_TRANSIENT},
	{CURLE_PARTIAL_FILE, OUTCOME_TRANSIENT},
	{CURLE_WEIRD_SERVER_REPLY, OUTCOME_TRANSIENT},
	{CURLE_SSL_CONNECT_ERROR, OUTCOME_TRANSIENT},
	{CURLE_PEER_FAILED_VERIFICATION, OUTCOME_TRANSIENT},
	{CURLE_SSL_CACERT_BADFILE, OUTCOME_TRANSIENT},
};

static OutcomeClass
class_of_curl(CURLcode code)
{
	size_t n = sizeof(curl_classes) / sizeof(curl_classes[0]);

	for (size_t i = 0; i < n; i++)
	{
		if (curl_classes[i].code == code)
			return curl_classes[i].class;
	}
	return OUTCOME_TRANSIENT;
}

/* ---- requests ---- */

static Socket *
socket_of(SinkHttp *sink, int fd)
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

/* libcurl asks for a socket to connect to this very address. */
static curl_socket_t
request_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	Request *request = arg;
	SinkHttp *sink = request->sink;
	int fd;

	(void) purpose;
	if (!address_allowed(&to->addr, sink->networks, sink->nnetworks))
	{
		address_print(&to->addr, request->refused, sizeof(request->refused));
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd >= 0)
		socket_of(sink, fd)->is_connection = true;
	return fd;
}

static int
transfer_starts(void *arg, char *to, char *from, int to_port, int from_port)
{
	Request *request = arg;

	(void) to, (void) from, (void) to_port, (void) from_port;
	return request->starts++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t
request_read_body(char *data, size_t size, size_t n, void *arg)
{
	Request *request = arg;
	Outcome *outcome = &request->outcome;
	size_t len = size * n;
	size_t room = OUTCOME_ANSWER_MAX - outcome->answer_len;
	size_t kept = len < room ? len : room;

	memcpy(outcome->answer + outcome->answer_len, data, kept);
	outcome->answer_len += (uint32_t) kept;
	request->body_read += len;
	/* Less than len ends the transfer. */
	return request->body_read > ANSWER_READ_MAX ? 0 : len;
}

static size_t
request_read_header(char *data, size_t size, size_t n, void *arg)
{
	static const char name[] = "Retry-After:";
	const size_t name_len = sizeof(name) - 1;
	Request *request = arg;
	size_t len = size * n;

	request->headers_read += len;
	if (request->headers_read > ANSWER_HEADERS_MAX)
	{
		request->too_many_headers = true;
		return 0;
	}
	if (len > name_len && strncasecmp(data, name, name_len) == 0)
		request->outcome.retry_after_ms = http_retry_after(
			data + name_len, len - name_len, loop_wall_us(request->sink->loop));
	return len;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
	SinkHttp *sink = arg;

	if (fd < sink->nsockets)
	{
		watch_free(sink->sockets[fd].watch);
		memset(&sink->sockets[fd], 0, sizeof(Socket));
	}
	return close(fd);
}

/* What is the same for every transfer of the handle. */
static void
request_set_options(Request *request)
{
	SinkHttp *sink = request->sink;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_URL, sink->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A look-up that hangs must not be waited for when it is given up. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (sink->ca_file != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_CAINFO, sink->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) sink->spec.timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
					 (long) sink->spec.connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, request_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sink);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, transfer_starts);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, request_read_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, request_read_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
}

static void
request_free(Request *request)
{
	curl_easy_cleanup(request->easy);
	http_headers_reset(&request->headers);
	mem_free(request);
}

/* From the pool; NULL when libcurl has no memory. */
static Request *
request_take(SinkHttp *sink)
{
	Request *request = sink->idle;

	if (request != NULL)
	{
		sink->idle = request->next;
		return request;
	}
	request = mem_alloc(sizeof(*request));
	request->sink = sink;
	request->easy = curl_easy_init();
	if (request->easy == NULL)
	{
		mem_free(request);
		return NULL;
	}
	request_set_options(request);
	return request;
}

static void
request_init(Request *request, Delivery *delivery)
{
	Outcome *outcome = &request->outcome;

	request->delivery = delivery;
	request->start_us = loop_now_us(request->sink->loop);
	request->starts = 0;
	request->body_read = 0;
	request->headers_read = 0;
	request->too_many_headers = false;
	request->refused[0] = '\0';
	request->error[0] = '\0';
	/* Not the whole of it: answer is read only up to answer_len. */
	outcome->class = OUTCOME_TRANSIENT;
	outcome->status = 0;
	outcome->retry_after_ms = -1;
	outcome->error[0] = '\0';
	outcome->answer_len = 0;
}

static void
request_set_message(Request *request, const WireMessage *message)
{
	HttpHeaders *headers = &request->headers;
	CURL *easy = request->easy;

	assert(!message->payload_omitted);
	for (int i = 0; i < headers->n; i++)
	{
		request->lines[i].data = headers->text + headers->start[i];
		request->lines[i].next =
			i + 1 < headers->n ? &request->lines[i + 1] : NULL;
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->lines);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
					 (curl_off_t) message->payload.len);
	/* NULL would make libcurl read the body from stdin. */
	curl_easy_setopt(
		easy, CURLOPT_POSTFIELDS,
		message->payload.len > 0 ? (const char *) message->payload.data : "");
}

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

/* ---- outcomes ---- */

static void
outcome_say(Outcome *outcome, OutcomeClass class, const char *text)
{
	outcome->class = class;
	snprintf(outcome->error, sizeof(outcome->error), "%s", text);
}

/* A status came, and as much of the answer as we wanted. */
static void
outcome_of_answer(Outcome *outcome)
{
	outcome->class = outcome_of_http_status(outcome->status);
	if (outcome->class != OUTCOME_OK)
		snprintf(outcome->error, sizeof(outcome->error), "HTTP status %d",
				 outcome->status);
}

static void
outcome_of_failure(Request *request, CURLcode code)
{
	Outcome *outcome = &request->outcome;
	long sent = 0;

	curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &sent);
	if (request->too_many_headers)
		outcome_say(outcome, OUTCOME_TRANSIENT,
					"the answer has more than 64 kB of headers");
	else if (request->refused[0] != '\0' && code == CURLE_COULDNT_CONNECT)
	{
		outcome->class = OUTCOME_TRANSIENT;
		snprintf(outcome->error, sizeof(outcome->error),
				 "target address %s is not in allow_targets", request->refused);
	}
	else if (code == CURLE_ABORTED_BY_CALLBACK)
		outcome_say(outcome, OUTCOME_TRANSIENT,
					"the connection was closed before an answer came");
	else if (code == CURLE_OUT_OF_MEMORY && sent > 0)
		outcome_say(outcome, OUTCOME_TRANSIENT,
					"the answer has a header of more than 100 kB, or libcurl "
					"is out of memory");
	else if (code == CURLE_UNSUPPORTED_PROTOCOL && sent > 0)
		outcome_say(outcome, OUTCOME_TRANSIENT, "the answer is not HTTP");
	else
		outcome_say(outcome, class_of_curl(code),
					request->error[0] != '\0' ? request->error
											  : curl_easy_strerror(code));
}

static void
outcome_make(Request *request, CURLcode code)
{
	Outcome *outcome = &request->outcome;
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	outcome->status = (int) status;
	if (code == CURLE_OK ||
		(code == CURLE_WRITE_ERROR && request->body_read > ANSWER_READ_MAX))
		outcome_of_answer(outcome);
	else
		outcome_of_failure(request, code);
}

/* ---- the loop ---- */

static void
sink_release(SinkHttp *sink)
{
	Request *next;

	for (Request *request = sink->busy; request != NULL; request = next)
	{
		next = request->next;
		curl_multi_remove_handle(sink->multi, request->easy);
		request_free(request);
	}
	for (Request *request = sink->refused; request != NULL; request = next)
	{
		next = request->next;
		request_free(request);
	}
	for (Request *request = sink->idle; request != NULL; request = next)
	{
		next = request->next;
		request_free(request);
	}
	curl_multi_cleanup(sink->multi);
	for (int fd = 0; fd < sink->nsockets; fd++)
		watch_free(sink->sockets[fd].watch);
	timer_free(sink->curl_timer);
	timer_free(sink->later);
	mem_free(sink->sockets);
	mem_free(sink->networks);
	mem_free(sink->ca_file);
	mem_free(sink->url);
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
		outcome_make(request, code);
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

static void
curl_timer_came(void *arg)
{
	SinkHttp *sink = arg;
	int running;

	curl_multi_socket_action(sink->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	sink_collect(sink);
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
	int running;

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
	curl_multi_socket_action(sink->multi, fd, what, &running);
	sink_collect(sink);
}

static int
curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
				  void *unused)
{
	SinkHttp *sink = arg;
	Socket *socket = socket_of(sink, fd);

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

static bool
target_check(const RouteSpec *spec, char *err, size_t err_size)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, spec->target, 0);
	bool good = false;

	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (code != CURLUE_OK)
		snprintf(err, err_size, "route \"%s\": the target is not a URL: %s",
				 spec->name, curl_url_strerror(code));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		snprintf(err, err_size,
				 "route \"%s\": the target's scheme is \"%s\", expected "
				 "http or https",
				 spec->name, scheme);
	else
		good = true;
	curl_free(scheme);
	curl_url_cleanup(url);
	return good;
}

static bool
multi_init(SinkHttp *sink)
{
	long most = sink->spec.concurrency;

	sink->multi = curl_multi_init();
	if (sink->multi == NULL)
		return false;
	curl_multi_setopt(sink->multi, CURLMOPT_MAX_HOST_CONNECTIONS, most);
	curl_multi_setopt(sink->multi, CURLMOPT_MAXCONNECTS, most);
	curl_multi_setopt(sink->multi, CURLMOPT_PIPELINING,
					  (long) CURLPIPE_NOTHING);
	curl_multi_setopt(sink->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
	curl_multi_setopt(sink->multi, CURLMOPT_SOCKETDATA, sink);
	curl_multi_setopt(sink->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
	curl_multi_setopt(sink->multi, CURLMOPT_TIMERDATA, sink);
	return true;
}

static Sink *
sink_http_open(Loop *loop, const Config *config, const RouteSpec *spec,
			   SinkCaller caller, char *err, size_t err_size)
{
	static bool global_done;
	SinkHttp *sink;

	if (!global_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
	{
		snprintf(err, err_size, "could not initialise libcurl");
		return NULL;
	}
	global_done = true;
	if (!target_check(spec, err, err_size))
		return NULL;
	if (config->ca_file != NULL && access(config->ca_file, R_OK) != 0)
	{
		snprintf(err, err_size, "could not read ca_file \"%s\": %m",
				 config->ca_file);
		return NULL;
	}
	sink = mem_alloc(sizeof(*sink));
	sink->base.ops = &sink_http;
	sink->loop = loop;
	sink->caller = caller;
	sink->spec = *spec;
	sink->refused_end = &sink->refused;
	sink->url = mem_copy(spec->target, strlen(spec->target) + 1);
	if (config->ca_file != NULL)
		sink->ca_file = mem_copy(config->ca_file, strlen(config->ca_file) + 1);
	sink->nnetworks = config->nallow_targets;
	if (sink->nnetworks > 0)
		sink->networks = mem_copy(config->allow_targets,
								  (size_t) sink->nnetworks * sizeof(Network));
	sink->curl_timer = loop_timer(loop, curl_timer_came, sink);
	sink->later = loop_timer(loop, later_came, sink);
	if (!multi_init(sink))
	{
		snprintf(err, err_size, "could not initialise libcurl");
		sink_release(sink);
		return NULL;
	}
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
		request = request_take(sink);
	if (request == NULL)
	{
		sink->wants_ready = true;
		if (sink->nbusy == 0)
			timer_set(sink->later, MEMORY_WAIT_MS);
		return false;
	}
	request_init(request, delivery);
	sink->nbusy++;
	if (!http_headers_build(&request->headers, delivery->message,
							delivery->attempt, request->outcome.error,
							sizeof(request->outcome.error)))
	{
		request_refuse(sink, request, OUTCOME_PERMANENT);
		return true;
	}
	request_set_message(request, delivery->message);
	busy_add(sink, request);
	/* Only takes it on: the work is done when its timer calls. */
	curl_multi_add_handle(sink->multi, request->easy);
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
