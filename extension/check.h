/*
 * extension/check.h
 *
 * What a message may be.  Everything that the table's own constraints would
 * refuse is refused here first: the server's error prints the row, payload
 * included, into the log.  For the same reason no error of ours shows a
 * payload or the statement.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CHECK_H
#define OUTBOX_CHECK_H

#include "message.h"

#define CHECK_HEADERS_MAX 64
#define CHECK_HEADERS_BYTES_MAX 16384 /* names and values together */

typedef enum OnDuplicate
{
	DUPLICATE_ERROR,
	DUPLICATE_IGNORE
} OnDuplicate;

/*
 * check_fields raises when one of the message's texts is not allowed; all but
 * the content type, which is ours where it is not an argument.
 */
extern void check_fields(const Message *message);

/* check_field does the same for one of them; NULL is SQL NULL. */
extern void check_field(MessageField field, const text *value);

/*
 * check_headers gives the headers with every value as a string, NULL when
 * there are none; raises on a name or value that HTTP forbids or we reserve.
 */
extern Jsonb *check_headers(Jsonb *headers);

/* check_payload raises when the payload is NULL or over max_payload bytes. */
extern void check_payload(const bytea *payload, int64 max_payload);

/* check_on_duplicate reads 'error' or 'ignore'; NULL is refused. */
extern OnDuplicate check_on_duplicate(const text *value);

/* check_undelayed refuses a delivery time, which is not supported. */
extern void check_undelayed(bool deliver_at_is_null);

#endif /* OUTBOX_CHECK_H */
