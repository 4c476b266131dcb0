/*
 * relay/core/facts.h
 *
 * What one outbox_settle will say.  Only facts that stay true, never
 * increments, so that saying them twice does no harm; attempts and counts of
 * deliveries are events, told by the one settle that is tried.  Collected by the
 * routes, rendered to SQL parameters by settle.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_FACTS_H
#define OUTBOX_FACTS_H

#include "core/idset.h"
#include "core/outcome.h"

/* Generations -1 (held), 0, 1, 2. */
#define FACTS_GENERATIONS 4
#define FACTS_HELD (-1)

typedef enum ParkedStatus
{
	PARKED_NEW, /* follower of a blocked key */
	PARKED_CLAIMED,
	PARKED_FAILED, /* to be tried again */
	PARKED_DEAD
} ParkedStatus;

/* parked_status_name: as in outbox.parked; parked_status_of: -1 unknown. */
extern const char *parked_status_name(ParkedStatus status);
extern int parked_status_of(const char *name);

typedef struct FactSegment
{
	int16_t route_id;
	int16_t generation;
	bool of_key; /* of the backlog of a key, hence key_hash */
	int32_t key_hash;
	int64_t seq;
	int64_t run;
	int64_t pos;
	int64_t *ids;
	uint32_t nids;
} FactSegment;

typedef struct FactProgress
{
	int16_t route_id;
	uint32_t index;
	int64_t seq;
} FactProgress;

typedef struct FactPark
{
	int64_t id;
	int16_t route_id;
	int16_t generation;
	int16_t shard_id;
	bool has_key;
	int32_t key_hash;
	int64_t run;
	int64_t pos;
	ParkedStatus status;
	int32_t retry_count;
	int64_t retry_in_ms; /* by the server's clock; -1: no time */
	char error[OUTCOME_ERROR_MAX];
} FactPark;

typedef struct FactUnpark
{
	int64_t id;
	int16_t route_id;
} FactUnpark;

/* Deliveries, not messages: one with two routes counts for each. */
typedef struct FactSent
{
	int16_t route_id;
	int16_t generation;
	uint32_t count;
} FactSent;

typedef struct FactAttempt
{
	int64_t id;
	int16_t route_id;
	int32_t attempt;
	int64_t started_ms; /* Unix */
	Outcome *outcome;   /* owned */
} FactAttempt;

#define FACTS_ARRAY(type)                                                      \
	struct                                                                     \
	{                                                                          \
		type *items;                                                           \
		uint32_t count;                                                        \
		uint32_t room;                                                         \
	}

typedef struct Facts
{
	IdSet resolved[FACTS_GENERATIONS]; /* index: generation + 1 */
	FACTS_ARRAY(FactSegment) segments;
	FACTS_ARRAY(FactProgress) progress;
	FACTS_ARRAY(FactPark) parks;
	FACTS_ARRAY(FactUnpark) unparks;
	FACTS_ARRAY(FactSent) sent; /* of each route and generation one */
	FACTS_ARRAY(FactAttempt) attempts;
	uint64_t position; /* P; 0: leave it as it is */
	uint32_t count;    /* facts added since the reset */
	int64_t first_ms;  /* when the first was added */
} Facts;

extern void facts_init(Facts *facts);
extern void facts_reset(Facts *facts);
/* facts_touch: one more fact, at now_ms; called by all that add. */
extern void facts_touch(Facts *facts, int64_t now_ms);
extern void facts_resolved(Facts *facts, int16_t generation, int64_t first,
						   int64_t last, int64_t now_ms);
extern void facts_attempt(Facts *facts, int64_t id, int16_t route_id,
						  int32_t attempt, int64_t wall_ms,
						  const Outcome *outcome);

#endif /* OUTBOX_FACTS_H */
