/*
 * relay/sink_kafka_partitions.c
 *
 * See sink_kafka_partitions.h.  A route has a topic or a few: a list, the
 * one asked for last in front.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink_kafka_partitions.h"

#include <string.h>

#include "core/mem.h"

typedef struct PartitionsOfTopic
{
	struct PartitionsOfTopic *next;
	char *topic;
	int32_t count;     /* of place */
	Partition **place; /* by partition + 1; NULL: nothing of it yet */
} PartitionsOfTopic;

static PartitionsOfTopic *
topic_find(Partitions *partitions, const char *topic)
{
	PartitionsOfTopic **link = &partitions->first;
	PartitionsOfTopic *found;

	while (*link != NULL && strcmp((*link)->topic, topic) != 0)
		link = &(*link)->next;
	found = *link;
	if (found != NULL && found != partitions->first)
	{
		*link = found->next;
		found->next = partitions->first;
		partitions->first = found;
	}
	return found;
}

static PartitionsOfTopic *
topic_add(Partitions *partitions, const char *topic)
{
	PartitionsOfTopic *added = mem_alloc(sizeof(*added));

	added->topic = mem_copy(topic, strlen(topic) + 1);
	added->next = partitions->first;
	partitions->first = added;
	return added;
}

Partition *
partitions_get(Partitions *partitions, const char *topic, int32_t partition)
{
	PartitionsOfTopic *of = topic_find(partitions, topic);
	int32_t i = partition + 1;

	if (of == NULL)
		of = topic_add(partitions, topic);
	if (i >= of->count)
	{
		of->place = mem_realloc(of->place, (i + 1) * sizeof(Partition *));
		memset(of->place + of->count, 0,
			   (i + 1 - of->count) * sizeof(Partition *));
		of->count = i + 1;
	}
	if (of->place[i] == NULL)
		of->place[i] = mem_alloc(sizeof(Partition));
	return of->place[i];
}

void
partitions_reset(Partitions *partitions)
{
	while (partitions->first != NULL)
	{
		PartitionsOfTopic *first = partitions->first;

		partitions->first = first->next;
		for (int32_t i = 0; i < first->count; i++)
			mem_free(first->place[i]);
		mem_free(first->place);
		mem_free(first->topic);
		mem_free(first);
	}
}

static bool
is_known(const Partition *partition, int64_t now_us)
{
	return partition->answered_us != 0 &&
		   now_us - partition->answered_us < PARTITION_KNOWN_US;
}

bool
passage_free(const Passage *passage, const Partition *partition)
{
	return !partition->opening && (passage->waits || partition->waiting == 0);
}

bool
passage_enter(Passage *passage, Partition *partition, int64_t now_us)
{
	bool is_free = passage_free(passage, partition);

	if (passage->waits)
		passage->partition->waiting--;
	passage->partition = partition;
	passage->waits = !is_free;
	passage->opens = is_free && !is_known(partition, now_us);
	partition->waiting += passage->waits;
	if (passage->opens)
		partition->opening = true;
	return is_free;
}

bool
passage_end(Passage *passage)
{
	if (!passage->opens)
		return false;
	passage->opens = false;
	passage->partition->opening = false;
	return passage->partition->waiting > 0;
}
