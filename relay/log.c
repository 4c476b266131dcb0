/*
 * relay/log.c
 *
 * One line per event, written with one write(2), so that lines of several
 * threads never mix.  Whatever stands in a message stays on its line:
 * control characters and bytes that are not UTF-8 are escaped, else whoever
 * controls an error text could forge lines.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_MESSAGE_MAX 2048
/* Every byte of a message takes at most six as \u00XX. */
#define LOG_LINE_MAX (LOG_MESSAGE_MAX * 6 + 256)
#define LOG_LEVELS 4

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warning",
													"error"};

static LogLevel threshold = LOG_LEVEL_INFO;
static bool as_json = false;

typedef struct Line
{
	size_t len;
	char text[LOG_LINE_MAX];
} Line;

void
log_configure(const char *level, const char *format)
{
	for (int i = 0; level != NULL && i < LOG_LEVELS; i++)
	{
		if (strcmp(level, level_names[i]) == 0)
			threshold = (LogLevel) i;
	}
	if (format != NULL && strcmp(format, "json") == 0)
		as_json = true;
	else if (format != NULL && strcmp(format, "text") == 0)
		as_json = false;
}

bool
log_enabled(LogLevel level)
{
	return level >= threshold;
}

static void
line_put(Line *line, const char *text, size_t len)
{
	if (len > sizeof(line->text) - line->len)
		len = sizeof(line->text) - line->len;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void
line_puts(Line *line, const char *text)
{
	line_put(line, text, strlen(text));
}

/* utf8_length: of the well-formed character at text, 0 when it is none. */
static size_t
utf8_length(const unsigned char *text)
{
	size_t len = text[0] < 0x80         ? 1
				 : text[0] >> 5 == 0x06 ? 2
				 : text[0] >> 4 == 0x0e ? 3
				 : text[0] >> 3 == 0x1e ? 4
										: 0;

	for (size_t i = 1; i < len; i++)
	{
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* too long a form, a surrogate, or past the last character */
	if ((len == 2 && text[0] < 0xc2) ||
		(len == 3 && text[0] == 0xe0 && text[1] < 0xa0) ||
		(len == 3 && text[0] == 0xed && text[1] > 0x9f) ||
		(len == 4 && text[0] == 0xf0 && text[1] < 0x90) ||
		(len == 4 && (text[0] > 0xf4 || (text[0] == 0xf4 && text[1] > 0x8f))))
		return 0;
	return len;
}

/* line_escape: text with everything escaped that could end line or string. */
static void
line_escape(Line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *) text;

	while (*at != '\0')
	{
		size_t len = utf8_length(at);
		char code[8];

		if (len == 0 || *at < 0x20 || *at == 0x7f)
		{
			snprintf(code, sizeof(code), "\\u%04x", *at);
			line_puts(line, code);
			len = 1;
		}
		else
		{
			if (as_json && (*at == '"' || *at == '\\'))
				line_put(line, "\\", 1);
			line_put(line, (const char *) at, len);
		}
		at += len;
	}
}

static void
line_time(Line *line)
{
	struct timespec now;
	struct tm utc;
	char text[48];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	line_put(line, text,
			 strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc));
	snprintf(text, sizeof(text), ".%03ldZ", now.tv_nsec / 1000000);
	line_puts(line, text);
}

static void
line_build(Line *line, LogLevel level, const char *event, const char *message)
{
	line_puts(line, as_json ? "{\"time\":\"" : "");
	line_time(line);
	line_puts(line, as_json ? "\",\"level\":\"" : " ");
	line_puts(line, level_names[level]);
	line_puts(line, as_json ? "\",\"event\":\"" : " ");
	line_escape(line, event);
	line_puts(line, as_json ? "\",\"message\":\"" : ": ");
	line_escape(line, message);
	line_puts(line, as_json ? "\"}\n" : "\n");
}

/* log_cut: says that a message was too long, between two characters. */
static void
log_cut(char *message)
{
	size_t at = LOG_MESSAGE_MAX - 4;

	while (at > 0 && (message[at] & 0xc0) == 0x80)
		at--;
	strcpy(message + at, "...");
}

void
log_write(LogLevel level, const char *event, const char *format, ...)
{
	int saved_errno = errno;
	char message[LOG_MESSAGE_MAX];
	Line line;
	va_list args;
	int needed;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	needed = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (needed >= (int) sizeof(message))
		log_cut(message);
	line.len = 0;
	line_build(&line, level, event, message);
	/* When stderr does not take it there is nobody left to tell. */
	if (write(STDERR_FILENO, line.text, line.len) < 0)
		errno = 0;
	errno = saved_errno;
}
