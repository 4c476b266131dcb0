/*
 * relay/core/due.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/due.h"

#include "core/mem.h"

void
due_reset(Due *due)
{
	ARRAY_RESET(due);
}

static void
put(Due *due, uint32_t at, Row *row)
{
	due->items[at] = row;
	row->heap_index = (int32_t) at;
}

static void
sift_up(Due *due, uint32_t at, Row *row)
{
	while (at > 0 && due->items[(at - 1) / 2]->due_ms > row->due_ms)
	{
		put(due, at, due->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(due, at, row);
}

static void
sift_down(Due *due, uint32_t at, Row *row)
{
	for (;;)
	{
		uint32_t child = 2 * at + 1;

		if (child >= due->count)
			break;
		if (child + 1 < due->count &&
			due->items[child + 1]->due_ms < due->items[child]->due_ms)
			child++;
		if (due->items[child]->due_ms >= row->due_ms)
			break;
		put(due, at, due->items[child]);
		at = child;
	}
	put(due, at, row);
}

void
due_add(Due *due, Row *row)
{
	(void) ARRAY_PUSH(due);
	sift_up(due, due->count - 1, row);
}

void
due_remove(Due *due, Row *row)
{
	uint32_t at = (uint32_t) row->heap_index;
	Row *last;

	if (row->heap_index < 0)
		return;
	row->heap_index = -1;
	last = due->items[--due->count];
	if (last == row)
		return;
	if (at > 0 && due->items[(at - 1) / 2]->due_ms > last->due_ms)
		sift_up(due, at, last);
	else
		sift_down(due, at, last);
}

Row *
due_first(const Due *due)
{
	return due->count > 0 ? due->items[0] : NULL;
}
