/*
 * relay/core/spec.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/spec.h"

#include <string.h>

bool
spec_needs_new_sink(const RouteSpec *a, const RouteSpec *b)
{
	return b->state == SPEC_DROPPED || a->kind != b->kind ||
		   strcmp(a->target, b->target) != 0 ||
		   a->timeout_ms != b->timeout_ms ||
		   a->connect_timeout_ms != b->connect_timeout_ms ||
		   a->concurrency != b->concurrency;
}
