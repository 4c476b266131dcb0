/*
 * relay/sink_http_request.c
 *
 * One transfer of the HTTP sink: its options, what libcurl calls while it
 * runs, and which outcome it was.  See sink_http_request.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_http_request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/mem.h"

/* Of an answer no more than this is read, body and header fields. */
#define ANSWER_READ_MAX 65536
#define ANSWER_HEADERS_MAX 65536

/* What a transfer that did not end well means; all others TRANSIENT. */
static const struct
{
	CURLcode code;
	OutcomeClass class;
} curl_classes[] = {
	/* It could be read when the route was opened: so said without memory. */
	{CURLE_URL_MALFORMAT, OUTCOME_TRANSIENT},
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
		http_socket_of(sink, fd)->is_connection = true;
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

/* Without one of these the handle would go where it must not. */
static void
set_text(CURL *easy, CURLoption option, const char *text)
{
	if (curl_easy_setopt(easy, option, text) == CURLE_OUT_OF_MEMORY)
		mem_exhausted();
}

/* What is the same for every transfer of the handle. */
static void
request_set_options(Request *request)
{
	SinkHttp *sink = request->sink;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_CURLU, sink->url);
	set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	set_text(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A look-up that hangs must not be waited for when it is given up. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (sink->ca_file != NULL)
	{
		set_text(easy, CURLOPT_CAINFO, sink->ca_file);
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

void
http_request_free(Request *request)
{
	curl_easy_cleanup(request->easy);
	http_headers_reset(&request->headers);
	mem_free(request);
}

/* From the pool; NULL when libcurl has no memory. */
Request *
http_request_take(SinkHttp *sink)
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

void
http_request_init(Request *request, Delivery *delivery)
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

void
http_request_set_message(Request *request, const WireMessage *message)
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
				 "target address %s is not in allow_targets; add it to "
				 "allow_targets in [http] and restart the relay",
				 request->refused);
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

void
http_request_judge(Request *request, CURLcode code)
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
