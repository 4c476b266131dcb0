/*
 * extension/route_match.c
 *
 * How a message finds its routes, see route_match.h.  What was found is kept
 * for the session, so that many routes cost no more than one.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "route_match.h"
#include "murmur2.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#define FOUND_MAX 64

typedef struct Found
{
	text *type; /* NULL: nothing is kept here */
	text *tag;  /* NULL: none */
	Datum routes;
} Found;

static Found found[FOUND_MAX];
static MemoryContext found_context = NULL;

/* Of the cache in which they were found; 0: of none. */
static uint64 found_stamp = 0;

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

/* In ascending order, as the cache has them. */
static Datum
match_all(const RouteCache *cache, const char *type, const char *tag)
{
	Datum ids[OUTBOX_ROUTES_MAX];
	int n = 0;

	for (int i = 0; i < cache->nroutes; i++)
	{
		const CachedRoute *route = &cache->routes[i];

		if (!type_matches(route, type) || !tag_matches(route, tag))
			continue;
		if (n == OUTBOX_ROUTES_MAX)
			too_many_routes(type);
		ids[n++] = Int16GetDatum(route->id);
	}
	if (n == 0 && !cache->allow_unrouted)
		no_route(type, tag);
	return PointerGetDatum(
		construct_array(ids, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

static uint32
text_hash(const text *value)
{
	if (value == NULL)
		return 0;
	return murmur2(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static bool
text_same(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static text *
text_copy(const text *value)
{
	return value == NULL ? NULL
						 : (text *) DatumGetPointer(
							   datumCopy(PointerGetDatum(value), false, -1));
}

/* What was found in another cache is worth nothing. */
static void
found_renew(const RouteCache *cache)
{
	if (found_stamp == cache->stamp)
		return;
	if (found_context == NULL)
		found_context = AllocSetContextCreate(
			TopMemoryContext, "outbox found routes", ALLOCSET_SMALL_SIZES);
	memset(found, 0, sizeof(found));
	MemoryContextReset(found_context);
	found_stamp = cache->stamp;
}

static void
found_forget(Found *entry)
{
	if (entry->type == NULL)
		return;
	pfree(entry->type);
	if (entry->tag != NULL)
		pfree(entry->tag);
	pfree(DatumGetPointer(entry->routes));
	entry->type = NULL;
}

/* The type comes last: an entry without one is none. */
static void
found_keep(Found *entry, const text *type, const text *tag, Datum routes)
{
	MemoryContext old = MemoryContextSwitchTo(found_context);

	found_forget(entry);
	entry->routes = datumCopy(routes, false, -1);
	entry->tag = text_copy(tag);
	entry->type = text_copy(type);
	MemoryContextSwitchTo(old);
}

Datum
route_match(const RouteCache *cache, const text *type, const text *tag)
{
	Found *entry = &found[(text_hash(type) ^ text_hash(tag)) % FOUND_MAX];
	Datum routes;

	found_renew(cache);
	if (entry->type != NULL && text_same(entry->type, type) &&
		text_same(entry->tag, tag))
		return datumCopy(entry->routes, false, -1);
	routes = match_all(cache, text_to_cstring(type),
					   tag == NULL ? NULL : text_to_cstring(tag));
	found_keep(entry, type, tag, routes);
	return routes;
}
