/*
 * extension/route_cache.c
 *
 * Keeps the cache of route_cache.h: when it is made again, and how a message
 * finds its routes.  route_load.c reads the tables.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "route_cache.h"
#include "route_load.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
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

/* '*', a whole type, or a prefix that ends in '.*'. */
static bool
pattern_matches(const char *pattern, const char *type)
{
	size_t len = strlen(pattern);

	if (strcmp(pattern, "*") == 0)
		return true;
	if (len > 2 && strcmp(pattern + len - 2, ".*") == 0)
		return strncmp(pattern, type, len - 1) == 0;
	return strcmp(pattern, type) == 0;
}

static bool
type_matches(const CachedRoute *route, const char *type)
{
	for (int i = 0; i < route->ntypes; i++)
		if (pattern_matches(route->types[i], type))
			return true;
	return false;
}

static bool
tag_matches(const CachedRoute *route, const char *tag)
{
	if (route->ntags < 0)
		return true;
	if (tag == NULL)
		return false;
	for (int i = 0; i < route->ntags; i++)
		if (strcmp(route->tags[i], tag) == 0)
			return true;
	return false;
}

static void
no_route(const char *type, const char *tag)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("no route for messages of type \"%s\"", type),
			 tag == NULL ? 0 : errdetail("The tag is \"%s\".", tag),
			 errhint("Make one by outbox_route_create(), or allow messages "
					 "without a route by outbox_set('allow_unrouted', "
					 "'true')."),
			 errhidestmt(true)));
}

static void
too_many_routes(const char *type)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("too many routes for messages of type \"%s\"", type),
					errdetail("The limit is %d.", OUTBOX_ROUTES_MAX),
					errhidestmt(true)));
}

Datum
route_cache_match(const RouteCache *from, const char *type, const char *tag)
{
	Datum ids[OUTBOX_ROUTES_MAX];
	int n = 0;

	for (int i = 0; i < from->nroutes; i++)
	{
		const CachedRoute *route = &from->routes[i];

		if (!type_matches(route, type) || !tag_matches(route, tag))
			continue;
		if (n == OUTBOX_ROUTES_MAX)
			too_many_routes(type);
		ids[n++] = Int16GetDatum(route->id);
	}
	if (n == 0 && !from->allow_unrouted)
		no_route(type, tag);
	return PointerGetDatum(
		construct_array(ids, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}
