/*
 * relay/core/idrun.h
 *
 * IdRun: consecutive ids of one generation that go to the same routes, in
 * little memory.  Unresolved: U, the runs that had no resolved row when the
 * table was read, with the routes that remain for them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_IDRUN_H
#define OUTBOX_IDRUN_H

#include "wire.h"

typedef struct IdRun
{
	int64_t first;
	int64_t last; /* inclusive */
	int16_t generation;
	uint16_t nroutes;
	int16_t *routes; /* owned */
} IdRun;

/* Runs in the order in which they are to go, and an index by id. */
typedef struct Unresolved
{
	IdRun *items;
	uint32_t count;
	uint32_t room;
	uint32_t *by_id; /* made by unresolved_sort */
} Unresolved;

extern IdRun idrun_make(int16_t generation, int64_t first, int64_t last,
						const int16_t *routes, uint16_t nroutes);
extern void idrun_reset(IdRun *run);

extern void unresolved_add(Unresolved *u, const WireRun *run);
/* unresolved_sort: after the last add, before the first find. */
extern void unresolved_sort(Unresolved *u);
/* unresolved_find: the run with this id, or NULL. */
extern const IdRun *unresolved_find(const Unresolved *u, int64_t id);
extern void unresolved_reset(Unresolved *u);

#endif /* OUTBOX_IDRUN_H */
