/*
 * test/unit/result_bench.h
 *
 * A query result made by hand, with libpq's own functions.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_TEST_RESULT_BENCH_H
#define OUTBOX_TEST_RESULT_BENCH_H

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_COLUMNS_MAX 16

/* A result with so many columns and no row yet. */
static inline PGresult *
result_make(int columns)
{
	PGresAttDesc descs[RESULT_COLUMNS_MAX] = {{0}};
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char name[] = "c";

	for (int i = 0; i < columns; i++)
		descs[i] = (PGresAttDesc){.name = name, .typid = 25, .typlen = -1};
	if (result == NULL || !PQsetResultAttrs(result, columns, descs))
		abort();
	return result;
}

/* A value; data NULL: SQL NULL.  Of a new row when row is the next one. */
static inline void
result_set(PGresult *result, int row, int column, const void *data, size_t len)
{
	char *copy = malloc(len + 1);

	if (data != NULL)
		memcpy(copy, data, len);
	if (!PQsetvalue(result, row, column, data != NULL ? copy : NULL,
					data != NULL ? (int) len : -1))
		abort();
	free(copy);
}

static inline void
result_set_text(PGresult *result, int row, int column, const char *text)
{
	result_set(result, row, column, text, text != NULL ? strlen(text) : 0);
}

#endif /* OUTBOX_TEST_RESULT_BENCH_H */
