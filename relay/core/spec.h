/*
 * relay/core/spec.h
 *
 * RouteSpec: a row of outbox.route as the relay works with it.  Plain data,
 * filled by the shell from outbox_routes().
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SPEC_H
#define OUTBOX_SPEC_H

#include <stdbool.h>
#include <stdint.h>

/* With the final NUL; sql/route.sql allows no longer ones. */
#define SPEC_NAME_MAX 64
#define SPEC_TARGET_MAX 2049

typedef enum SpecKind
{
	SPEC_HTTP,
	SPEC_KAFKA
} SpecKind;

typedef enum SpecState
{
	SPEC_ACTIVE,
	SPEC_PAUSED,
	SPEC_DROPPED
} SpecState;

typedef struct RouteSpec
{
	int16_t id;
	char name[SPEC_NAME_MAX];
	SpecKind kind;
	SpecState state;
	char target[SPEC_TARGET_MAX]; /* URL, or cluster/topic */
	bool ordered;                 /* ordering = key */
	bool trace_all;               /* attempts that went well are kept too */
	int32_t retry_initial_ms;
	int32_t retry_max_ms;
	double retry_multiplier;
	int32_t max_attempts;
	int32_t timeout_ms; /* of an attempt */
	int32_t connect_timeout_ms;
	int32_t concurrency; /* deliveries under way at once */
} RouteSpec;

/* spec_needs_new_sink: what a sink opened for a was told differs in b. */
extern bool spec_needs_new_sink(const RouteSpec *a, const RouteSpec *b);

#endif /* OUTBOX_SPEC_H */
