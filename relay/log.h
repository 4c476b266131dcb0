/*
 * relay/log.h
 *
 * One line per event to stderr, text or JSON.  A fault is logged once, by
 * whoever decides what to do about it.  "could not ..." may work later,
 * "cannot ..." never will.  Never log a payload, a password or a conninfo.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LOG_H
#define OUTBOX_LOG_H

#include <stdbool.h>

typedef enum LogLevel
{
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR
} LogLevel;

/* log_configure: names as in the configuration; unknown ones change nothing. */
extern void log_configure(const char *level, const char *format);
extern bool log_enabled(LogLevel level);

/* log_write: event is a short constant slug such as "circuit_open". */
extern void log_write(LogLevel level, const char *event, const char *format,
					  ...) __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif /* OUTBOX_LOG_H */
