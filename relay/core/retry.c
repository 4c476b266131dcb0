/*
 * relay/core/retry.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/retry.h"

static double
backoff(const RouteSpec *spec, int attempt)
{
	double delay = spec->retry_initial_ms;

	for (int i = 1; i < attempt && delay < spec->retry_max_ms; i++)
		delay *= spec->retry_multiplier;
	return delay < spec->retry_max_ms ? delay : spec->retry_max_ms;
}

RetryVerdict
retry_decide(const RouteSpec *spec, const Outcome *outcome, int attempt,
			 double dice, int64_t *delay_ms)
{
	int64_t asked = outcome->retry_after_ms;

	*delay_ms = 0;
	if (outcome->class == OUTCOME_OK)
		return RETRY_DONE;
	if (outcome->class == OUTCOME_PERMANENT || attempt >= spec->max_attempts)
		return RETRY_DEAD;
	*delay_ms = (int64_t) (backoff(spec, attempt) * (1.0 - dice / 2));
	if (asked > RETRY_AFTER_MAX_MS)
		asked = RETRY_AFTER_MAX_MS;
	if (asked > *delay_ms)
		*delay_ms = asked;
	return RETRY_LATER;
}

int64_t
retry_longest_ms(const RouteSpec *spec)
{
	return spec->retry_max_ms > RETRY_AFTER_MAX_MS ? spec->retry_max_ms
												   : RETRY_AFTER_MAX_MS;
}
