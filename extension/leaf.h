/*
 * extension/leaf.h
 *
 * Leaves: the partitions of outbox.message that one call inserts into, with
 * one executor state for all of them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LEAF_H
#define OUTBOX_LEAF_H

#include "message.h"
#include "outbox.h"

#include "nodes/execnodes.h"

typedef struct Leaf
{
	ResultRelInfo *info;
	bool plain; /* as the extension made it */
} Leaf;

typedef struct Leaves
{
	MemoryContext context;
	Leaf *leaf[OUTBOX_GENERATIONS][OUTBOX_LEAVES]; /* NULL: closed */
	/* for leaves that are not plain; NULL: there was none */
	EState *estate;
	TupleTableSlot *slot;
} Leaves;

/*
 * leaves_open begins and leaves_close ends a call's inserts; locks stay until
 * the transaction ends.  After an error neither is needed.
 */
extern void leaves_open(Leaves *leaves);
extern void leaves_close(Leaves *leaves);

/*
 * leaves_lock opens the leaf for the message's shard in the current
 * generation and sets message->generation.  The lock comes first: only then
 * is it certain which routes are current.  The generation is the one that was
 * current before the lock, or at the last message when the leaf was open: a
 * newer one may have come, which does no harm.  Call route_cache_get before.
 */
extern void leaves_lock(Leaves *leaves, Message *message);

/* leaves_insert inserts into the leaf that leaves_lock has opened. */
extern void leaves_insert(Leaves *leaves, const Message *message);

#endif /* OUTBOX_LEAF_H */
