/*
 * relay/http_headers.h
 *
 * The header fields of a delivery by HTTP, and the one field of an answer
 * that is looked at, Retry-After.  Pure: time is an argument.
 *
 * What is sent, in this order, each only when the message has it:
 *	Outbox-Message-Id		decimal
 *	Outbox-Message-Type
 *	Outbox-Message-Key		message_key
 *	Outbox-Biz-Key, Outbox-Topic, Outbox-Tag
 *	Outbox-Attempt			1 for the first
 *	Outbox-Timestamp		create time, RFC 3339 in UTC with microseconds
 *	Content-Type			application/octet-stream when there is none
 *	User-Agent				outbox-relay/VERSION
 * then the message's own.  One of those named Content-Type or User-Agent
 * takes the place of ours.
 *
 * Keys, types, topics and tags are any text, a field value is not: in them
 * every byte that is a control, not ASCII or '%', and a blank at either end,
 * is percent-encoded (RFC 3986, over the UTF-8 bytes), so that decoding gives
 * back exactly the bytes that were enqueued.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_HTTP_HEADERS_H
#define OUTBOX_HTTP_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* Ours, the message's, and the one that keeps curl from adding Expect. */
#define HTTP_HEADERS_MAX (WIRE_HEADERS_MAX + 11)

/* A Retry-After is never followed for longer. */
#define HTTP_RETRY_AFTER_MAX_MS (24 * 60 * 60 * INT64_C(1000))

/*
 * Lines "Name: value" as libcurl takes them ("Name;" for an empty value),
 * each ended by a NUL, in one block of memory that is used again and again.
 * Line i begins at text + start[i].
 */
typedef struct HttpHeaders
{
	char *text;
	size_t len;
	size_t room;
	int n;
	size_t start[HTTP_HEADERS_MAX];
} HttpHeaders;

/*
 * http_headers_build: replaces what is in headers.  False when the message
 * cannot be sent (its own headers have a name that is no token or is
 * reserved, or a value with CR, LF or NUL): err says which, and headers holds
 * nothing.  Reserved: Host, Content-Length, Transfer-Encoding, Connection,
 * Expect, Outbox-*.
 */
extern bool http_headers_build(HttpHeaders *headers, const WireMessage *message,
							   int attempt, char *err, size_t err_size);

/* http_headers_reset: gives the memory back; all zero is a valid start. */
extern void http_headers_reset(HttpHeaders *headers);

/*
 * http_timestamp: "2026-01-02T03:04:05.000006Z"; time in microseconds since
 * 1970-01-01 UTC, of any year that PostgreSQL has.
 */
#define HTTP_TIMESTAMP_SIZE 32
extern void http_timestamp(int64_t time_us, char text[HTTP_TIMESTAMP_SIZE]);

/* http_integer: in digits; returns how many bytes, the NUL left out. */
#define HTTP_INTEGER_SIZE 21
extern size_t http_integer(int64_t value, char text[HTTP_INTEGER_SIZE]);

/*
 * http_retry_after: milliseconds to wait, 0 to HTTP_RETRY_AFTER_MAX_MS, from
 * a field value that is seconds or an HTTP-date in any of the three forms of
 * RFC 9110; -1 when it is neither.  now_us as in http_timestamp.
 */
extern int64_t http_retry_after(const char *value, size_t len, int64_t now_us);

#endif /* OUTBOX_HTTP_HEADERS_H */
