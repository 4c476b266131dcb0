/*
 * extension/merge.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "merge.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "lib/binaryheap.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "outbox.h"

/* A leaf, and its next row. */
typedef struct Leaf
{
	Relation rel;
	Relation index;
	SysScanDesc scan; /* NULL: it has no more */
	MergeRow row;
} Leaf;

struct Merge
{
	Leaf *leaves;
	int nleaves;
	binaryheap *heap; /* of leaves that have a row, the lowest id on top */
	Leaf *told;       /* whose row was told last */
};

/* The index on id; one that REINDEX CONCURRENTLY makes does not count yet. */
static Relation
open_index(Relation rel)
{
	ListCell *cell;

	foreach (cell, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid &&
			index->rd_rel->relam == BTREE_AM_OID &&
			index->rd_index->indkey.values[0] == COLUMN_ID &&
			RelationGetIndexPredicate(index) == NIL)
			return index;
		index_close(index, AccessShareLock);
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("relation \"%s\" has no index on id",
						   RelationGetRelationName(rel)),
					errhint("Create an index on id of outbox.\"%s\".",
							RelationGetRelationName(rel))));
}

/* The heap has the greatest on top. */
static int
compare_leaves(Datum a, Datum b, void *arg)
{
	const Leaf *x = (const Leaf *) DatumGetPointer(a);
	const Leaf *y = (const Leaf *) DatumGetPointer(b);

	return (x->row.id < y->row.id) - (x->row.id > y->row.id);
}

Merge *
merge_open(void)
{
	Oid parent = outbox_relid("message");
	Merge *merge = palloc0(sizeof(*merge));
	List *relids;
	ListCell *cell;

	/* find_all_inheritors locks all of them but the one it is given */
	LockRelationOid(parent, AccessShareLock);
	relids = find_all_inheritors(parent, AccessShareLock, NULL);
	merge->leaves = palloc0(list_length(relids) * sizeof(Leaf));
	foreach (cell, relids)
	{
		Relation rel = table_open(lfirst_oid(cell), NoLock);
		Leaf *leaf = &merge->leaves[merge->nleaves];

		if (rel->rd_rel->relkind != RELKIND_RELATION)
		{
			table_close(rel, NoLock);
			continue;
		}
		leaf->rel = rel;
		leaf->index = open_index(rel);
		leaf->row.desc = RelationGetDescr(rel);
		merge->nleaves++;
	}
	merge->heap = binaryheap_allocate(merge->nleaves, compare_leaves, NULL);
	return merge;
}

void
merge_close(Merge *merge)
{
	for (int i = 0; i < merge->nleaves; i++)
	{
		index_close(merge->leaves[i].index, NoLock);
		table_close(merge->leaves[i].rel, NoLock);
	}
	binaryheap_free(merge->heap);
	pfree(merge->leaves);
	pfree(merge);
}

/* False when there is none; then the scan is ended. */
static bool
leaf_next(Leaf *leaf)
{
	MergeRow *row = &leaf->row;
	bool null;

	row->tuple = systable_getnext_ordered(leaf->scan, ForwardScanDirection);
	if (row->tuple == NULL)
	{
		systable_endscan_ordered(leaf->scan);
		leaf->scan = NULL;
		return false;
	}
	row->id =
		DatumGetInt64(heap_getattr(row->tuple, COLUMN_ID, row->desc, &null));
	return true;
}

static void
leaf_begin(Leaf *leaf, int64 first, int64 last)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], COLUMN_ID, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(first));
	ScanKeyInit(&keys[1], COLUMN_ID, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(last));
	leaf->scan = systable_beginscan_ordered(leaf->rel, leaf->index,
											GetActiveSnapshot(), 2, keys);
}

void
merge_begin(Merge *merge, int64 first, int64 last)
{
	Assert(binaryheap_empty(merge->heap));
	merge->told = NULL;
	for (int i = 0; i < merge->nleaves; i++)
	{
		Leaf *leaf = &merge->leaves[i];

		leaf_begin(leaf, first, last);
		if (leaf_next(leaf))
			binaryheap_add_unordered(merge->heap, PointerGetDatum(leaf));
	}
	binaryheap_build(merge->heap);
}

const MergeRow *
merge_next(Merge *merge)
{
	if (merge->told != NULL && leaf_next(merge->told))
		binaryheap_replace_first(merge->heap, PointerGetDatum(merge->told));
	else if (merge->told != NULL)
		(void) binaryheap_remove_first(merge->heap);
	if (binaryheap_empty(merge->heap))
	{
		merge->told = NULL;
		return NULL;
	}
	merge->told = (Leaf *) DatumGetPointer(binaryheap_first(merge->heap));
	return &merge->told->row;
}
