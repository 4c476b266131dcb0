/*
 * extension/unresolved.c
 *
 * U: the messages that are not resolved, as runs of ids with the routes that
 * are left.  The leaves are read by their indexes on id and merged, so that
 * nothing is sorted and no more than a run is kept; with commit timestamps the
 * runs are sorted by them at the end.
 *
 * Only the holes of R are looked at.  Such as are near to each other are one
 * window: with one id in ten rolled back, a descent into each leaf for each
 * hole would cost more than reading what lies between.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "postgres.h"

#include "access/commit_ts.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/multirangetypes.h"
#include "utils/typcache.h"

#include "merge.h"

/* A resolved range of no more ids between two holes is read through. */
#define NEAR_IDS 100

/* So many different arrays of routes are remembered. */
#define SETS_MAX 64

PG_FUNCTION_INFO_V1(outbox_unresolved_runs);

/* Ids in ascending order, last inclusive. */
typedef struct Ids
{
	int64 first;
	int64 last;
} Ids;

/* Rows (id, route) of backlog and parked, in order. */
typedef struct Kept
{
	int n;
	int next;
	const int64 *ids;
	const int16 *routes;
} Kept;

/* An array of routes as it is stored, and to be used. */
typedef struct RouteSet
{
	struct varlena *raw;
	ArrayType *routes;
} RouteSet;

typedef struct Run
{
	int64 first;
	int64 last;
	TimestampTz committed;
	int16 generation;
	ArrayType *routes;
} Run;

typedef struct Reading
{
	ReturnSetInfo *result;
	Ids *resolved;
	int nresolved;
	int passed; /* of resolved: those that end before the next id */
	Merge *merge;
	Kept kept;
	TransactionId xid; /* of the last row looked at */
	TimestampTz committed;
	RouteSet sets[SETS_MAX];
	int nsets; /* ever made; the last SETS_MAX are there */
	Run run;   /* the one that may go on; nothing if no routes */
	Run *runs; /* with commit timestamps: all */
	int nruns;
	int room;
} Reading;

/* ---------- runs ---------- */

static void
put_run(Reading *reading, const Run *run)
{
	Datum values[4] = {Int16GetDatum(run->generation),
					   PointerGetDatum(run->routes), Int64GetDatum(run->first),
					   Int64GetDatum(run->last)};
	bool nulls[4] = {false};

	tuplestore_putvalues(reading->result->setResult, reading->result->setDesc,
						 values, nulls);
}

static bool
same_array(const void *a, const void *b)
{
	return a == b || (VARSIZE_ANY(a) == VARSIZE_ANY(b) &&
					  memcmp(a, b, VARSIZE_ANY(a)) == 0);
}

static bool
continues(const Run *run, const Run *next)
{
	return run->routes != NULL && next->first == run->last + 1 &&
		   next->generation == run->generation &&
		   same_array(next->routes, run->routes);
}

static void
keep_run(Reading *reading, const Run *run)
{
	if (reading->nruns == reading->room)
	{
		reading->room = Max(reading->room * 2, 1024);
		reading->runs =
			reading->runs == NULL
				? MemoryContextAllocHuge(CurrentMemoryContext,
										 reading->room * sizeof(Run))
				: repalloc_huge(reading->runs, reading->room * sizeof(Run));
	}
	reading->runs[reading->nruns++] = *run;
}

static void
end_run(Reading *reading)
{
	if (reading->run.routes == NULL)
		return;
	if (track_commit_timestamp)
		keep_run(reading, &reading->run);
	else
		put_run(reading, &reading->run);
}

static void
add_run(Reading *reading, const Run *next)
{
	Run *run = &reading->run;

	if (continues(run, next) && next->committed == run->committed)
	{
		run->last = next->last;
		return;
	}
	end_run(reading);
	*run = *next;
}

static int
compare_runs(const void *a, const void *b)
{
	const Run *x = a;
	const Run *y = b;

	if (x->committed != y->committed)
		return x->committed < y->committed ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* What the order by commit brings together becomes one run again. */
static void
put_sorted(Reading *reading)
{
	Run run = {0};

	if (reading->nruns == 0)
		return;
	qsort(reading->runs, reading->nruns, sizeof(Run), compare_runs);
	for (int i = 0; i < reading->nruns; i++)
	{
		if (continues(&run, &reading->runs[i]))
		{
			run.last = reading->runs[i].last;
			continue;
		}
		if (run.routes != NULL)
			put_run(reading, &run);
		run = reading->runs[i];
	}
	put_run(reading, &run);
}

/* ---------- rows ---------- */

/* Transactions write many; those from before timestamps were kept are first. */
static TimestampTz
committed_of(Reading *reading, HeapTuple tuple)
{
	TransactionId xid = HeapTupleHeaderGetRawXmin(tuple->t_data);

	if (!track_commit_timestamp)
		return 0;
	if (xid != reading->xid &&
		!TransactionIdGetCommitTsData(xid, &reading->committed, NULL))
		reading->committed = PG_INT64_MIN;
	reading->xid = xid;
	return reading->committed;
}

/* The routes of the row: one array for all rows that have the same. */
static ArrayType *
routes_of(Reading *reading, struct varlena *raw)
{
	int n = Min(reading->nsets, SETS_MAX);
	RouteSet *set;

	for (int i = 0; i < n; i++)
		if (same_array(reading->sets[i].raw, raw))
			return reading->sets[i].routes;
	set = &reading->sets[reading->nsets++ % SETS_MAX];
	set->raw = palloc(VARSIZE_ANY(raw));
	memcpy(set->raw, raw, VARSIZE_ANY(raw));
	set->routes = DatumGetArrayTypePCopy(PointerGetDatum(raw));
	return set->routes;
}

/* Without those that have a row for this id in backlog or parked. */
static ArrayType *
remaining(Reading *reading, int64 id, ArrayType *routes)
{
	Kept *kept = &reading->kept;
	Datum *left;
	int n, nleft = 0, first;

	while (kept->next < kept->n && kept->ids[kept->next] < id)
		kept->next++;
	first = kept->next;
	if (first == kept->n || kept->ids[first] != id)
		return routes;
	deconstruct_array(routes, INT2OID, sizeof(int16), true, TYPALIGN_SHORT,
					  &left, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		int at = first;

		while (at < kept->n && kept->ids[at] == id &&
			   kept->routes[at] != DatumGetInt16(left[i]))
			at++;
		if (at == kept->n || kept->ids[at] != id)
			left[nleft++] = left[i];
	}
	return construct_array(left, nleft, INT2OID, sizeof(int16), true,
						   TYPALIGN_SHORT);
}

static bool
is_resolved(Reading *reading, int64 id)
{
	while (reading->passed < reading->nresolved &&
		   reading->resolved[reading->passed].last < id)
		reading->passed++;
	return reading->passed < reading->nresolved &&
		   reading->resolved[reading->passed].first <= id;
}

static void
add_row(Reading *reading, const MergeRow *row)
{
	Run next = {.first = row->id, .last = row->id};
	bool null;
	Datum routes;

	if (is_resolved(reading, row->id))
		return;
	next.generation = DatumGetInt16(
		heap_getattr(row->tuple, COLUMN_GENERATION, row->desc, &null));
	routes = heap_getattr(row->tuple, COLUMN_ROUTES, row->desc, &null);
	next.routes = remaining(
		reading, row->id,
		routes_of(reading, (struct varlena *) DatumGetPointer(routes)));
	next.committed = committed_of(reading, row->tuple);
	add_run(reading, &next);
}

/* ---------- windows ---------- */

static void
read_window(Reading *reading, Ids window)
{
	const MergeRow *row;

	merge_begin(reading->merge, window.first, window.last);
	while ((row = merge_next(reading->merge)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		add_row(reading, row);
	}
}

static void
read_windows(Reading *reading)
{
	Ids window = {.first = 1};

	for (int i = 0; i < reading->nresolved; i++)
	{
		Ids range = reading->resolved[i];

		if (range.first <= window.first)
			window.first = range.last + 1;
		else if (range.last - range.first >= NEAR_IDS)
		{
			window.last = range.first - 1;
			read_window(reading, window);
			window.first = range.last + 1;
		}
	}
	window.last = PG_INT64_MAX;
	read_window(reading, window);
}

/* ---------- the function ---------- */

static void
take_resolved(Reading *reading, MultirangeType *set)
{
	TypeCacheEntry *type =
		lookup_type_cache(INT8MULTIRANGEOID, TYPECACHE_MULTIRANGE_INFO);
	RangeType **ranges;

	multirange_deserialize(type->rngtype, set, &reading->nresolved, &ranges);
	reading->resolved = MemoryContextAllocHuge(
		CurrentMemoryContext, Max(reading->nresolved, 1) * sizeof(Ids));
	for (int i = 0; i < reading->nresolved; i++)
	{
		RangeBound lower, upper;
		bool empty;

		range_deserialize(type->rngtype, ranges[i], &lower, &upper, &empty);
		/* ranges of integers are [lower, upper) */
		reading->resolved[i].first =
			lower.infinite ? PG_INT64_MIN : DatumGetInt64(lower.val);
		reading->resolved[i].last =
			upper.infinite ? PG_INT64_MAX - 1 : DatumGetInt64(upper.val) - 1;
	}
}

static void
take_kept(Kept *kept, ArrayType *ids, ArrayType *routes)
{
	kept->n = ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids));
	if (kept->n != ArrayGetNItems(ARR_NDIM(routes), ARR_DIMS(routes)) ||
		ARR_HASNULL(ids) || ARR_HASNULL(routes))
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("each id needs a route")));
	kept->ids = (const int64 *) ARR_DATA_PTR(ids);
	kept->routes = (const int16 *) ARR_DATA_PTR(routes);
}

/*
 * outbox.unresolved_runs(resolved int8multirange, kept_ids bigint[],
 * kept_routes smallint[]): U without the routes kept, which come in the order
 * of their ids.
 */
Datum
outbox_unresolved_runs(PG_FUNCTION_ARGS)
{
	Reading reading = {.xid = InvalidTransactionId};

	InitMaterializedSRF(fcinfo, 0);
	reading.result = (ReturnSetInfo *) fcinfo->resultinfo;
	take_resolved(&reading, PG_GETARG_MULTIRANGE_P(0));
	take_kept(&reading.kept, PG_GETARG_ARRAYTYPE_P(1),
			  PG_GETARG_ARRAYTYPE_P(2));
	reading.merge = merge_open();
	read_windows(&reading);
	end_run(&reading);
	if (track_commit_timestamp)
		put_sorted(&reading);
	merge_close(reading.merge);
	return (Datum) 0;
}
