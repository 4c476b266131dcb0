/*
 * relay/http_headers.c
 *
 * See http_headers.h.  The message's own headers were checked when they were
 * enqueued; they are checked again here because what leaves this file goes
 * onto a connection as it is, and a line break in it would be a second
 * request.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "http_headers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Longest name that is shown in an error. */
#define NAME_SHOWN 64

/* They would change where the body ends, or where the request goes. */
static const char *const reserved_names[] = {
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Expect",
};
static const char reserved_prefix[] = "Outbox-";

static void
put(HttpHeaders *headers, const void *data, size_t len)
{
	if (len > headers->room - headers->len)
	{
		headers->room = (headers->len + len) * 2 + 1024;
		headers->text = mem_realloc(headers->text, headers->room);
	}
	memcpy(headers->text + headers->len, data, len);
	headers->len += len;
}

static void
put_text(HttpHeaders *headers, const char *text)
{
	put(headers, text, strlen(text));
}

static void
line_start(HttpHeaders *headers)
{
	assert(headers->n < HTTP_HEADERS_MAX);
	headers->start[headers->n++] = headers->len;
}

static void
line_end(HttpHeaders *headers)
{
	put(headers, "", 1);
}

static bool
needs_encoding(uint8_t byte)
{
	return byte < 0x20 || byte > 0x7e || byte == '%';
}

static void
put_encoded(HttpHeaders *headers, WireBytes bytes)
{
	static const char hex[] = "0123456789ABCDEF";

	for (uint32_t i = 0; i < bytes.len; i++)
	{
		uint8_t byte = bytes.data[i];
		bool at_end = i == 0 || i == bytes.len - 1;
		char code[3] = {'%', hex[byte >> 4], hex[byte & 15]};

		if (needs_encoding(byte) || (at_end && byte == ' '))
			put(headers, code, sizeof(code));
		else
			put(headers, &bytes.data[i], 1);
	}
}

static void
add_text(HttpHeaders *headers, const char *name, const char *value)
{
	line_start(headers);
	put_text(headers, name);
	put(headers, ": ", 2);
	put_text(headers, value);
	line_end(headers);
}

static void
add_integer(HttpHeaders *headers, const char *name, int64_t value)
{
	char text[HTTP_INTEGER_SIZE];

	http_integer(value, text);
	add_text(headers, name, text);
}

/* Nothing for NULL; an empty value has the form libcurl wants for one. */
static void
add_encoded(HttpHeaders *headers, const char *name, WireBytes value)
{
	if (value.data == NULL)
		return;
	line_start(headers);
	put_text(headers, name);
	put(headers, value.len == 0 ? ";" : ": ", value.len == 0 ? 1 : 2);
	put_encoded(headers, value);
	line_end(headers);
}

static bool
name_is(WireBytes name, const char *expected)
{
	return name.len == strlen(expected) &&
		   strncasecmp((const char *) name.data, expected, name.len) == 0;
}

static bool
name_is_reserved(WireBytes name)
{
	size_t prefix = sizeof(reserved_prefix) - 1;

	for (size_t i = 0; i < COUNT(reserved_names); i++)
	{
		if (name_is(name, reserved_names[i]))
			return true;
	}
	return name.len >= prefix &&
		   strncasecmp((const char *) name.data, reserved_prefix, prefix) == 0;
}

/* token = 1*tchar, RFC 9110 section 5.6.2 */
static bool
name_is_token(WireBytes name)
{
	for (uint32_t i = 0; i < name.len; i++)
	{
		uint8_t byte = name.data[i];
		bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
		bool digit = byte >= '0' && byte <= '9';

		if (!letter && !digit &&
			(byte == 0 || strchr("!#$%&'*+-.^_`|~", byte) == NULL))
			return false;
	}
	return name.len > 0;
}

static bool
value_is_safe(WireBytes value)
{
	for (uint32_t i = 0; i < value.len; i++)
	{
		if (value.data[i] == '\r' || value.data[i] == '\n' ||
			value.data[i] == '\0')
			return false;
	}
	return true;
}

/* libcurl takes "Name:" with blanks alone after it as "leave Name out". */
static bool
value_is_blank(WireBytes value)
{
	for (uint32_t i = 0; i < value.len; i++)
	{
		if (strchr(" \t\v\f", value.data[i]) == NULL)
			return false;
	}
	return true;
}

/* What is wrong with one of the message's own headers; NULL: nothing. */
static const char *
own_fault(const WireHeader *header)
{
	if (!name_is_token(header->name))
		return "has a name that is not a token";
	if (name_is_reserved(header->name))
		return "is reserved";
	if (!value_is_safe(header->value))
		return "has a CR, LF or NUL in its value";
	return NULL;
}

static bool
check_own(const WireMessage *message, char *err, size_t err_size)
{
	for (int i = 0; i < message->nheaders; i++)
	{
		const WireHeader *header = &message->headers[i];
		const char *fault = own_fault(header);
		int shown =
			header->name.len < NAME_SHOWN ? (int) header->name.len : NAME_SHOWN;

		if (fault == NULL)
			continue;
		snprintf(err, err_size, "cannot send header %d \"%.*s\": it %s", i + 1,
				 name_is_token(header->name) ? shown : 0,
				 (const char *) header->name.data, fault);
		return false;
	}
	if (!value_is_safe(message->content_type))
	{
		snprintf(err, err_size,
				 "cannot send: the content type has a CR, LF or NUL");
		return false;
	}
	return true;
}

static void
add_bytes(HttpHeaders *headers, const void *name, size_t name_len,
		  WireBytes value)
{
	line_start(headers);
	put(headers, name, name_len);
	if (value_is_blank(value))
		put(headers, ";", 1);
	else
	{
		put(headers, ": ", 2);
		put(headers, value.data, value.len);
	}
	line_end(headers);
}

static bool
has_own(const WireMessage *message, const char *name)
{
	for (int i = 0; i < message->nheaders; i++)
	{
		if (name_is(message->headers[i].name, name))
			return true;
	}
	return false;
}

static void
add_content_type(HttpHeaders *headers, const WireMessage *message)
{
	static const char name[] = "Content-Type";

	if (has_own(message, name))
		return;
	if (message->content_type.data == NULL || message->content_type.len == 0)
		add_text(headers, name, "application/octet-stream");
	else
		add_bytes(headers, name, sizeof(name) - 1, message->content_type);
}

static void
add_ours(HttpHeaders *headers, const WireMessage *message, int attempt)
{
	char timestamp[HTTP_TIMESTAMP_SIZE];

	http_timestamp(message->create_time, timestamp);
	add_integer(headers, "Outbox-Message-Id", message->id);
	add_encoded(headers, "Outbox-Message-Type", message->type);
	add_encoded(headers, "Outbox-Message-Key", message->message_key);
	add_encoded(headers, "Outbox-Biz-Key", message->biz_key);
	add_encoded(headers, "Outbox-Topic", message->topic);
	add_encoded(headers, "Outbox-Tag", message->tag);
	add_integer(headers, "Outbox-Attempt", attempt);
	add_text(headers, "Outbox-Timestamp", timestamp);
	add_content_type(headers, message);
	if (!has_own(message, "User-Agent"))
		add_text(headers, "User-Agent", "outbox-relay/" OUTBOX_VERSION);
}

bool
http_headers_build(HttpHeaders *headers, const WireMessage *message,
				   int attempt, char *err, size_t err_size)
{
	headers->len = 0;
	headers->n = 0;
	if (!check_own(message, err, err_size))
		return false;
	add_ours(headers, message, attempt);
	/* A name without a value: libcurl is not to wait for 100 Continue. */
	line_start(headers);
	put_text(headers, "Expect:");
	line_end(headers);
	for (int i = 0; i < message->nheaders; i++)
		add_bytes(headers, message->headers[i].name.data,
				  message->headers[i].name.len, message->headers[i].value);
	return true;
}

void
http_headers_reset(HttpHeaders *headers)
{
	mem_free(headers->text);
	memset(headers, 0, sizeof(*headers));
}

/* At least width digits; these and the date are made for every message. */
static char *
put_digits(char *text, uint64_t value, int width)
{
	char digits[20];
	int n = 0;

	while (value > 0 || n < width)
	{
		digits[n++] = (char) ('0' + value % 10);
		value /= 10;
	}
	while (n > 0)
		*text++ = digits[--n];
	return text;
}

size_t
http_integer(int64_t value, char text[HTTP_INTEGER_SIZE])
{
	char *end = text;

	if (value < 0)
		*end++ = '-';
	end = put_digits(end, value < 0 ? -(uint64_t) value : (uint64_t) value, 1);
	*end = '\0';
	return (size_t) (end - text);
}

#define DAYS_OF_ERA 146097 /* 400 years */

/*
 * The date that is so many days after 1970-01-01, by H. Hinnant,
 * chrono-Compatible Low-Level Date Algorithms: years begin in March.
 */
static char *
put_date(char *text, int64_t days)
{
	int64_t since = days + 719468; /* 0000-03-01 */
	int64_t era = (since >= 0 ? since : since - DAYS_OF_ERA + 1) / DAYS_OF_ERA;
	int64_t day = since - era * DAYS_OF_ERA;
	int64_t year =
		(day - day / 1460 + day / 36524 - day / (DAYS_OF_ERA - 1)) / 365;
	int64_t month;

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5 - 1;
	month += month < 10 ? 3 : -9;
	year += era * 400 + (month <= 2);
	if (year < 0)
		*text++ = '-';
	text = put_digits(text, (uint64_t) (year < 0 ? -year : year), 4);
	*text++ = '-';
	text = put_digits(text, (uint64_t) month, 2);
	*text++ = '-';
	return put_digits(text, (uint64_t) day, 2);
}

#define US_OF_DAY (86400 * INT64_C(1000000))

void
http_timestamp(int64_t time_us, char text[HTTP_TIMESTAMP_SIZE])
{
	int64_t days = time_us / US_OF_DAY;
	int64_t us = time_us % US_OF_DAY;
	int64_t seconds;

	if (us < 0)
	{
		us += US_OF_DAY;
		days--;
	}
	seconds = us / 1000000;
	text = put_date(text, days);
	*text++ = 'T';
	text = put_digits(text, (uint64_t) (seconds / 3600), 2);
	*text++ = ':';
	text = put_digits(text, (uint64_t) (seconds / 60 % 60), 2);
	*text++ = ':';
	text = put_digits(text, (uint64_t) (seconds % 60), 2);
	*text++ = '.';
	text = put_digits(text, (uint64_t) (us % 1000000), 6);
	*text++ = 'Z';
	*text = '\0';
}

static int64_t
bounded(int64_t ms)
{
	if (ms < 0)
		return 0;
	return ms > HTTP_RETRY_AFTER_MAX_MS ? HTTP_RETRY_AFTER_MAX_MS : ms;
}

/* Any number of digits: more than the bound is the bound. */
static int64_t
seconds_read(const char *text)
{
	int64_t seconds = 0;

	for (const char *at = text; *at != '\0'; at++)
	{
		if (*at < '0' || *at > '9')
			return -1;
		seconds = bounded(seconds * 10 + (*at - '0'));
	}
	return bounded(seconds * 1000);
}

static int64_t
date_read(const char *text, int64_t now_us)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y",
	};

	for (size_t i = 0; i < COUNT(forms); i++)
	{
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end != NULL && *end == '\0')
			return bounded((int64_t) timegm(&tm) * 1000 - now_us / 1000);
	}
	return -1;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int64_t
http_retry_after(const char *value, size_t len, int64_t now_us)
{
	char text[64];

	while (len > 0 && is_blank(value[0]))
		value++, len--;
	while (len > 0 && is_blank(value[len - 1]))
		len--;
	if (len == 0 || len >= sizeof(text) || memchr(value, '\0', len) != NULL)
		return -1;
	memcpy(text, value, len);
	text[len] = '\0';
	if (text[0] >= '0' && text[0] <= '9')
		return seconds_read(text);
	return date_read(text, now_us);
}
