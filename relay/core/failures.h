/*
 * relay/core/failures.h
 *
 * Which failed attempts of a route a person should read of: the first for
 * each reason, not the thousand after it.  Decides only what is worth a line,
 * outlets.c writes it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_FAILURES_H
#define OUTBOX_FAILURES_H

#include "core/outcome.h"

/* Reasons that are told apart, and how soon one may be said again. */
#define FAILURES_MAX 8
#define FAILURES_REPEAT_MS 60000

/*
 * A reason is class, status and text, in which digits do not count: a port, a
 * number of milliseconds or an offset does not make it a new one.
 */
typedef struct Failure
{
	OutcomeClass class;
	int status;
	bool open; /* said, and nothing delivered since */
	int64_t said_ms;
	char error[OUTCOME_ERROR_MAX];
} Failure;

/* All zero is the beginning. */
typedef struct Failures
{
	int count;
	int nopen;
	Failure known[FAILURES_MAX];
} Failures;

/*
 * failures_note: an attempt failed.  True when it is to be said: the reason is
 * new, or failures_over came since and FAILURES_REPEAT_MS passed.  Past
 * FAILURES_MAX reasons in that time none is new.
 */
extern bool failures_note(Failures *failures, const Outcome *outcome,
						  int64_t now_ms);

/* failures_over: one went well.  True when that ends what was said. */
extern bool failures_over(Failures *failures);

#endif /* OUTBOX_FAILURES_H */
