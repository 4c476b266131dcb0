/*
 * relay/loss.h
 *
 * Why a connection to the database was lost, in words that can be logged:
 * one line, no conninfo, no password.  The first reason noted is the one
 * kept, because what libpq says after it is only the echo.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LOSS_H
#define OUTBOX_LOSS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#define LOSS_REASON_MAX 512

/* The server is shutting down, or an operator ended this session. */
#define LOSS_ADMIN_SHUTDOWN "57P01"

typedef struct Loss
{
	bool noted;
	bool connected;      /* false: the connection never stood */
	bool admin_shutdown; /* 57P01, or an orderly end of the stream */
	char sqlstate[6];    /* "" when the server gave none */
	char reason[LOSS_REASON_MAX];
} Loss;

/* loss_init: nothing noted. */
extern void loss_init(Loss *loss);

/* loss_note: the reason is a sentence of ours. */
extern void loss_note(Loss *loss, const char *reason);

/* loss_note_result: the reason is an error result or a notice. */
extern void loss_note_result(Loss *loss, const PGresult *result);

/* loss_note_conn: the reason is what libpq says of its connection. */
extern void loss_note_conn(Loss *loss, const PGconn *conn);

/* loss_is_fatal: the server ends the session after this error or notice. */
extern bool loss_is_fatal(const PGresult *result);

#endif /* OUTBOX_LOSS_H */
