/*
 * extension/route_load.c
 *
 * Reads outbox.route, setting, generation and cluster into a RouteCache.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "route_load.h"
#include "id.h"
#include "setting.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

static Datum
column(uint64 row, int number, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number,
						 null);
}

static void
load_relids(RouteCache *cache)
{
	cache->route = outbox_relid("route");
	cache->setting = outbox_relid("setting");
	cache->generation = outbox_relid("generation");
	cache->cluster = outbox_relid("cluster");
	cache->dedup = outbox_relid("dedup");
	cache->message_id_seq = outbox_relid("message_id_seq");
	cache->message = outbox_relid("message");
	for (int g = 0; g < OUTBOX_GENERATIONS; g++)
		for (int i = 0; i < OUTBOX_LEAVES; i++)
		{
			char name[NAMEDATALEN];

			snprintf(name, sizeof(name), "message_%d_%d", g, i);
			cache->leaves[g][i] = outbox_relid(name);
		}
}

/* The elements of a text[] as strings of the context. */
static char **
load_texts(MemoryContext context, Datum array, int *n)
{
	Datum *texts;
	char **strings;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &texts, NULL, n);
	strings = MemoryContextAlloc(context, Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
		strings[i] =
			MemoryContextStrdup(context, TextDatumGetCString(texts[i]));
	return strings;
}

static void
load_route(MemoryContext context, uint64 row, CachedRoute *route)
{
	bool null;
	Datum tags;

	route->id = DatumGetInt16(column(row, 1, &null));
	route->types = load_texts(context, column(row, 2, &null), &route->ntypes);
	tags = column(row, 3, &null);
	route->ntags = -1;
	if (!null)
		route->tags = load_texts(context, tags, &route->ntags);
}

static void
load_routes(MemoryContext context, RouteCache *cache)
{
	owner_read("SELECT id, types, tags FROM outbox.route"
			   " WHERE state OPERATOR(pg_catalog.<>) 'dropped' ORDER BY id",
			   0, NULL, NULL);
	cache->nroutes = SPI_processed;
	cache->routes = MemoryContextAllocZero(context, Max(cache->nroutes, 1) *
														sizeof(CachedRoute));
	for (int i = 0; i < cache->nroutes; i++)
		load_route(context, i, &cache->routes[i]);
}

static void
load_settings(RouteCache *cache)
{
	cache->max_payload = setting_default("max_payload");
	cache->allow_unrouted = setting_default("allow_unrouted") != 0;
	owner_read("SELECT name, value FROM outbox.setting", 0, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple tuple = SPI_tuptable->vals[row];
		const char *name = SPI_getvalue(tuple, desc, 1);
		const char *value = SPI_getvalue(tuple, desc, 2);

		if (strcmp(name, "max_payload") == 0)
			cache->max_payload = setting_stored(name, value);
		else if (strcmp(name, "allow_unrouted") == 0)
			cache->allow_unrouted = setting_stored(name, value) != 0;
	}
}

static void
load_generation(RouteCache *cache)
{
	bool null;

	owner_read("SELECT current FROM outbox.generation", 0, NULL, NULL);
	if (SPI_processed > 0)
		cache->current = DatumGetInt16(column(0, 1, &null));
}

RouteCache *
route_load(MemoryContext context)
{
	RouteCache *cache = MemoryContextAllocZero(context, sizeof(RouteCache));
	Owner owner;

	load_relids(cache);
	owner_enter(&owner, cache->route);
	load_routes(context, cache);
	load_settings(cache);
	load_generation(cache);
	cache->known = id_read_base(&cache->base);
	owner_leave(&owner);
	return cache;
}
