/*
 * decoder/options.h
 *
 * The options of START_REPLICATION, which come from whoever may connect.
 * Pure: the C library alone, so that the fuzzer can run it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_OPTIONS_H
#define OUTBOX_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum OptionsResult
{
	OPTIONS_OK,
	OPTIONS_UNKNOWN,
	OPTIONS_REPEATED,
	OPTIONS_INVALID,
	OPTIONS_VERSION
} OptionsResult;

typedef struct Options
{
	uint32_t schema_oid; /* 0: the schema named outbox */
	bool text;           /* readable lines instead of frames */
	unsigned given;      /* bit set of the options seen */
	char error[256];     /* a message, after a result that is not OK */
} Options;

extern void options_init(Options *options);

/*
 * options_take: one option; value is NULL when none was given.  After a
 * result other than OPTIONS_OK the error is set and nothing else changed.
 */
extern OptionsResult options_take(Options *options, const char *name,
								  const char *value);

/* options_check: after the last option; tells when one is missing. */
extern OptionsResult options_check(Options *options);

#endif /* OUTBOX_OPTIONS_H */
