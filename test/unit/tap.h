/*
 * test/unit/tap.h
 *
 * Test Anything Protocol for the unit tests, header only.  Each check prints
 * one line; a failed one says what it got and where.  A test ends with
 * "return tap_done();", which prints the plan and gives the exit status:
 * not 0 when a check failed or when there was none.
 *
 * Each check gives back whether it went well, and evaluates its arguments
 * once.
 *
 *	ok(condition, name, ...)			name is a printf format
 *	is_int(got, expected, name, ...)	any integer type, compared as int64
 *	is_str(got, expected, name, ...)	NULL equals only NULL
 *	is_mem(got, got_len, expected, expected_len, name, ...)
 *	diag(format, ...)					a comment for the reader
 *	skip(format, ...)					instead of a check: why it cannot be
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TAP_H
#define OUTBOX_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_count;
static int tap_failed;

#define TAP_UNUSED __attribute__((unused))
#define TAP_PRINTF(n) __attribute__((format(printf, n, n + 1)))

static TAP_UNUSED TAP_PRINTF(1) void diag(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("# ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static TAP_UNUSED TAP_PRINTF(4) bool tap_report(bool passed, const char *file,
												int line, const char *format,
												...)
{
	va_list args;

	tap_count++;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	if (!passed)
	{
		tap_failed++;
		diag("failed at %s:%d", file, line);
	}
	return passed;
}

static TAP_UNUSED bool
tap_same_str(const char *got, const char *expected)
{
	if (got == NULL || expected == NULL)
		return got == expected;
	return strcmp(got, expected) == 0;
}

static TAP_UNUSED bool
tap_same_mem(const void *got, size_t got_len, const void *expected,
			 size_t expected_len)
{
	return got_len == expected_len &&
		   (got_len == 0 || memcmp(got, expected, got_len) == 0);
}

static TAP_UNUSED void
tap_diag_mem(const char *label, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	fprintf(stderr, "# %s %zu:", label, len);
	for (size_t i = 0; i < len && i < 64; i++)
		fprintf(stderr, " %02x", bytes[i]);
	fputs(len > 64 ? " ...\n" : "\n", stderr);
}

static TAP_UNUSED int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed != 0 || tap_count == 0;
}

#define ok(condition, ...)                                                     \
	tap_report((condition), __FILE__, __LINE__, __VA_ARGS__)

#define is_int(got, expected, ...)                                             \
	({                                                                         \
		int64_t tap_got = (int64_t) (got);                                     \
		int64_t tap_expected = (int64_t) (expected);                           \
		bool tap_passed = tap_report(tap_got == tap_expected, __FILE__,        \
									 __LINE__, __VA_ARGS__);                   \
		if (!tap_passed)                                                       \
			diag("got %" PRId64 ", expected %" PRId64, tap_got, tap_expected); \
		tap_passed;                                                            \
	})

#define is_str(got, expected, ...)                                             \
	({                                                                         \
		const char *tap_got = (got);                                           \
		const char *tap_expected = (expected);                                 \
		bool tap_passed = tap_report(tap_same_str(tap_got, tap_expected),      \
									 __FILE__, __LINE__, __VA_ARGS__);         \
		if (!tap_passed)                                                       \
			diag("got \"%.500s\", expected \"%.500s\"",                        \
				 tap_got ? tap_got : "(null)",                                 \
				 tap_expected ? tap_expected : "(null)");                      \
		tap_passed;                                                            \
	})

#define is_mem(got, got_len, expected, expected_len, ...)                      \
	({                                                                         \
		const void *tap_got = (got);                                           \
		const void *tap_expected = (expected);                                 \
		size_t tap_got_len = (got_len);                                        \
		size_t tap_expected_len = (expected_len);                              \
		bool tap_passed =                                                      \
			tap_report(tap_same_mem(tap_got, tap_got_len, tap_expected,        \
									tap_expected_len),                         \
					   __FILE__, __LINE__, __VA_ARGS__);                       \
		if (!tap_passed)                                                       \
		{                                                                      \
			tap_diag_mem("got", tap_got, tap_got_len);                         \
			tap_diag_mem("expected", tap_expected, tap_expected_len);          \
		}                                                                      \
		tap_passed;                                                            \
	})

#define skip(...)                                                              \
	do                                                                         \
	{                                                                          \
		printf("ok %d # SKIP ", ++tap_count);                                  \
		printf(__VA_ARGS__);                                                   \
		putchar('\n');                                                         \
	} while (0)

#endif /* OUTBOX_TAP_H */
