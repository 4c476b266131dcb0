/*
 * relay/core/mem.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
mem_exhausted(void)
{
	fputs("outbox-relay: out of memory\n", stderr);
	exit(1);
}

static void *
or_exit(void *ptr)
{
	if (ptr == NULL)
		mem_exhausted();
	return ptr;
}

void *
mem_alloc(size_t size)
{
	return or_exit(calloc(1, size > 0 ? size : 1));
}

void *
mem_realloc(void *ptr, size_t size)
{
	return or_exit(realloc(ptr, size > 0 ? size : 1));
}

void *
mem_copy(const void *data, size_t len)
{
	void *copy = or_exit(malloc(len > 0 ? len : 1));

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

void
mem_free(void *ptr)
{
	free(ptr);
}

void *
mem_grow(void *items, unsigned count, unsigned *room, size_t item_size)
{
	if (count < *room)
		return items;
	*room = *room == 0 ? 8 : *room * 2;
	return mem_realloc(items, *room * item_size);
}
