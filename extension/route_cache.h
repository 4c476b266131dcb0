/*
 * extension/route_cache.h
 *
 * What a backend must know to enqueue: routes, settings, the current
 * generation, the base of ids and where the tables are.  Loaded with the
 * latest snapshot: a REPEATABLE READ transaction that loaded it with its own
 * would leave old routes behind for the next transaction.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ROUTE_CACHE_H
#define OUTBOX_ROUTE_CACHE_H

#include "outbox.h"

typedef struct CachedRoute
{
	int16 id;
	int ntypes;
	char **types;
	int ntags; /* -1: whatever the tag is, also none */
	char **tags;
} CachedRoute;

typedef struct RouteCache
{
	MemoryContext context;
	uint64 stamp; /* of the invalidations it has seen */
	Oid route;
	Oid setting;
	Oid generation;
	Oid cluster;
	Oid dedup;
	Oid message_id_seq;
	Oid message; /* the parent of the leaves */
	Oid leaves[OUTBOX_GENERATIONS][OUTBOX_LEAVES];
	int16 current; /* generation */
	bool known;    /* this cluster and database have a base */
	int64 base;
	int64 max_payload;
	bool allow_unrouted;
	int nroutes;
	CachedRoute *routes;
} RouteCache;

/*
 * route_cache_get gives the cache as of all invalidations received so far.
 * The pointer is good until the next call.  Lock the leaf before: taking the
 * lock receives them.
 */
extern const RouteCache *route_cache_get(void);

/*
 * route_cache_last gives what the last route_cache_get gave, at no cost: for
 * who comes shortly after one.  NULL before the first.
 */
extern const RouteCache *route_cache_last(void);

#endif /* OUTBOX_ROUTE_CACHE_H */
