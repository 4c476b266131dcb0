/*
 * relay/sink_kafka_partitions.h
 *
 * Which partitions know the producer, and what waits until they do.
 *
 * A broker refuses what comes behind a request that failed by its sequence
 * number, but one that knows nothing of the producer takes whatever number
 * comes first (KAFKA-15591).  What was refused is then out of its order, and
 * lost if librdkafka would send it again: it counts as stored when what comes
 * behind it is.  So while a partition is not known, one delivery goes there,
 * and the others wait until it is answered.  Pure.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SINK_KAFKA_PARTITIONS_H
#define OUTBOX_SINK_KAFKA_PARTITIONS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Known for so long after an answer.  Brokers forget an idle producer after
 * producer.id.expiration.ms, a day by default.
 */
#define PARTITION_KNOWN_US (INT64_C(600) * 1000 * 1000)

/* The place of what librdkafka assigns to a partition later. */
#define PARTITION_UNASSIGNED (-1)

typedef struct Partition
{
	int64_t answered_us; /* it took something; 0: never */
	bool opening;        /* the first is under way */
	int waiting;         /* how many wait for its answer */
} Partition;

/* All zero is empty. */
typedef struct Partitions
{
	struct PartitionsOfTopic *first; /* the one asked for last */
} Partitions;

/* Of one delivery; all zero when it begins. */
typedef struct Passage
{
	Partition *partition; /* NULL: none yet */
	bool waits;
	bool opens;
} Passage;

/* partitions_get: stays where it is until partitions_reset. */
extern Partition *partitions_get(Partitions *partitions, const char *topic,
								 int32_t partition);
/* partitions_reset: a new producer is known to nobody. */
extern void partitions_reset(Partitions *partitions);

/*
 * passage_free: may it go there now: nobody opens it, and nobody else waits.
 * Who waits already may pass those that came later; they are asked in the
 * order in which they came.
 */
extern bool passage_free(const Passage *passage, const Partition *partition);
/* passage_enter: it goes there, opens it, or waits there; false: waits. */
extern bool passage_enter(Passage *passage, Partition *partition,
						  int64_t now_us);
/* passage_end: it is answered, or was not sent; do some wait for that? */
extern bool passage_end(Passage *passage);

#endif /* OUTBOX_SINK_KAFKA_PARTITIONS_H */
