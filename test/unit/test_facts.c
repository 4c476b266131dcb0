/*
 * test/unit/test_facts.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/facts.h"

#include "tap.h"

static void
test_names(void)
{
	for (int i = PARKED_NEW; i <= PARKED_DEAD; i++)
		is_int(parked_status_of(parked_status_name((ParkedStatus) i)), i,
			   "%s by its name", parked_status_name((ParkedStatus) i));
	is_int(parked_status_of("SENT"), -1, "no parked row is SENT");
}

static void
test_collect(void)
{
	Outcome outcome = {.class = OUTCOME_TRANSIENT, .duration_us = 2500};
	Facts facts;

	facts_init(&facts);
	facts_resolved(&facts, FACTS_HELD, 1, 5, 100);
	facts_resolved(&facts, 2, 7, 7, 200);
	facts_attempt(&facts, 7, 1, 3, 1000, &outcome);
	is_int(idset_size(&facts.resolved[0]), 5, "the held generation");
	is_int(idset_size(&facts.resolved[3]), 1, "the last one");
	is_int(facts.first_ms, 100, "when the first came");
	is_int(facts.attempts.items[0].started_ms, 998, "when an attempt began");
	facts_reset(&facts);
	is_int(facts.count, 0, "nothing is left");
}

int
main(void)
{
	test_names();
	test_collect();
	return tap_done();
}
