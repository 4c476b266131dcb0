/*
 * decoder/compat.h
 *
 * What differs for the plugin between PostgreSQL 15 and 19; the only file
 * under decoder/ that looks at PG_VERSION_NUM.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_COMPAT_H
#define OUTBOX_COMPAT_H

#include "replication/logical.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"

/* 16 took it out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#error "outbox_decoder needs PostgreSQL 15 or later"
#endif

/* 19 renamed the type; the number of the relay's own origin stays. */
#if PG_VERSION_NUM >= 190000
typedef ReplOriginId CompatOriginId;
#else
typedef RepOriginId CompatOriginId;
#endif

/* compat_new_tuple: the new row of a change, NULL when there is none. */
static inline HeapTuple
compat_new_tuple(const ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
	return change->data.tp.newtuple;
#else
	return change->data.tp.newtuple ? &change->data.tp.newtuple->tuple : NULL;
#endif
}

/* compat_top_txn: the transaction itself when it is not a subtransaction. */
static inline ReorderBufferTXN *
compat_top_txn(ReorderBufferTXN *txn)
{
#if PG_VERSION_NUM >= 160000
	return rbtxn_get_toptxn(txn);
#else
	return txn->toptxn ? txn->toptxn : txn;
#endif
}

/*
 * From 16 on the server itself tells progress between two changes; 15 leaves
 * it to the plugin, and without it the client times out in a long stretch of
 * rows that are not sent.
 */
#if PG_VERSION_NUM < 160000
#define COMPAT_CHANGES_TELL_PROGRESS 1
#else
#define COMPAT_CHANGES_TELL_PROGRESS 0
#endif

#endif /* OUTBOX_COMPAT_H */
