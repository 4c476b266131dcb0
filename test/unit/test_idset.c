/*
 * test/unit/test_idset.c
 *
 * The set of ids against one bit per id, and its text.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/idset.h"

#include <stdlib.h>

#include "tap.h"

#define IDS 200

static unsigned random_state = 1;

static unsigned
dice(unsigned below)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 16) % below;
}

/* Sorted, and no two ranges touch. */
static bool
is_tidy(const IdSet *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->items[i].first > set->items[i].last ||
			(i > 0 && set->items[i].first <= set->items[i - 1].last + 1))
			return false;
	return true;
}

static int
differences(const IdSet *set, const bool *bits)
{
	int wrong = 0;
	int64_t size = 0;

	for (int64_t id = 0; id < IDS; id++)
	{
		wrong += idset_has(set, id) != bits[id];
		size += bits[id];
	}
	return wrong + (idset_size(set) != size);
}

static void
test_random(void)
{
	int wrong = 0, untidy = 0;

	for (int round = 0; round < 2000; round++)
	{
		IdSet set;
		bool bits[IDS] = {false};

		idset_init(&set);
		for (int i = 0; i < 20; i++)
		{
			unsigned first = dice(IDS);
			unsigned last = first + dice(IDS - first < 12 ? IDS - first : 12);

			for (unsigned id = first; id <= last; id++)
				bits[id] = true;
			idset_add_range(&set, first, last);
			untidy += !is_tidy(&set);
		}
		wrong += differences(&set, bits);
		idset_reset(&set);
	}
	is_int(wrong, 0, "the same ids as one bit each");
	is_int(untidy, 0, "always sorted, never touching");
}

static void
test_edges(void)
{
	IdSet set = {0};

	ok(!idset_has(&set, 1), "nothing is in an empty set");
	idset_add(&set, INT64_MAX);
	idset_add(&set, INT64_MAX);
	idset_add(&set, INT64_MIN);
	idset_add(&set, INT64_MIN);
	ok(idset_has(&set, INT64_MAX) && idset_has(&set, INT64_MIN) &&
		   !idset_has(&set, 0),
	   "the outermost ids");
	is_int(set.count, 2, "in two ranges");
	idset_reset(&set);
}

static void
test_format(void)
{
	IdSet set = {0};
	char *text = idset_format(&set);

	is_str(text, "{}", "an empty multirange");
	free(text);
	idset_add_range(&set, 7, 7);
	idset_add_range(&set, 1, 2);
	text = idset_format(&set);
	is_str(text, "{[1,3),[7,8)}", "half-open ranges in order");
	free(text);
	idset_add_range(&set, INT64_C(562949953421313), INT64_C(562949953421314));
	text = idset_format(&set);
	is_str(text, "{[1,3),[7,8),[562949953421313,562949953421315)}",
		   "ids of a later timeline");
	free(text);
	idset_reset(&set);
}

int
main(void)
{
	test_random();
	test_edges();
	test_format();
	return tap_done();
}
