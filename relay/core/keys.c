/*
 * relay/core/keys.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/keys.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"

void
keys_reset(Keys *keys)
{
	for (uint32_t i = 0; i < keys->room; i++)
	{
		Key *key = keys->buckets[i];

		while (key != NULL)
		{
			Key *next = key->next;

			mem_free(key);
			key = next;
		}
	}
	mem_free(keys->buckets);
	memset(keys, 0, sizeof(*keys));
}

static Key **
bucket(const Keys *keys, int32_t hash)
{
	/* murmur2 mixes all bits, its low ones will do */
	return &keys->buckets[(uint32_t) hash & (keys->room - 1)];
}

static void
grow(Keys *keys)
{
	Keys old = *keys;

	keys->room = old.room == 0 ? 64 : old.room * 2;
	keys->buckets = mem_alloc(keys->room * sizeof(Key *));
	for (uint32_t i = 0; i < old.room; i++)
	{
		Key *key = old.buckets[i];

		while (key != NULL)
		{
			Key *next = key->next;
			Key **head = bucket(keys, key->hash);

			key->next = *head;
			*head = key;
			key = next;
		}
	}
	mem_free(old.buckets);
}

Key *
keys_find(const Keys *keys, int32_t hash)
{
	Key *key = keys->room > 0 ? *bucket(keys, hash) : NULL;

	while (key != NULL && key->hash != hash)
		key = key->next;
	return key;
}

Key *
keys_get(Keys *keys, int32_t hash)
{
	Key *key = keys_find(keys, hash);
	Key **head;

	if (key != NULL)
		return key;
	if (keys->count >= keys->room)
		grow(keys);
	key = mem_alloc(sizeof(*key));
	key->hash = hash;
	TAILQ_INIT(&key->items);
	TAILQ_INIT(&key->rows);
	head = bucket(keys, hash);
	key->next = *head;
	*head = key;
	keys->count++;
	return key;
}

void
keys_release(Keys *keys, Key *key)
{
	Key **link;

	if (!TAILQ_EMPTY(&key->items) || !TAILQ_EMPTY(&key->rows) ||
		key->backlog != NULL || key->dead_pending > 0 || key->pins > 0)
		return;
	assert(key->inflight == 0); /* what is under way is an item or a row's */
	for (link = bucket(keys, key->hash); *link != key; link = &(*link)->next)
		;
	*link = key->next;
	keys->count--;
	mem_free(key);
}

static bool
comes_before(const Row *a, const Row *b)
{
	return a->run != b->run ? a->run < b->run : a->pos < b->pos;
}

void
key_insert_row(Key *key, Row *row)
{
	Row *before;

	/* nearly always the last */
	TAILQ_FOREACH_REVERSE(before, &key->rows, RowList, in_key)
	if (!comes_before(row, before))
		break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&key->rows, before, row, in_key);
	else
		TAILQ_INSERT_HEAD(&key->rows, row, in_key);
}
