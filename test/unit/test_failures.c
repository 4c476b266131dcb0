/*
 * test/unit/test_failures.c
 *
 * Which failed attempts are worth a line in the log.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/failures.h"

#include "tap.h"

static bool
failed(Failures *failures, OutcomeClass class, int status, const char *error,
	   int64_t now_ms)
{
	Outcome outcome = {.class = class, .status = status};

	snprintf(outcome.error, sizeof(outcome.error), "%s", error);
	return failures_note(failures, &outcome, now_ms);
}

static bool
refused(Failures *failures, const char *error, int64_t now_ms)
{
	return failed(failures, OUTCOME_TRANSIENT, 0, error, now_ms);
}

static void
test_reasons(void)
{
	Failures failures = {0};

	ok(refused(&failures, "refused", 0), "the first is said, at time 0 too");
	ok(!refused(&failures, "refused", 1), "not the second");
	ok(!refused(&failures, "refused", 10 * FAILURES_REPEAT_MS),
	   "nor when it lasts");
	ok(failed(&failures, OUTCOME_PERMANENT, 0, "refused", 2), "another class");
	ok(failed(&failures, OUTCOME_TRANSIENT, 500, "refused", 3),
	   "another status");
	ok(refused(&failures, "timed out after 5000 ms", 4), "another text");
	ok(!refused(&failures, "timed out after 5001 ms", 5),
	   "a number in it does not make it new");
	ok(!refused(&failures, "refused", 6), "the first is still known");
	ok(refused(&failures, "refused by x", 7), "one that begins like it is new");
	ok(refused(&failures, "", 8), "and one without a text");
}

static void
test_over(void)
{
	Failures failures = {0};

	ok(!failures_over(&failures), "there was nothing to end");
	refused(&failures, "a", 0);
	refused(&failures, "b", 10);
	ok(failures_over(&failures), "the first that goes well is said");
	ok(!failures_over(&failures), "not the second");
	ok(!refused(&failures, "a", FAILURES_REPEAT_MS - 1), "too soon again");
	ok(!failures_over(&failures), "so its end is not said either");
	ok(refused(&failures, "a", FAILURES_REPEAT_MS), "after a minute it is");
	ok(!refused(&failures, "b", FAILURES_REPEAT_MS), "each has its own");
	ok(refused(&failures, "c", FAILURES_REPEAT_MS), "a new one is, at once");
	ok(failures_over(&failures), "and the end of both, once");
	ok(!failures_over(&failures), "once");
}

/* A destination that finds a new reason each time does not fill the log. */
static void
test_many(void)
{
	Failures failures = {0};
	int said = 0;

	for (int i = 0; i < 1000; i++)
	{
		said += failed(&failures, OUTCOME_PERMANENT, i, "no", i);
		said += failures_over(&failures);
	}
	is_int(said, 2 * FAILURES_MAX, "so many in a minute");
	ok(failed(&failures, OUTCOME_PERMANENT, 5000, "no", FAILURES_REPEAT_MS),
	   "the oldest makes place for a new one");
	ok(!failed(&failures, OUTCOME_PERMANENT, 5001, "no", FAILURES_REPEAT_MS),
	   "not the others, which are younger");
	for (int i = 0; i < 2 * FAILURES_MAX; i++)
		failed(&failures, OUTCOME_PERMANENT, 6000 + i, "no",
			   (2 + i) * FAILURES_REPEAT_MS);
	is_int(failures.nopen, FAILURES_MAX, "none is counted twice");
	ok(failures_over(&failures), "all are over");
}

int
main(void)
{
	test_reasons();
	test_over();
	test_many();
	return tap_done();
}
