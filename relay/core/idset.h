/*
 * relay/core/idset.h
 *
 * A set of message ids as sorted ranges that neither overlap nor touch.
 * Ids mostly come in ascending order, so adding is mostly appending.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_IDSET_H
#define OUTBOX_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IdRange
{
	int64_t first;
	int64_t last; /* inclusive */
} IdRange;

typedef struct IdSet
{
	IdRange *items;
	uint32_t count;
	uint32_t room;
} IdSet;

/* idset_init: empty; a zeroed IdSet is one too. */
extern void idset_init(IdSet *set);
extern void idset_reset(IdSet *set);
extern void idset_add(IdSet *set, int64_t id);
extern void idset_add_range(IdSet *set, int64_t first, int64_t last);
extern bool idset_has(const IdSet *set, int64_t id);
/* idset_size: how many ids. */
extern int64_t idset_size(const IdSet *set);
/* idset_format: as a PostgreSQL multirange, e.g. "{[1,3),[7,8)}"; to free. */
extern char *idset_format(const IdSet *set);

#endif /* OUTBOX_IDSET_H */
