/*
 * relay/core/facts.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/facts.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"

static const char *const status_names[] = {
	[PARKED_NEW] = "NEW",
	[PARKED_CLAIMED] = "CLAIMED",
	[PARKED_FAILED] = "FAILED",
	[PARKED_DEAD] = "DEAD",
};

const char *
parked_status_name(ParkedStatus status)
{
	return status_names[status];
}

int
parked_status_of(const char *name)
{
	for (int i = 0; i <= PARKED_DEAD; i++)
		if (strcmp(status_names[i], name) == 0)
			return i;
	return -1;
}

void
facts_init(Facts *facts)
{
	memset(facts, 0, sizeof(*facts));
}

void
facts_reset(Facts *facts)
{
	for (int i = 0; i < FACTS_GENERATIONS; i++)
		idset_reset(&facts->resolved[i]);
	for (uint32_t i = 0; i < facts->segments.count; i++)
		mem_free(facts->segments.items[i].ids);
	for (uint32_t i = 0; i < facts->attempts.count; i++)
		mem_free(facts->attempts.items[i].outcome);
	ARRAY_RESET(&facts->segments);
	ARRAY_RESET(&facts->progress);
	ARRAY_RESET(&facts->parks);
	ARRAY_RESET(&facts->unparks);
	ARRAY_RESET(&facts->sent);
	ARRAY_RESET(&facts->attempts);
	facts_init(facts);
}

void
facts_touch(Facts *facts, int64_t now_ms)
{
	if (facts->count++ == 0)
		facts->first_ms = now_ms;
}

void
facts_resolved(Facts *facts, int16_t generation, int64_t first, int64_t last,
			   int64_t now_ms)
{
	assert(generation >= -1 && generation < FACTS_GENERATIONS - 1);
	idset_add_range(&facts->resolved[generation + 1], first, last);
	facts_touch(facts, now_ms);
}

void
facts_attempt(Facts *facts, int64_t id, int16_t route_id, int32_t attempt,
			  int64_t wall_ms, const Outcome *outcome)
{
	*ARRAY_PUSH(&facts->attempts) = (FactAttempt){
		.id = id,
		.route_id = route_id,
		.attempt = attempt,
		.started_ms = wall_ms - outcome->duration_us / 1000,
		.outcome = mem_copy(outcome, sizeof(*outcome)),
	};
}
