/*
 * extension/murmur2.c
 *
 * MurmurHash2 by Austin Appleby (public domain), with the seed that Kafka's
 * Java client uses.  Pure: shared by the extension and the relay.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "murmur2.h"

#define MURMUR2_SEED 0x9747b28cU
#define MURMUR2_M 0x5bd1e995U
#define MURMUR2_R 24

/* Bytes are put together by hand: the order must not depend on the machine. */
static uint32_t
word_at(const unsigned char *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
		   (uint32_t) p[3] << 24;
}

static uint32_t
mix_tail(uint32_t h, const unsigned char *p, size_t len)
{
	if (len == 0)
		return h;
	if (len > 2)
		h ^= (uint32_t) p[2] << 16;
	if (len > 1)
		h ^= (uint32_t) p[1] << 8;
	h ^= (uint32_t) p[0];
	return h * MURMUR2_M;
}

int32_t
murmur2(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t h = MURMUR2_SEED ^ (uint32_t) len;

	for (; len >= 4; p += 4, len -= 4)
	{
		uint32_t k = word_at(p) * MURMUR2_M;

		k ^= k >> MURMUR2_R;
		h = h * MURMUR2_M ^ k * MURMUR2_M;
	}
	h = mix_tail(h, p, len);
	h ^= h >> 13;
	h *= MURMUR2_M;
	h ^= h >> 15;
	return (int32_t) h;
}
