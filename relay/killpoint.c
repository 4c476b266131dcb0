/*
 * relay/killpoint.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "killpoint.h"

#ifdef OUTBOX_KILL_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
kill_point(const char *name)
{
	static int left = -1;
	const char *chosen = getenv("OUTBOX_KILL_AT");
	size_t len = strlen(name);

	if (chosen == NULL || strncmp(chosen, name, len) != 0 ||
		(chosen[len] != '\0' && chosen[len] != ':'))
		return;
	if (left < 0)
		left = chosen[len] == ':' ? atoi(chosen + len + 1) : 1;
	if (--left <= 0)
		kill(getpid(), SIGKILL);
}

#endif /* OUTBOX_KILL_POINTS */
