/*
 * relay/core/idset.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/idset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"

/* "[" + two int64 + "," + ")" + "," */
#define RANGE_TEXT_MAX 44

void
idset_init(IdSet *set)
{
	memset(set, 0, sizeof(*set));
}

void
idset_reset(IdSet *set)
{
	ARRAY_RESET(set);
}

void
idset_add(IdSet *set, int64_t id)
{
	idset_add_range(set, id, id);
}

/* Index of the first range whose last is >= id, or count. */
static uint32_t
find(const IdSet *set, int64_t id)
{
	uint32_t low = 0, high = set->count;

	if (high > 0 && set->items[high - 1].last < id)
		return high;
	while (low < high)
	{
		uint32_t mid = low + (high - low) / 2;

		if (set->items[mid].last < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
insert_at(IdSet *set, uint32_t at, int64_t first, int64_t last)
{
	(void) ARRAY_PUSH(set);
	memmove(&set->items[at + 1], &set->items[at],
			(set->count - 1 - at) * sizeof(IdRange));
	set->items[at] = (IdRange){first, last};
}

void
idset_add_range(IdSet *set, int64_t first, int64_t last)
{
	/* the first range that the new one overlaps or touches */
	uint32_t at = find(set, first > INT64_MIN ? first - 1 : first);
	uint32_t end = at;
	IdRange *range;

	while (end < set->count &&
		   (last == INT64_MAX || set->items[end].first <= last + 1))
		end++;
	if (end == at)
	{
		insert_at(set, at, first, last);
		return;
	}
	range = &set->items[at];
	if (first < range->first)
		range->first = first;
	range->last = set->items[end - 1].last;
	if (last > range->last)
		range->last = last;
	memmove(range + 1, &set->items[end], (set->count - end) * sizeof(IdRange));
	set->count -= end - at - 1;
}

bool
idset_has(const IdSet *set, int64_t id)
{
	uint32_t at = find(set, id);

	return at < set->count && set->items[at].first <= id;
}

int64_t
idset_size(const IdSet *set)
{
	int64_t size = 0;

	for (uint32_t i = 0; i < set->count; i++)
		size += set->items[i].last - set->items[i].first + 1;
	return size;
}

char *
idset_format(const IdSet *set)
{
	size_t room = (size_t) set->count * RANGE_TEXT_MAX + 3;
	char *text = mem_alloc(room);
	size_t len = 1;

	text[0] = '{';
	for (uint32_t i = 0; i < set->count; i++)
		len += (size_t) snprintf(
			text + len, room - len, "%s[%" PRId64 ",%" PRId64 ")",
			i > 0 ? "," : "", set->items[i].first, set->items[i].last + 1);
	text[len++] = '}';
	text[len] = '\0';
	return text;
}
