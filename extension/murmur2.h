/*
 * extension/murmur2.h
 *
 * The hash that decides shards and lanes, the same on the server, in the
 * relay and in any Kafka client.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_MURMUR2_H
#define OUTBOX_MURMUR2_H

#include <stddef.h>
#include <stdint.h>

/*
 * murmur2 gives the 32-bit hash of len bytes, equal to Utils.murmur2 of
 * Kafka's Java client on every machine.  data may be NULL when len is 0.
 */
extern int32_t murmur2(const void *data, size_t len);

#endif /* OUTBOX_MURMUR2_H */
