/*
 * relay/core/message.h
 *
 * A message in memory, shared by the routes it is for.  Its body is kept as
 * the bytes of wire.h and read again when it is sent, so that a waiting
 * message costs little more than its own length.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_MESSAGE_H
#define OUTBOX_MESSAGE_H

#include "wire.h"

typedef struct Message
{
	int64_t id;
	int16_t generation;
	int16_t shard_id;
	bool has_key; /* an ordering key, hence key_hash */
	int32_t key_hash;
	uint8_t *bytes; /* wire_message_write's, if readable; NULL: to be read */
	uint32_t len;
	int64_t *account;    /* bytes held in all, len is part of it */
	uint32_t refs;       /* items that point here */
	bool unreadable;     /* its row is not as it should be */
	bool open;           /* taken from the stream and not yet resolved */
	uint16_t unplaced;   /* routes with no answer and no row, if open */
	uint64_t ticket;     /* of position.h, if open */
	int64_t commit_time; /* microseconds; 0: not known */
	int64_t create_time; /* likewise */
} Message;

/* message_new: with one reference and no body. */
extern Message *message_new(int64_t id, int16_t generation);
/*
 * message_of_frame: the same with its body, data as it stands in a frame,
 * unless that was omitted.  What it takes is added to *account until the
 * message is freed.
 */
extern Message *message_of_frame(const WireMessage *wire, const uint8_t *data,
								 size_t len, int64_t *account);
/* message_set_body: likewise, whole as it was read from the table. */
extern void message_set_body(Message *message, const WireMessage *wire,
							 int64_t *account);
/* message_set_unreadable: there will be no body, unless there is one. */
extern void message_set_unreadable(Message *message, int64_t *account);
/* message_unref: frees with the last reference. */
extern void message_unref(Message *message);

#endif /* OUTBOX_MESSAGE_H */
