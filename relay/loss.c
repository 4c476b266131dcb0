/*
 * relay/loss.c
 *
 * Turns what libpq says about a broken connection into one line.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "loss.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Shorter passwords appear in any text by chance. */
#define PASSWORD_MIN 4

void
loss_init(Loss *loss)
{
	memset(loss, 0, sizeof(*loss));
}

/* put_sentence: message with each run of white space as one blank. */
static void
put_sentence(char *sentence, size_t size, const char *message)
{
	size_t len = 0;

	for (; *message != '\0' && len + 1 < size; message++)
	{
		if (!isspace((unsigned char) *message))
			sentence[len++] = *message;
		else if (len > 0 && sentence[len - 1] != ' ')
			sentence[len++] = ' ';
	}
	while (len > 0 && sentence[len - 1] == ' ')
		len--;
	sentence[len] = '\0';
}

void
loss_note(Loss *loss, const char *reason)
{
	if (loss->noted)
		return;
	loss->noted = true;
	put_sentence(loss->reason, sizeof(loss->reason), reason);
}

void
loss_note_result(Loss *loss, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	char reason[LOSS_REASON_MAX];

	if (loss->noted)
		return;
	if (message == NULL)
		message = PQresultErrorMessage(result);
	snprintf(reason, sizeof(reason), "%s%s%s", message,
			 hint == NULL ? "" : "; hint: ", hint == NULL ? "" : hint);
	loss_note(loss, reason);
	if (sqlstate != NULL)
		snprintf(loss->sqlstate, sizeof(loss->sqlstate), "%s", sqlstate);
	loss->admin_shutdown = strcmp(loss->sqlstate, LOSS_ADMIN_SHUTDOWN) == 0;
}

void
loss_note_conn(Loss *loss, const PGconn *conn)
{
	const char *message = PQerrorMessage(conn);
	const char *password = PQpass(conn);

	if (password != NULL && strlen(password) >= PASSWORD_MIN &&
		strstr(message, password) != NULL)
		message = "connection failed; the message is left out because it "
				  "contains the password";
	loss_note(loss, message[0] == '\0' ? "connection closed" : message);
}

bool
loss_is_fatal(const PGresult *result)
{
	const char *severity =
		PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity != NULL &&
		   (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}
