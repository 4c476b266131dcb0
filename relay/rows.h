/*
 * relay/rows.h
 *
 * From the rows of query results to the structs of the core.  Each reader
 * returns false when the result does not have the shape that doc/interface.md
 * says; then the extension is not the one this relay was built for.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ROWS_H
#define OUTBOX_ROWS_H

#include <libpq-fe.h>

#include "core/engine.h"

/* What outbox_start says. */
typedef struct StartRow
{
	int64_t run;
	bool armed;
	uint64_t position; /* 0: none is stored */
	int64_t system_identifier;
	int32_t timeline;
	uint32_t schema_oid;
} StartRow;

extern bool rows_start(const PGresult *result, StartRow *start);
extern bool rows_route(const PGresult *result, int row, RouteSpec *spec);
/* rows_waiting: retry_in_ms is -1 when the row has no time. */
extern bool rows_waiting(const PGresult *result, int row, FactPark *park);
extern bool rows_run(const PGresult *result, int row, WireRun *run);
/* rows_segment: when true, segment->ids is to be freed, done to be reset. */
extern bool rows_segment(const PGresult *result, int row, Segment *segment,
						 IdSet *done);
/* rows_message: of a binary result; points into it.  The id is always set. */
extern bool rows_message(const PGresult *result, int row, WireMessage *message);

extern int64_t rows_int(const PGresult *result, int row, int column);
extern bool rows_lsn(const PGresult *result, int row, int column,
					 uint64_t *lsn);

#endif /* OUTBOX_ROWS_H */
