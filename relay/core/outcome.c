/*
 * relay/core/outcome.c
 *
 * The names of the outcome classes, and which class an HTTP status is.  Pure.
 * Which retry follows from a class is decided in retry.c.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outcome.h"

#include <stddef.h>

/*
 * Ranges in ascending order; a status in none of them is PERMANENT.  408, 425
 * and 429 say "not now" in so many words, and a server that has failed may
 * have been mended by the next attempt.
 */
static const struct
{
	int first;
	int last;
	OutcomeClass class;
} http_statuses[] = {
	{200, 299, OUTCOME_OK},        {408, 408, OUTCOME_TRANSIENT},
	{425, 425, OUTCOME_TRANSIENT}, {429, 429, OUTCOME_TRANSIENT},
	{500, 599, OUTCOME_TRANSIENT},
};

static const char *const class_names[] = {
	[OUTCOME_OK] = "OK",
	[OUTCOME_TRANSIENT] = "TRANSIENT",
	[OUTCOME_PERMANENT] = "PERMANENT",
};

const char *
outcome_class_name(OutcomeClass class)
{
	return class_names[class];
}

OutcomeClass
outcome_of_http_status(int status)
{
	size_t n = sizeof(http_statuses) / sizeof(http_statuses[0]);

	for (size_t i = 0; i < n; i++)
	{
		if (status >= http_statuses[i].first && status <= http_statuses[i].last)
			return http_statuses[i].class;
	}
	return OUTCOME_PERMANENT;
}
