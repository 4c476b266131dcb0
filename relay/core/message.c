/*
 * relay/core/message.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/message.h"

#include <assert.h>

#include "core/mem.h"
#include "murmur2.h"

Message *
message_new(int64_t id, int16_t generation)
{
	Message *message = mem_alloc(sizeof(*message));

	message->id = id;
	message->generation = generation;
	message->refs = 1;
	return message;
}

/* Ordering key: message_key, else sharding_key, else none. */
static void
set_key(Message *message, const WireMessage *wire)
{
	const WireBytes *key = wire->message_key.data != NULL ? &wire->message_key
														  : &wire->sharding_key;

	message->has_key = key->data != NULL;
	message->key_hash = message->has_key ? murmur2(key->data, key->len) : 0;
}

void
message_set_body(Message *message, const WireMessage *wire, int64_t *account)
{
	WireWriter writer;

	message->shard_id = wire->shard_id;
	message->create_time = wire->create_time;
	set_key(message, wire);
	if (wire->payload_omitted || message->bytes != NULL)
		return;
	message->len = (uint32_t) wire_message_size(wire);
	message->bytes = mem_realloc(NULL, message->len);
	wire_writer_init(&writer, message->bytes, message->len);
	wire_message_write(&writer, wire);
	assert(!writer.overflow && writer.len == message->len);
	message->account = account;
	*account += message->len;
}

void
message_set_unreadable(Message *message, int64_t *account)
{
	if (message->bytes != NULL)
		return;
	message->unreadable = true;
	message->bytes = mem_alloc(0);
	message->account = account;
}

void
message_unref(Message *message)
{
	assert(message->refs > 0);
	if (--message->refs > 0)
		return;
	if (message->bytes != NULL)
		*message->account -= message->len;
	mem_free(message->bytes);
	mem_free(message);
}
