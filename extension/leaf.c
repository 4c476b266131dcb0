/*
 * extension/leaf.c
 *
 * Inserts into the leaves, see leaf.h.  Two ways.  A leaf as it was made has
 * nothing that the executor is for, so rows go to the heap and its indexes
 * directly, as the server's own do to its catalogs; an index that is being
 * built is told by its state.  A leaf to which somebody has added triggers,
 * constraints, columns or unique, partial or expression indexes is inserted
 * into through the executor, which keeps them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "leaf.h"
#include "route_cache.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

void
leaves_open(Leaves *leaves)
{
	memset(leaves, 0, sizeof(*leaves));
	leaves->context = CurrentMemoryContext;
}

static int
leaf_number(const Message *message)
{
	return message->shard_id / (OUTBOX_SHARDS / OUTBOX_LEAVES);
}

/* Nothing but attributes, as they are, and nothing to wait for. */
static bool
index_is_plain(const IndexInfo *index)
{
	return !index->ii_Unique && index->ii_ExclusionOps == NULL &&
		   index->ii_Expressions == NIL && index->ii_Predicate == NIL;
}

static bool
relation_is_plain(Relation rel)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;

	return rel->rd_rel->relam == HEAP_TABLE_AM_OID && rel->trigdesc == NULL &&
		   (constr == NULL || constr->num_check == 0) &&
		   message_columns_plain(RelationGetDescr(rel));
}

static bool
leaf_is_plain(const ResultRelInfo *leaf)
{
	if (!relation_is_plain(leaf->ri_RelationDesc))
		return false;
	for (int i = 0; i < leaf->ri_NumIndices; i++)
		if (!index_is_plain(leaf->ri_IndexRelationInfo[i]))
			return false;
	return true;
}

/*
 * The leaf is chosen by the numbers that its bounds were made of, so they hold
 * without being looked at: compiling them costs an eighth of an enqueue.
 */
static void
leaf_trust_bounds(ResultRelInfo *leaf, EState *estate)
{
	leaf->ri_PartitionCheckExpr =
		ExecPrepareCheck(list_make1(makeBoolConst(true, false)), estate);
}

/* The executor's state, made for the first leaf that needs it. */
static void
leaf_use_executor(Leaves *leaves, ResultRelInfo *leaf)
{
	if (leaves->estate == NULL)
	{
		leaves->estate = CreateExecutorState();
		AfterTriggerBeginQuery();
	}
	leaf_trust_bounds(leaf, leaves->estate);
	/* Triggers on a leaf look for it here, and its indexes are closed. */
	leaves->estate->es_opened_result_relations =
		lappend(leaves->estate->es_opened_result_relations, leaf);
	/* All leaves have the columns of the parent, in its order. */
	if (leaves->slot == NULL)
		leaves->slot = table_slot_create(leaf->ri_RelationDesc,
										 &leaves->estate->es_tupleTable);
}

static Leaf *
leaf_init(Leaves *leaves, Relation rel)
{
	Leaf *leaf = palloc(sizeof(Leaf));

	message_check_columns(RelationGetDescr(rel));
	leaf->info = makeNode(ResultRelInfo);
	InitResultRelInfo(leaf->info, rel, 0, NULL, 0);
	ExecOpenIndices(leaf->info, false);
	leaf->plain = leaf_is_plain(leaf->info);
	if (!leaf->plain)
		leaf_use_executor(leaves, leaf->info);
	return leaf;
}

/*
 * The extension can be dropped and made again between the look at the cache
 * and the lock: then the leaf is gone, the cache knows, and the new one is
 * taken.  The parent is locked first, as INSERT does it: ALTER TABLE has its
 * lock before it begins with the leaves, or else we would wait for each other
 * when we come to another leaf.
 */
static Relation
leaf_open_relation(Message *message)
{
	const RouteCache *cache = route_cache_last();
	int number = leaf_number(message);

	for (;;)
	{
		Oid relid;
		Relation rel;

		message->generation = cache->current;
		relid = cache->leaves[message->generation][number];
		LockRelationOid(cache->message, RowExclusiveLock);
		rel = try_table_open(relid, RowExclusiveLock);
		if (rel != NULL)
			return rel;
		cache = route_cache_get();
		if (cache->leaves[message->generation][number] == relid)
			elog(ERROR, "leaf %d of generation %d is missing", number,
				 message->generation);
	}
}

void
leaves_lock(Leaves *leaves, Message *message)
{
	int16 generation = route_cache_last()->current;
	int number = leaf_number(message);

	message->generation = generation;
	if (leaves->leaf[generation][number] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(leaves->context);
		Relation rel = leaf_open_relation(message);

		/* The lock may have brought news of another generation. */
		if (leaves->leaf[message->generation][number] == NULL)
			leaves->leaf[message->generation][number] = leaf_init(leaves, rel);
		else
			table_close(rel, NoLock);
		MemoryContextSwitchTo(old);
	}
}

static void
insert_index(const ResultRelInfo *leaf, int number, const Datum *values,
			 const bool *nulls, ItemPointer tid)
{
	IndexInfo *index = leaf->ri_IndexRelationInfo[number];
	Datum keys[INDEX_MAX_KEYS];
	bool key_nulls[INDEX_MAX_KEYS];

	/* It is being built, and will find the row in the heap. */
	if (!index->ii_ReadyForInserts)
		return;
	for (int i = 0; i < index->ii_NumIndexAttrs; i++)
	{
		int column = index->ii_IndexAttrNumbers[i] - 1;

		keys[i] = values[column];
		key_nulls[i] = nulls[column];
	}
	index_insert(leaf->ri_IndexRelationDescs[number], keys, key_nulls, tid,
				 leaf->ri_RelationDesc, UNIQUE_CHECK_NO, false, index);
}

static void
insert_plain(const ResultRelInfo *leaf, const Message *message)
{
	Relation rel = leaf->ri_RelationDesc;
	Datum values[MESSAGE_COLUMNS];
	bool nulls[MESSAGE_COLUMNS];
	HeapTuple tuple;

	message_form(message, RelationGetDescr(rel), values, nulls);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < leaf->ri_NumIndices; i++)
		insert_index(leaf, i, values, nulls, &tuple->t_self);
}

static void
insert_executor(const Leaves *leaves, ResultRelInfo *leaf,
				const Message *message)
{
	TupleTableSlot *slot = leaves->slot;
	MemoryContext old =
		MemoryContextSwitchTo(GetPerTupleMemoryContext(leaves->estate));

	ExecClearTuple(slot);
	message_form(message, slot->tts_tupleDescriptor, slot->tts_values,
				 slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	ExecSimpleRelationInsert(leaf, leaves->estate, slot);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(leaves->estate);
}

void
leaves_insert(Leaves *leaves, const Message *message)
{
	const Leaf *leaf = leaves->leaf[message->generation][leaf_number(message)];

	if (leaf->plain)
		insert_plain(leaf->info, message);
	else
		insert_executor(leaves, leaf->info, message);
}

static void
executor_end(EState *estate)
{
	AfterTriggerEndQuery(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
}

static void
leaf_close(const Leaf *leaf)
{
	if (leaf->plain)
		ExecCloseIndices(leaf->info);
	table_close(leaf->info->ri_RelationDesc, NoLock);
}

void
leaves_close(Leaves *leaves)
{
	if (leaves->estate != NULL)
		executor_end(leaves->estate);
	for (int g = 0; g < OUTBOX_GENERATIONS; g++)
		for (int i = 0; i < OUTBOX_LEAVES; i++)
			if (leaves->leaf[g][i] != NULL)
				leaf_close(leaves->leaf[g][i]);
	if (leaves->estate != NULL)
		FreeExecutorState(leaves->estate);
}
