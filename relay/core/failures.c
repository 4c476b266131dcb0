/*
 * relay/core/failures.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/failures.h"

#include <string.h>

#define DIGITS "0123456789"

static bool
same_text(const char *a, const char *b)
{
	for (;; a++, b++)
	{
		a += strspn(a, DIGITS);
		b += strspn(b, DIGITS);
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
	}
}

static Failure *
find(Failures *failures, const Outcome *outcome)
{
	for (int i = 0; i < failures->count; i++)
	{
		Failure *failure = &failures->known[i];

		if (failure->class == outcome->class &&
			failure->status == outcome->status &&
			same_text(failure->error, outcome->error))
			return failure;
	}
	return NULL;
}

/* A place for a new reason: one not used, or that of the oldest. */
static Failure *
place(Failures *failures)
{
	Failure *oldest = &failures->known[0];

	if (failures->count < FAILURES_MAX)
	{
		oldest = &failures->known[failures->count++];
		oldest->open = false;
		oldest->said_ms = -FAILURES_REPEAT_MS;
		return oldest;
	}
	for (int i = 1; i < FAILURES_MAX; i++)
		if (failures->known[i].said_ms < oldest->said_ms)
			oldest = &failures->known[i];
	return oldest;
}

bool
failures_note(Failures *failures, const Outcome *outcome, int64_t now_ms)
{
	Failure *failure = find(failures, outcome);

	if (failure != NULL && failure->open)
		return false;
	if (failure == NULL)
		failure = place(failures);
	if (now_ms - failure->said_ms < FAILURES_REPEAT_MS)
		return false;
	failures->nopen += !failure->open;
	*failure = (Failure){outcome->class, outcome->status, true, now_ms, ""};
	memcpy(failure->error, outcome->error, sizeof(failure->error));
	return true;
}

bool
failures_over(Failures *failures)
{
	if (failures->nopen == 0)
		return false;
	for (int i = 0; i < failures->count; i++)
		failures->known[i].open = false;
	failures->nopen = 0;
	return true;
}
