/*
 * relay/core/message.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/message.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"
#include "murmur2.h"

/* With room for a body of so many bytes behind it. */
static Message *
make(int64_t id, int16_t generation, size_t room)
{
	Message *message = mem_realloc(NULL, sizeof(*message) + room);

	*message = (Message){.id = id, .generation = generation, .refs = 1};
	return message;
}

static uint8_t *
room_of(Message *message)
{
	return (uint8_t *) (message + 1);
}

Message *
message_new(int64_t id, int16_t generation)
{
	return make(id, generation, 0);
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

static void
set_head(Message *message, const WireMessage *wire)
{
	message->shard_id = wire->shard_id;
	message->create_time = wire->create_time;
	set_key(message, wire);
}

static void
set_bytes(Message *message, uint8_t *bytes, size_t len, int64_t *account)
{
	message->bytes = bytes;
	message->len = (uint32_t) len;
	message->account = account;
	*account += message->len;
}

Message *
message_of_frame(const WireMessage *wire, const uint8_t *data, size_t len,
				 int64_t *account)
{
	Message *message =
		make(wire->id, wire->generation, wire->payload_omitted ? 0 : len);

	set_head(message, wire);
	if (wire->payload_omitted)
		return message;
	memcpy(room_of(message), data, len);
	set_bytes(message, room_of(message), len, account);
	return message;
}

void
message_set_body(Message *message, const WireMessage *wire, int64_t *account)
{
	size_t len = wire_message_size(wire);
	WireWriter writer;

	set_head(message, wire);
	if (message->bytes != NULL)
		return;
	wire_writer_init(&writer, mem_realloc(NULL, len), len);
	wire_message_write(&writer, wire);
	assert(!writer.overflow && writer.len == len);
	set_bytes(message, writer.data, len, account);
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
	if (message->bytes != room_of(message))
		mem_free(message->bytes);
	mem_free(message);
}
