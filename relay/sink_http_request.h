/*
 * relay/sink_http_request.h
 *
 * What the two files of the HTTP sink share: sink_http.c has the sink, its
 * sockets and the contract, sink_http_request.c the single transfer.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_HTTP_REQUEST_H
#define OUTBOX_SINK_HTTP_REQUEST_H

#include <curl/curl.h>

#include "address.h"
#include "config.h"
#include "http_headers.h"
#include "loop.h"
#include "sink.h"

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
	CURLU *url;   /* parsed once for all transfers */
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

/* http_socket_of: the entry of a descriptor; moves when the table grows. */
extern Socket *http_socket_of(SinkHttp *sink, int fd);

/* http_request_take: from the pool; NULL when libcurl has no memory. */
extern Request *http_request_take(SinkHttp *sink);
extern void http_request_free(Request *request);
extern void http_request_init(Request *request, Delivery *delivery);
/* http_request_set_message: after headers have been built. */
extern void http_request_set_message(Request *request,
									 const WireMessage *message);
/* http_request_judge: fills outcome, all but the duration. */
extern void http_request_judge(Request *request, CURLcode code);

#endif /* OUTBOX_SINK_HTTP_REQUEST_H */
