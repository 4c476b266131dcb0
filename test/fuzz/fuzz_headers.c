/*
 * test/fuzz/fuzz_headers.c
 *
 * The input is a message as it is on the wire.  Whatever is in it, the lines
 * that go to libcurl are each one header field, no name of the relay's is
 * there twice, and the encoded ones decode to what was enqueued.  If it is no
 * message, it is a value of Retry-After.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "http_headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
hex(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* The value of our field, decoded; -1 when there is none. */
static long
decode(const HttpHeaders *headers, const char *name, uint8_t *out)
{
	size_t len = strlen(name);
	long n = 0;

	for (int i = 0; i < headers->n; i++)
	{
		const char *line = headers->text + headers->start[i];

		if (strncmp(line, name, len) != 0)
			continue;
		if (line[len] == ';')
			return 0;
		for (line += len + 2; *line != '\0'; line++)
		{
			if (*line == '%')
			{
				out[n++] = (uint8_t) (hex(line[1]) << 4 | hex(line[2]));
				line += 2;
			}
			else
				out[n++] = (uint8_t) *line;
		}
		return n;
	}
	return -1;
}

static void
check_encoded(const HttpHeaders *headers, const char *name, WireBytes value)
{
	uint8_t *out = malloc(headers->len + 1);
	long n = decode(headers, name, out);

	if (value.data == NULL
			? n != -1
			: n != (long) value.len || memcmp(out, value.data, value.len) != 0)
		abort();
	free(out);
}

/* One line each, and nothing in it that would begin another. */
static void
check_lines(const HttpHeaders *headers)
{
	int ours = 0, types = 0;

	for (int i = 0; i < headers->n; i++)
	{
		const char *line = headers->text + headers->start[i];
		size_t end = i + 1 < headers->n ? headers->start[i + 1] : headers->len;

		if (strlen(line) + 1 != end - headers->start[i] ||
			strpbrk(line, "\r\n") != NULL || strpbrk(line, ":;") == NULL)
			abort();
		ours += strncasecmp(line, "Outbox-Message-Id", 17) == 0;
		types += strncasecmp(line, "Content-Type:", 13) == 0 ||
				 strncasecmp(line, "Content-Type;", 13) == 0;
		if (strncasecmp(line, "Host:", 5) == 0 ||
			strncasecmp(line, "Content-Length", 14) == 0)
			abort();
	}
	if (ours != 1 || types < 1)
		abort();
}

static void
check_message(const WireMessage *message)
{
	static HttpHeaders headers;
	char err[256] = "";

	if (!http_headers_build(&headers, message, 1, err, sizeof(err)))
	{
		if (headers.n != 0 || err[0] == '\0' || strpbrk(err, "\r\n") != NULL)
			abort();
		return;
	}
	check_lines(&headers);
	check_encoded(&headers, "Outbox-Message-Type", message->type);
	check_encoded(&headers, "Outbox-Message-Key", message->message_key);
	check_encoded(&headers, "Outbox-Biz-Key", message->biz_key);
	check_encoded(&headers, "Outbox-Topic", message->topic);
	check_encoded(&headers, "Outbox-Tag", message->tag);
}

static void
check_retry_after(const char *value, size_t len)
{
	int64_t now_us = INT64_C(1700000000000000);
	int64_t ms = http_retry_after(value, len, now_us);

	if (ms < -1 || ms > HTTP_RETRY_AFTER_MAX_MS)
		abort();
	/* seconds, as strtoull has them */
	if (len > 0 && len < 8 && strspn(value, "0123456789") == len &&
		(uint64_t) ms !=
			(strtoull(value, NULL, 10) * 1000 > HTTP_RETRY_AFTER_MAX_MS
				 ? (uint64_t) HTTP_RETRY_AFTER_MAX_MS
				 : strtoull(value, NULL, 10) * 1000))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static WireMessage message;
	WireReader reader;
	char *text;

	wire_reader_init(&reader, data, size);
	if (wire_message_read(&reader, &message))
	{
		check_message(&message);
		return 0;
	}
	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	check_retry_after(text, size);
	free(text);
	return 0;
}
