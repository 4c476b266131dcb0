/*
 * extension/route_cache.c
 *
 * Keeps the cache of route_cache.h: when it is made again.  route_load.c reads
 * the tables, route_match.c finds a message's routes in it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "route_cache.h"
#include "route_load.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* With invalidations that never end, what was just read is good enough. */
#define LOADS_MAX 3

PG_FUNCTION_INFO_V1(outbox_cache_changed);

static RouteCache *cache = NULL;

/* How often something that the cache is made of has changed. */
static uint64 invalidations = 1;

static bool
cache_valid(void)
{
	return cache != NULL && cache->stamp == invalidations;
}

/*
 * While there is no valid cache every change counts: a load may be under way
 * that reads tables whose OIDs the old cache does not know.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || !cache_valid() || relid == cache->route ||
		relid == cache->setting || relid == cache->generation ||
		relid == cache->cluster)
		invalidations++;
}

static void
watch_relations(void)
{
	static bool watching = false;

	if (!watching)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	watching = true;
}

/* An error on the way leaves the old cache, which is known to be stale. */
static void
cache_load(void)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "outbox routes", ALLOCSET_SMALL_SIZES);
	uint64 stamp = invalidations;
	RouteCache *fresh = route_load(context);
	RouteCache *old = cache;

	fresh->context = context;
	fresh->stamp = stamp;
	MemoryContextSetParent(context, CacheMemoryContext);
	cache = fresh;
	if (old != NULL)
		MemoryContextDelete(old->context);
}

const RouteCache *
route_cache_get(void)
{
	watch_relations();
	AcceptInvalidationMessages();
	for (int i = 0; i < LOADS_MAX && !cache_valid(); i++)
		cache_load();
	return cache;
}

const RouteCache *
route_cache_last(void)
{
	return cache;
}

/* The trigger on all tables that the cache is made of. */
Datum
outbox_cache_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("outbox_cache_changed() is a trigger function")));
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}
