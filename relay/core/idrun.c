/*
 * relay/core/idrun.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/idrun.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

IdRun
idrun_make(int16_t generation, int64_t first, int64_t last,
		   const int16_t *routes, uint16_t nroutes)
{
	return (IdRun){
		.first = first,
		.last = last,
		.generation = generation,
		.nroutes = nroutes,
		.routes = mem_copy(routes, nroutes * sizeof(*routes)),
	};
}

void
idrun_reset(IdRun *run)
{
	mem_free(run->routes);
	run->routes = NULL;
}

void
unresolved_add(Unresolved *u, const WireRun *run)
{
	*ARRAY_PUSH(u) = idrun_make(run->generation, run->first, run->last,
								run->routes, run->nroutes);
}

/* The order of the index; qsort has no argument to hand the runs through. */
typedef struct Entry
{
	int64_t first;
	uint32_t index;
} Entry;

static int
compare(const void *a, const void *b)
{
	int64_t x = ((const Entry *) a)->first;
	int64_t y = ((const Entry *) b)->first;

	return (x > y) - (x < y);
}

void
unresolved_sort(Unresolved *u)
{
	Entry *entries = mem_alloc(u->count * sizeof(Entry));

	for (uint32_t i = 0; i < u->count; i++)
		entries[i] = (Entry){u->items[i].first, i};
	qsort(entries, u->count, sizeof(Entry), compare);
	mem_free(u->by_id);
	u->by_id = mem_alloc(u->count * sizeof(uint32_t));
	for (uint32_t i = 0; i < u->count; i++)
		u->by_id[i] = entries[i].index;
	mem_free(entries);
}

const IdRun *
unresolved_find(const Unresolved *u, int64_t id)
{
	uint32_t low = 0, high = u->by_id != NULL ? u->count : 0;

	while (low < high)
	{
		uint32_t mid = low + (high - low) / 2;
		const IdRun *run = &u->items[u->by_id[mid]];

		if (id < run->first)
			high = mid;
		else if (id > run->last)
			low = mid + 1;
		else
			return run;
	}
	return NULL;
}

void
unresolved_reset(Unresolved *u)
{
	for (uint32_t i = 0; i < u->count; i++)
		idrun_reset(&u->items[i]);
	ARRAY_RESET(u);
	mem_free(u->by_id);
	u->by_id = NULL;
}
