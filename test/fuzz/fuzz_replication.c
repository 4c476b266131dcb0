/*
 * test/fuzz/fuzz_replication.c
 *
 * What the relay reads of PostgreSQL's replication protocol, and the texts
 * that it makes: a position prints back, a name in a command is the name.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/replication.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
big_endian(const uint8_t *data)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | data[i];
	return value;
}

static void
check_read(const uint8_t *data, size_t size)
{
	ReplicationMessage message;
	bool good = replication_read(&message, data, size);

	if (good != (size > 0 && ((data[0] == 'w' && size >= 25) ||
							  (data[0] == 'k' && size >= 18))))
		abort();
	if (!good)
		return;
	if (message.kind == REPLICATION_DATA
			? message.wal_start != big_endian(data + 1) ||
				  message.server_end != big_endian(data + 9) ||
				  message.data != data + 25 || message.len != size - 25
			: message.server_end != big_endian(data + 1) ||
				  message.reply_requested != (data[17] != 0))
		abort();
}

static void
check_lsn(const char *text)
{
	char printed[20];
	uint64_t lsn, again;

	if (!replication_lsn(text, &lsn))
		return;
	snprintf(printed, sizeof(printed), "%X/%X", (unsigned) (lsn >> 32),
			 (unsigned) lsn);
	if (!replication_lsn(printed, &again) || again != lsn || strlen(text) > 17)
		abort();
}

static void
check_feedback(const uint8_t *data, size_t size)
{
	uint8_t out[REPLICATION_FEEDBACK_LEN];
	uint64_t lsn;

	if (size < 16)
		return;
	lsn = big_endian(data);
	/* any wall clock that microseconds can tell */
	replication_feedback(out, lsn, (int64_t) (big_endian(data + 8) >> 2),
						 lsn % 2 == 1);
	if (out[0] != 'r' || out[33] != lsn % 2 || big_endian(out + 1) != lsn ||
		big_endian(out + 9) != lsn || big_endian(out + 17) != lsn)
		abort();
}

/* Reads one quoted name as the server's scanner does; NULL: it is none. */
static const char *
read_name(const char *at, char *name)
{
	if (*at++ != '"')
		return NULL;
	for (;; at++)
	{
		if (*at == '\0')
			return NULL;
		if (*at == '"' && *++at != '"')
			break;
		*name++ = *at;
	}
	*name = '\0';
	return at;
}

static void
check_commands(const char *slot)
{
	char command[REPLICATION_COMMAND_MAX];
	char name[REPLICATION_COMMAND_MAX];
	const char *at;

	if (replication_create_command(command, sizeof(command), slot, slot))
	{
		at = strchr(command, ' ') + 1;
		if ((at = read_name(at, name)) == NULL || strcmp(name, slot) != 0 ||
			strncmp(at, " LOGICAL ", 9) != 0 ||
			(at = read_name(at + 9, name)) == NULL || strcmp(name, slot) != 0 ||
			strcmp(at, " (SNAPSHOT 'nothing')") != 0)
			abort();
	}
	if (replication_start_command(command, sizeof(command), slot, NULL, 1) &&
		((at = read_name(strchr(command, '"'), name)) == NULL ||
		 strcmp(name, slot) != 0 ||
		 strcmp(at, " LOGICAL 0/0 (proto_version '1', schema_oid '1')") != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	check_read(data, size);
	check_feedback(data, size);
	check_lsn(text);
	check_commands(text);
	free(text);
	return 0;
}
