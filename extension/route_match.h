/*
 * extension/route_match.h
 *
 * Finds the routes of a message.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ROUTE_MATCH_H
#define OUTBOX_ROUTE_MATCH_H

#include "route_cache.h"

/*
 * route_match gives the ids of the routes for a type and a tag (NULL: none),
 * as a smallint[] in ascending order, made in the current memory context;
 * raises when there is no route and the setting allow_unrouted is off, or when
 * there are more than 256.
 */
extern Datum route_match(const RouteCache *cache, const text *type,
						 const text *tag);

#endif /* OUTBOX_ROUTE_MATCH_H */
