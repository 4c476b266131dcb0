/*
 * relay/core/retry.h
 *
 * Whether and when a message is tried again.  Pure: the dice are an argument.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_RETRY_H
#define OUTBOX_RETRY_H

#include "core/outcome.h"
#include "core/spec.h"

/* The longest a destination may ask us to wait (Retry-After). */
#define RETRY_AFTER_MAX_MS (60 * 60 * 1000)

typedef enum RetryVerdict
{
	RETRY_DONE,  /* delivered */
	RETRY_LATER, /* FAILED, again after delay_ms */
	RETRY_DEAD   /* never again by itself */
} RetryVerdict;

/*
 * retry_decide: attempt counts from 1 and is the one just made; dice is in
 * [0, 1).  The delay is exponential backoff, min(max, initial *
 * multiplier^(attempt - 1)), less up to half of it ("equal jitter"), so that
 * messages that failed together do not come back together.
 */
extern RetryVerdict retry_decide(const RouteSpec *spec, const Outcome *outcome,
								 int attempt, double dice, int64_t *delay_ms);

/* retry_longest_ms: no delay of retry_decide is longer. */
extern int64_t retry_longest_ms(const RouteSpec *spec);

#endif /* OUTBOX_RETRY_H */
