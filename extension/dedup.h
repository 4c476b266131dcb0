/*
 * extension/dedup.h
 *
 * Keeps biz_key unique with type, in outbox.dedup.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DEDUP_H
#define OUTBOX_DEDUP_H

#include "check.h"
#include "route_cache.h"

/*
 * dedup_claim takes (type, biz_key) for the message, waiting for a transaction
 * that has taken it and is not over.  True: it is ours.  False: it was taken,
 * on_duplicate is DUPLICATE_IGNORE and message->id is now the first one's.
 * Raises 23505 when taken and DUPLICATE_ERROR; 40001 when it was taken by a
 * transaction that this one's snapshot must not see.
 */
extern bool dedup_claim(Message *message, OnDuplicate on_duplicate);

#endif /* OUTBOX_DEDUP_H */
