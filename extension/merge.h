/*
 * extension/merge.h
 *
 * Reads the leaves of outbox.message in the order of ids, by their indexes, with
 * the active snapshot.
 *
 *	Merge *merge = merge_open();
 *
 *	merge_begin(merge, first, last);
 *	while ((row = merge_next(merge)) != NULL)
 *		...
 *	merge_close(merge);
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_MERGE_H
#define OUTBOX_MERGE_H

#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"

typedef struct Merge Merge;

/* Columns of outbox.message, the same in each leaf. */
enum
{
	COLUMN_ID = 1,
	COLUMN_GENERATION = 4,
	COLUMN_ROUTES = 6
};

typedef struct MergeRow
{
	int64 id;
	HeapTuple tuple;
	TupleDesc desc;
} MergeRow;

/* merge_open locks all leaves; merge_close leaves them locked. */
extern Merge *merge_open(void);
extern void merge_close(Merge *merge);

/* merge_begin: ids first to last; after the last row of the one before. */
extern void merge_begin(Merge *merge, int64 first, int64 last);
/* merge_next: valid until the next call; NULL at the end. */
extern const MergeRow *merge_next(Merge *merge);

#endif /* OUTBOX_MERGE_H */
