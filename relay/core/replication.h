/*
 * relay/core/replication.h
 *
 * The words of PostgreSQL's streaming replication protocol that the relay
 * speaks: commands, what comes in a CopyData, and the feedback.  See
 * "Streaming Replication Protocol" in PostgreSQL's manual.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_REPLICATION_H
#define OUTBOX_REPLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLICATION_FEEDBACK_LEN 34
#define REPLICATION_COMMAND_MAX 1024

typedef enum ReplicationKind
{
	REPLICATION_DATA,
	REPLICATION_KEEPALIVE
} ReplicationKind;

typedef struct ReplicationMessage
{
	ReplicationKind kind;
	uint64_t wal_start;   /* of data */
	uint64_t server_end;  /* end of the WAL that was sent */
	bool reply_requested; /* of a keepalive */
	const uint8_t *data;  /* points into what was read */
	size_t len;
} ReplicationMessage;

/* replication_read: false when it is neither data nor a keepalive. */
extern bool replication_read(ReplicationMessage *message, const uint8_t *data,
							 size_t len);

/*
 * replication_feedback: a Standby status update that says written, flushed
 * and applied up to lsn.  wall_us counts from 1970-01-01 UTC.  reply: the
 * server is to answer at once, by a keepalive.
 */
extern void replication_feedback(uint8_t out[REPLICATION_FEEDBACK_LEN],
								 uint64_t lsn, int64_t wall_us, bool reply);

/* replication_lsn: "16/B374D848"; false when it is none. */
extern bool replication_lsn(const char *text, uint64_t *lsn);

/*
 * replication_create_command, replication_start_command: for a slot of any
 * name.  options NULL: those of outbox_decoder with schema_oid.  False when
 * the command does not fit size.
 */
extern bool replication_create_command(char *command, size_t size,
									   const char *slot, const char *plugin);
extern bool replication_start_command(char *command, size_t size,
									  const char *slot, const char *options,
									  uint32_t schema_oid);

#endif /* OUTBOX_REPLICATION_H */
