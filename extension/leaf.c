/*
 * extension/leaf.c
 *
 * Inserts into the leaves directly, see leaf.h.  Through the executor, not
 * the heap: constraints, triggers and indexes are kept, also while an index
 * is being rebuilt.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "leaf.h"
#include "route_cache.h"

#include "access/table.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"

void
leaves_open(Leaves *leaves)
{
	memset(leaves, 0, sizeof(*leaves));
	leaves->estate = CreateExecutorState();
	AfterTriggerBeginQuery();
}

static int
leaf_number(const Message *message)
{
	return message->shard_id / (OUTBOX_SHARDS / OUTBOX_LEAVES);
}

/*
 * The leaf is chosen by the numbers that its bounds were made of, so they hold
 * without being looked at: compiling them costs an eighth of an enqueue.  A
 * constant needs nothing of an executor's state, so one serves the session.
 */
static ExprState *
trusted_bounds(void)
{
	static ExprState *bounds = NULL;

	if (bounds == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		bounds = ExecInitCheck(list_make1(makeBoolConst(true, false)), NULL);
		MemoryContextSwitchTo(old);
	}
	return bounds;
}

static ResultRelInfo *
leaf_init(Leaves *leaves, Relation rel)
{
	ResultRelInfo *leaf = makeNode(ResultRelInfo);

	message_check_columns(RelationGetDescr(rel));
	InitResultRelInfo(leaf, rel, 0, NULL, 0);
	ExecOpenIndices(leaf, false);
	leaf->ri_PartitionCheckExpr = trusted_bounds();
	/* Triggers on a leaf look for it here, and it is closed from here. */
	leaves->estate->es_opened_result_relations =
		lappend(leaves->estate->es_opened_result_relations, leaf);
	/* All leaves have the columns of the parent, in its order. */
	if (leaves->slot == NULL)
		leaves->slot = table_slot_create(rel, &leaves->estate->es_tupleTable);
	return leaf;
}

/*
 * The extension can be dropped and made again between the look at the cache
 * and the lock: then the leaf is gone, the cache knows, and the new one is
 * taken.
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
		MemoryContext old = MemoryContextSwitchTo(leaves->estate->es_query_cxt);
		Relation rel = leaf_open_relation(message);

		/* The lock may have brought news of another generation. */
		if (leaves->leaf[message->generation][number] == NULL)
			leaves->leaf[message->generation][number] = leaf_init(leaves, rel);
		else
			table_close(rel, NoLock);
		MemoryContextSwitchTo(old);
	}
}

void
leaves_insert(Leaves *leaves, const Message *message)
{
	ResultRelInfo *leaf =
		leaves->leaf[message->generation][leaf_number(message)];
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
leaves_close(Leaves *leaves)
{
	AfterTriggerEndQuery(leaves->estate);
	ExecResetTupleTable(leaves->estate->es_tupleTable, false);
	ExecCloseResultRelations(leaves->estate);
	for (int g = 0; g < OUTBOX_GENERATIONS; g++)
		for (int i = 0; i < OUTBOX_LEAVES; i++)
			if (leaves->leaf[g][i] != NULL)
				table_close(leaves->leaf[g][i]->ri_RelationDesc, NoLock);
	FreeExecutorState(leaves->estate);
}
