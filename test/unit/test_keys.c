/*
 * test/unit/test_keys.c
 *
 * The keys of a route, the order of their rows, and the heap of due ones.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/keys.h"

#include <stdlib.h>

#include "core/due.h"
#include "tap.h"

#define KEYS 1000
#define ROWS 300

static void
test_table(void)
{
	Keys keys = {0};
	int wrong = 0;

	ok(keys_find(&keys, 1) == NULL, "nothing is in an empty table");
	for (int32_t i = 0; i < KEYS; i++)
		keys_get(&keys, i * 64)->pins = 1;
	is_int(keys.count, KEYS, "so many keys");
	for (int32_t i = 0; i < KEYS; i++)
	{
		wrong += keys_get(&keys, i * 64) != keys_find(&keys, i * 64);
		wrong += keys_find(&keys, i * 64)->hash != i * 64;
	}
	is_int(wrong, 0, "each is found again, and made once");
	for (int32_t i = 0; i < KEYS; i++)
	{
		Key *key = keys_find(&keys, i * 64);

		keys_release(&keys, key);
		wrong += keys_find(&keys, i * 64) != key;
		key->pins = 0;
		keys_release(&keys, key);
		wrong += keys_find(&keys, i * 64) != NULL;
	}
	is_int(wrong, 0, "freed when nothing is left, not before");
	is_int(keys.count, 0, "none is left");
	keys_reset(&keys);
}

static void
test_rows(void)
{
	Keys keys = {0};
	Key *key = keys_get(&keys, -5);
	Row rows[] = {{.run = 2, .pos = 1},
				  {.run = 1, .pos = 9},
				  {.run = 2, .pos = 0},
				  {.run = 1, .pos = 3}};
	static const int expected[] = {3, 1, 2, 0};
	Row *row;
	int n = 0, wrong = 0;

	for (int i = 0; i < 4; i++)
		key_insert_row(key, &rows[i]);
	TAILQ_FOREACH(row, &key->rows, in_key)
	wrong += row != &rows[expected[n++]];
	is_int(n, 4, "all rows are there");
	is_int(wrong, 0, "by run, then pos");
	keys_reset(&keys);
}

static void
test_due(void)
{
	static Row rows[ROWS];
	Due due = {0};
	int64_t last = -1;
	int wrong = 0, left = 0;

	srand(1);
	for (int i = 0; i < ROWS; i++)
	{
		rows[i] = (Row){.due_ms = rand() % 100, .heap_index = -1};
		due_add(&due, &rows[i]);
	}
	for (int i = 0; i < ROWS; i += 3)
	{
		due_remove(&due, &rows[i]);
		due_remove(&due, &rows[i]);
		wrong += rows[i].heap_index != -1;
	}
	for (Row *row; (row = due_first(&due)) != NULL; left++)
	{
		wrong += row->due_ms < last;
		last = row->due_ms;
		due_remove(&due, row);
	}
	is_int(left, ROWS - ROWS / 3, "what was not removed comes out");
	is_int(wrong, 0, "the soonest first");
	due_reset(&due);
}

int
main(void)
{
	test_table();
	test_rows();
	test_due();
	return tap_done();
}
