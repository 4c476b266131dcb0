/*
 * relay/core/replication.c
 *
 * Bytes and texts of the replication protocol.  No byte is looked at before
 * the length has been.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/replication.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Replication time counts from 2000-01-01 UTC. */
#define EPOCH_2000_US INT64_C(946684800000000)

#define DATA_HEAD 25     /* 'w', start, end, time */
#define KEEPALIVE_LEN 18 /* 'k', end, time, reply requested */

static void
put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t) (value >> (56 - 8 * i));
}

static uint64_t
get_u64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

bool
replication_read(ReplicationMessage *message, const uint8_t *data, size_t len)
{
	memset(message, 0, sizeof(*message));
	if (len >= DATA_HEAD && data[0] == 'w')
	{
		message->kind = REPLICATION_DATA;
		message->wal_start = get_u64(data + 1);
		message->server_end = get_u64(data + 9);
		message->data = data + DATA_HEAD;
		message->len = len - DATA_HEAD;
		return true;
	}
	if (len >= KEEPALIVE_LEN && data[0] == 'k')
	{
		message->kind = REPLICATION_KEEPALIVE;
		message->server_end = get_u64(data + 1);
		message->reply_requested = data[17] != 0;
		return true;
	}
	return false;
}

void
replication_feedback(uint8_t out[REPLICATION_FEEDBACK_LEN], uint64_t lsn,
					 int64_t wall_us, bool reply)
{
	out[0] = 'r';
	put_u64(out + 1, lsn);
	put_u64(out + 9, lsn);
	put_u64(out + 17, lsn);
	put_u64(out + 25, (uint64_t) (wall_us - EPOCH_2000_US));
	out[33] = reply;
}

/* parse_hex: one to eight digits; NULL when they are not there. */
static const char *
parse_hex(const char *text, uint32_t *value)
{
	int digits = 0;

	*value = 0;
	for (; digits < 8 && *text != '\0'; digits++, text++)
	{
		const char *all = "0123456789ABCDEF0123456789abcdef";
		const char *at = strchr(all, *text);

		if (at == NULL)
			break;
		*value = *value << 4 | (uint32_t) ((at - all) % 16);
	}
	return digits > 0 ? text : NULL;
}

bool
replication_lsn(const char *text, uint64_t *lsn)
{
	uint32_t high;
	uint32_t low;

	text = parse_hex(text, &high);
	if (text == NULL || *text != '/')
		return false;
	text = parse_hex(text + 1, &low);
	if (text == NULL || *text != '\0')
		return false;
	*lsn = (uint64_t) high << 32 | low;
	return true;
}

/* quote: name as an identifier; false when it does not fit. */
static bool
quote(char *quoted, size_t size, const char *name)
{
	size_t len = 0;

	quoted[len++] = '"';
	for (; *name != '\0'; name++)
	{
		if (size - len < 4)
			return false;
		if (*name == '"')
			quoted[len++] = '"';
		quoted[len++] = *name;
	}
	quoted[len++] = '"';
	quoted[len] = '\0';
	return true;
}

bool
replication_create_command(char *command, size_t size, const char *slot,
						   const char *plugin)
{
	char quoted[REPLICATION_COMMAND_MAX];
	char quoted_plugin[REPLICATION_COMMAND_MAX];
	int len;

	if (!quote(quoted, sizeof(quoted), slot) ||
		!quote(quoted_plugin, sizeof(quoted_plugin), plugin))
		return false;
	/* without a snapshot: it would be a transaction held open for nothing */
	len = snprintf(command, size,
				   "CREATE_REPLICATION_SLOT %s LOGICAL %s "
				   "(SNAPSHOT 'nothing')",
				   quoted, quoted_plugin);
	return (size_t) len < size;
}

bool
replication_start_command(char *command, size_t size, const char *slot,
						  const char *options, uint32_t schema_oid)
{
	char quoted[REPLICATION_COMMAND_MAX];
	char ours[64];
	int len;

	if (!quote(quoted, sizeof(quoted), slot))
		return false;
	snprintf(ours, sizeof(ours), "proto_version '1', schema_oid '%" PRIu32 "'",
			 schema_oid);
	len = snprintf(command, size, "START_REPLICATION SLOT %s LOGICAL 0/0 (%s)",
				   quoted, options == NULL ? ours : options);
	return (size_t) len < size;
}
