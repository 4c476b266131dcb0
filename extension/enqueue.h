/*
 * extension/enqueue.h
 *
 * One call of outbox_enqueue or its sisters.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ENQUEUE_H
#define OUTBOX_ENQUEUE_H

#include "check.h"
#include "leaf.h"

typedef struct Enqueue
{
	Leaves leaves;
	ErrorContextCallback callback;
	OnDuplicate on_duplicate;
	uint64 stamp;          /* of the cache that routes are from; 0: none */
	Datum routes;          /* smallint[] of the messages of this call */
	MemoryContext context; /* of the call */
} Enqueue;

/*
 * enqueue_hide comes first: from there until enqueue_end no error, the
 * server's own included, puts the statement or the context, which both have
 * the payload, into the log.
 */
extern void enqueue_hide(Enqueue *enqueue);

/*
 * enqueue_begin checks that this session may write; name is the function's,
 * for the error.  enqueue_end closes what enqueue_begin opened and ends
 * enqueue_hide.
 */
extern void enqueue_begin(Enqueue *enqueue, const char *name);
extern void enqueue_end(Enqueue *enqueue);

/*
 * enqueue_message checks the payload, places and inserts one message and gives
 * its id, or the first one's when its biz_key was taken and that is to be
 * ignored.  The texts are checked before by the caller, once for all messages
 * that share them.  All messages of a call have the same type and tag.
 */
extern int64 enqueue_message(Enqueue *enqueue, Message *message);

#endif /* OUTBOX_ENQUEUE_H */
