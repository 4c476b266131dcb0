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
	int32_t count;        /* of answered_us */
	int64_t *answered_us; /* by partition; 0: never */
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

void
partitions_learn(Partitions *partitions, const char *topic, int32_t partition,
				 int64_t now_us)
{
	PartitionsOfTopic *of = topic_find(partitions, topic);

	if (of == NULL)
		of = topic_add(partitions, topic);
	if (partition >= of->count)
	{
		of->answered_us =
			mem_realloc(of->answered_us, (partition + 1) * sizeof(int64_t));
		memset(of->answered_us + of->count, 0,
			   (partition + 1 - of->count) * sizeof(int64_t));
		of->count = partition + 1;
	}
	of->answered_us[partition] = now_us;
}

bool
partitions_know(Partitions *partitions, const char *topic, int32_t partition,
				int64_t now_us)
{
	PartitionsOfTopic *of = topic_find(partitions, topic);

	return of != NULL && partition >= 0 && partition < of->count &&
		   of->answered_us[partition] != 0 &&
		   now_us - of->answered_us[partition] < PARTITION_KNOWN_US;
}

void
partitions_reset(Partitions *partitions)
{
	while (partitions->first != NULL)
	{
		PartitionsOfTopic *next = partitions->first->next;

		mem_free(partitions->first->topic);
		mem_free(partitions->first->answered_us);
		mem_free(partitions->first);
		partitions->first = next;
	}
}
