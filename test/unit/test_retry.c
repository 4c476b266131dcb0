/*
 * test/unit/test_retry.c
 *
 * Whether and when a message is tried again.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/retry.h"

#include "tap.h"

static const RouteSpec spec = {
	.retry_initial_ms = 1000,
	.retry_max_ms = 60000,
	.retry_multiplier = 2,
	.max_attempts = 10,
};

static const struct
{
	OutcomeClass class;
	int64_t retry_after_ms;
	int attempt;
	double dice;
	RetryVerdict verdict;
	int64_t delay_ms;
} cases[] = {
	{OUTCOME_OK, -1, 1, 0, RETRY_DONE, 0},
	{OUTCOME_PERMANENT, -1, 1, 0, RETRY_DEAD, 0},
	{OUTCOME_PERMANENT, 5000, 1, 0, RETRY_DEAD, 0},
	{OUTCOME_TRANSIENT, -1, 1, 0, RETRY_LATER, 1000},
	{OUTCOME_TRANSIENT, -1, 2, 0, RETRY_LATER, 2000},
	{OUTCOME_TRANSIENT, -1, 6, 0, RETRY_LATER, 32000},
	{OUTCOME_TRANSIENT, -1, 7, 0, RETRY_LATER, 60000},
	{OUTCOME_TRANSIENT, -1, 9, 0, RETRY_LATER, 60000},
	{OUTCOME_TRANSIENT, -1, 1, 0.5, RETRY_LATER, 750},
	{OUTCOME_TRANSIENT, -1, 10, 0, RETRY_DEAD, 0},
	{OUTCOME_TRANSIENT, 5000, 1, 0, RETRY_LATER, 5000},
	{OUTCOME_TRANSIENT, 5000, 4, 0, RETRY_LATER, 8000},
	{OUTCOME_TRANSIENT, INT64_MAX, 1, 0, RETRY_LATER, RETRY_AFTER_MAX_MS},
};

int
main(void)
{
	RouteSpec slow = spec;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Outcome outcome = {.class = cases[i].class,
						   .retry_after_ms = cases[i].retry_after_ms};
		int64_t delay_ms = -1;

		is_int(retry_decide(&spec, &outcome, cases[i].attempt, cases[i].dice,
							&delay_ms),
			   cases[i].verdict, "case %zu: %s, attempt %d", i,
			   outcome_class_name(cases[i].class), cases[i].attempt);
		is_int(delay_ms, cases[i].delay_ms, "case %zu: the delay", i);
	}
	is_int(retry_longest_ms(&spec), RETRY_AFTER_MAX_MS,
		   "the longest is what a destination may ask for");
	slow.retry_max_ms = 2 * RETRY_AFTER_MAX_MS;
	is_int(retry_longest_ms(&slow), slow.retry_max_ms, "or the route's own");
	return tap_done();
}
