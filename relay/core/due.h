/*
 * relay/core/due.h
 *
 * The waiting rows of a route that may be tried when their time comes, as a
 * binary heap by due_ms.  A row knows its place, so it can be taken out.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DUE_H
#define OUTBOX_DUE_H

#include "core/item.h"

typedef struct Due
{
	Row **items;
	uint32_t count;
	uint32_t room;
} Due;

extern void due_reset(Due *due);
extern void due_add(Due *due, Row *row);
/* due_remove: nothing when the row is not in. */
extern void due_remove(Due *due, Row *row);
/* due_first: the row whose time comes first, or NULL. */
extern Row *due_first(const Due *due);

#endif /* OUTBOX_DUE_H */
