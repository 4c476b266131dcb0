/*
 * test/unit/test_replication.c
 *
 * Golden bytes and hostile input of the replication protocol.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/replication.h"

#include <stdlib.h>

#include "tap.h"

static const uint8_t data_message[] = {'w', 0, 0, 0, 1, 0, 0, 0,   2,
									   0,   0, 0, 1, 0, 0, 0, 3,   9,
									   9,   9, 9, 9, 9, 9, 9, 'T', 'x'};
static const uint8_t keepalive_message[] = {'k', 1, 2, 3, 4, 5, 6, 7, 8,
											0,   0, 0, 0, 0, 0, 0, 0, 1};

/* read_exact: from memory of just that length, so that ASan sees overruns. */
static bool
read_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	ReplicationMessage message;
	bool read;

	memcpy(copy, data, len);
	read = replication_read(&message, copy, len);
	free(copy);
	return read;
}

static void
test_read(void)
{
	ReplicationMessage message;
	int wrong = 0;

	ok(replication_read(&message, data_message, sizeof(data_message)), "data");
	is_int(message.kind, REPLICATION_DATA, "is data");
	is_int(message.wal_start, INT64_C(0x100000002), "its start");
	is_int(message.server_end, INT64_C(0x100000003), "its end");
	is_mem(message.data, message.len, "Tx", 2, "its bytes");
	ok(replication_read(&message, data_message, 25), "data without bytes");
	is_int(message.len, 0, "has none");
	ok(replication_read(&message, keepalive_message, 18), "keepalive");
	is_int(message.kind, REPLICATION_KEEPALIVE, "is a keepalive");
	is_int(message.server_end, INT64_C(0x0102030405060708), "its end");
	ok(message.reply_requested, "asks for a reply");
	for (size_t len = 0; len < 25; len++)
		wrong += read_exact(data_message, len);
	for (size_t len = 0; len < 18; len++)
		wrong += read_exact(keepalive_message, len);
	is_int(wrong, 0, "a message that is cut is refused");
	ok(!read_exact((const uint8_t *) "zzzzzzzzzzzzzzzzzzzzzzzzzzzz", 28),
	   "an unknown message is refused");
}

static void
test_feedback(void)
{
	uint8_t out[REPLICATION_FEEDBACK_LEN];
	const uint8_t expected[] = {'r',  0, 0, 0, 1,    0, 0, 0, 0xab, 0, 0, 0,
								1,    0, 0, 0, 0xab, 0, 0, 0, 1,    0, 0, 0,
								0xab, 0, 0, 0, 0,    0, 0, 1, 2,    0};

	replication_feedback(out, UINT64_C(0x1000000ab),
						 INT64_C(946684800000000) + 0x102, false);
	is_mem(out, sizeof(out), expected, sizeof(expected),
		   "feedback says one position three times");
	replication_feedback(out, 1, 0, true);
	is_int(out[sizeof(out) - 1], 1, "a reply is asked for");
}

static void
test_lsn(void)
{
	static const char *const bad[] = {
		"",     "/",    "1",    "1/",          "/1",          "G/1", "1/G",
		"1/2 ", " 1/2", "1/-2", "123456789/0", "0/123456789", NULL};
	uint64_t lsn = 0;

	ok(replication_lsn("16/B374d848", &lsn), "an LSN");
	is_int(lsn, INT64_C(0x16B374D848), "its value");
	ok(replication_lsn("FFFFFFFF/FFFFFFFF", &lsn) && lsn == UINT64_MAX,
	   "the last one");
	for (int i = 0; bad[i] != NULL; i++)
		ok(!replication_lsn(bad[i], &lsn), "\"%s\" is none", bad[i]);
}

static void
test_commands(void)
{
	char command[REPLICATION_COMMAND_MAX];
	char longest[2000];

	ok(replication_create_command(command, sizeof(command), "a\"b", "dec"),
	   "create");
	is_str(command,
		   "CREATE_REPLICATION_SLOT \"a\"\"b\" LOGICAL \"dec\" "
		   "(SNAPSHOT 'nothing')",
		   "a quote in a name is doubled");
	ok(replication_start_command(command, sizeof(command), "s", NULL,
								 4000000000u),
	   "start");
	is_str(command,
		   "START_REPLICATION SLOT \"s\" LOGICAL 0/0 "
		   "(proto_version '1', schema_oid '4000000000')",
		   "with our options");
	ok(replication_start_command(command, sizeof(command), "s", "x 'y'", 0),
	   "start a plugin of another kind");
	is_str(command, "START_REPLICATION SLOT \"s\" LOGICAL 0/0 (x 'y')",
		   "with its options");
	memset(longest, '"', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ok(!replication_create_command(command, sizeof(command), "s", longest),
	   "a plugin's name that does not fit");
	ok(!replication_create_command(command, sizeof(command), longest, "p") &&
		   !replication_start_command(command, sizeof(command), longest, NULL,
									  1),
	   "a name that is too long is refused");
	ok(!replication_start_command(command, 20, "s", NULL, 1),
	   "so is a command that does not fit");
}

int
main(void)
{
	test_read();
	test_feedback();
	test_lsn();
	test_commands();
	return tap_done();
}
