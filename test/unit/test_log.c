/*
 * test/unit/test_log.c
 *
 * Log lines as a person and a collector see them: one event, one line,
 * whatever the message holds.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

#define TIME_LEN 24 /* 2026-01-31T23:59:59.123Z */

static char written[65536];
static FILE *capture;
static int real_stderr;

static void
capture_start(void)
{
	capture = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	dup2(fileno(capture), STDERR_FILENO);
}

static const char *
capture_stop(void)
{
	size_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(capture);
	len = fread(written, 1, sizeof(written) - 1, capture);
	written[len] = '\0';
	fclose(capture);
	return written;
}

/* after_time: the line without its time, which must look like one. */
static const char *
after_time(const char *text, size_t prefix)
{
	const char *pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
	bool fits = strlen(text) > prefix + TIME_LEN;

	for (size_t i = 0; fits && i < TIME_LEN; i++)
	{
		char c = text[prefix + i];

		fits = pattern[i] == 'd' ? c >= '0' && c <= '9' : c == pattern[i];
	}
	return fits ? text + prefix + TIME_LEN : text;
}

static void
test_text(void)
{
	log_configure("info", "text");
	capture_start();
	log_info("circuit_open", "route %s after %d failures", "sms", 5);
	is_str(after_time(capture_stop(), 0),
		   " info circuit_open: route sms after 5 failures\n", "a text line");
	capture_start();
	log_warning("x", "a\nforged\r\tline \x7f \"quoted\" \\");
	is_str(after_time(capture_stop(), 0),
		   " warning x: a\\u000aforged\\u000d\\u0009line \\u007f \"quoted\" "
		   "\\\n",
		   "control characters stay on the line");
}

static void
test_json(void)
{
	log_configure(NULL, "json");
	capture_start();
	log_error("bad", "say \"hi\" \\ \n \xc3\xa4 \xff \xed\xa0\x80 \xc0\xaf");
	is_str(after_time(capture_stop(), strlen("{\"time\":\"")),
		   "\",\"level\":\"error\",\"event\":\"bad\",\"message\":\"say "
		   "\\\"hi\\\" \\\\ \\u000a \xc3\xa4 \\u00ff "
		   "\\u00ed\\u00a0\\u0080 \\u00c0\\u00af\"}\n",
		   "a JSON line is JSON whatever the bytes are");
	log_configure(NULL, "text");
}

static void
test_levels(void)
{
	const char *const names[] = {"debug", "info", "warning", "error"};

	for (int i = 0; i < 4; i++)
	{
		log_configure(names[i], NULL);
		for (int level = 0; level < 4; level++)
			ok(log_enabled((LogLevel) level) == (level >= i), "level %s: %s",
			   names[i], names[level]);
	}
	log_configure("loud", "yaml");
	ok(!log_enabled(LOG_LEVEL_WARNING), "an unknown level changes nothing");
	capture_start();
	log_info("x", "not seen");
	is_str(capture_stop(), "", "below the level nothing is written");
}

static void
test_long(void)
{
	char *text = malloc(10000);
	const char *line;

	memset(text, '\n', 9999);
	text[9999] = '\0';
	log_configure("info", "text");
	errno = EAGAIN;
	capture_start();
	errno = EAGAIN;
	log_info("x", "%s", text);
	is_int(errno, EAGAIN, "errno is kept");
	line = capture_stop();
	ok(strlen(line) > 12000 && strcmp(line + strlen(line) - 4, "...\n") == 0,
	   "a long message is cut and says so");
	memset(text, 'x', 2043);
	strcpy(text + 2043, "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
	capture_start();
	log_info("x", "%s", text);
	line = capture_stop();
	ok(strcmp(line + strlen(line) - 5, "x...\n") == 0,
	   "and never within a character");
	free(text);
}

int
main(void)
{
	test_text();
	test_json();
	test_levels();
	test_long();
	return tap_done();
}
