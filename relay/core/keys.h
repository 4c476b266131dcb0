/*
 * relay/core/keys.h
 *
 * The keys of a route: a hash table by the full 32-bit hash.  Two keys with
 * the same hash are held as one, which costs concurrency, never order.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_KEYS_H
#define OUTBOX_KEYS_H

#include "core/item.h"

typedef struct Keys
{
	Key **buckets;
	uint32_t room; /* a power of two */
	uint32_t count;
} Keys;

extern void keys_reset(Keys *keys);
/* keys_get: makes it when there is none. */
extern Key *keys_get(Keys *keys, int32_t hash);
extern Key *keys_find(const Keys *keys, int32_t hash);
/* keys_release: frees the key if nothing is left of it. */
extern void keys_release(Keys *keys, Key *key);
/* key_insert_row: at its place by (run, pos). */
extern void key_insert_row(Key *key, Row *row);

#endif /* OUTBOX_KEYS_H */
