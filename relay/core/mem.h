/*
 * relay/core/mem.h
 *
 * Memory of the relay.  The relay's state is in the database and its memory
 * is bounded by windows, so an allocation that fails ends the process: the
 * next start recovers.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_MEM_H
#define OUTBOX_MEM_H

#include <stddef.h>

/* mem_exhausted: says so and exits with status 1, to be started again. */
extern void mem_exhausted(void) __attribute__((noreturn));
/* mem_alloc: zeroed; exits with status 1 when there is none. */
extern void *mem_alloc(size_t size);
extern void *mem_realloc(void *ptr, size_t size);
/* mem_copy: len bytes of data in memory of their own. */
extern void *mem_copy(const void *data, size_t len);
/* mem_free: NULL is allowed. */
extern void mem_free(void *ptr);

/*
 * A growable array in a struct: TYPE *items; uint32_t count; uint32_t room.
 * ARRAY_PUSH makes room for one more and returns its address.
 */
#define ARRAY_PUSH(array)                                                      \
	((array)->items = mem_grow((array)->items, (array)->count, &(array)->room, \
							   sizeof(*(array)->items)),                       \
	 &(array)->items[(array)->count++])
#define ARRAY_RESET(array)                                                     \
	(mem_free((array)->items), (array)->items = NULL,                          \
	 (array)->count = (array)->room = 0)

extern void *mem_grow(void *items, unsigned count, unsigned *room,
					  size_t item_size);

#endif /* OUTBOX_MEM_H */
