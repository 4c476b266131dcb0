/*
 * extension/message.h
 *
 * Message: a row of outbox.message on its way in.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_MESSAGE_H
#define OUTBOX_MESSAGE_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* The texts of a message; check.c has their limits in the same order. */
typedef enum MessageField
{
	MESSAGE_TYPE,
	MESSAGE_BIZ_KEY,
	MESSAGE_TOPIC,
	MESSAGE_TAG,
	MESSAGE_KEY,
	MESSAGE_SHARDING_KEY,
	MESSAGE_CONTENT_TYPE
} MessageField;

#define MESSAGE_FIELDS (MESSAGE_CONTENT_TYPE + 1)

/* The columns of outbox.message, see message.c. */
#define MESSAGE_COLUMNS (MESSAGE_FIELDS + 8)

typedef struct Message
{
	int64 id;
	TimestampTz create_time;
	int16 generation;
	int16 shard_id;
	Datum routes;                 /* smallint[] */
	text *fields[MESSAGE_FIELDS]; /* NULL is SQL NULL */
	Jsonb *headers;               /* NULL: none */
	bytea *payload;
} Message;

/* message_shard gives murmur2 of the key's bytes, masked, modulo 1024. */
extern int32 message_shard(const text *key);

/*
 * message_place sets shard_id from the keys, or without one from the id's 8
 * bytes, the highest first.
 */
extern void message_place(Message *message);

/* message_render gives a jsonb as the bytes that will be sent, in UTF-8. */
extern bytea *message_render(Jsonb *json);

/*
 * message_check_columns raises when outbox.message has columns that
 * message_form cannot fill: the server's own error would show the payload.
 */
extern void message_check_columns(TupleDesc desc);

/*
 * message_columns_plain says that a table has the columns of outbox.message
 * and no other, and that none which message_form may leave NULL is NOT NULL.
 */
extern bool message_columns_plain(TupleDesc desc);

/*
 * message_form puts the message into the columns of outbox.message, which
 * message_check_columns has seen.
 */
extern void message_form(const Message *message, TupleDesc desc, Datum *values,
						 bool *nulls);

#endif /* OUTBOX_MESSAGE_H */
