/*
 * relay/sink_kafka_partitions.h
 *
 * The partitions whose broker knows the producer.
 *
 * A broker refuses what comes behind a request that failed by its sequence
 * number, but one that knows nothing of the producer takes whatever number
 * comes first (KAFKA-15591).  So while a partition is not known, one delivery
 * goes there and no other until it is answered.  Pure.
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

/* All zero is empty. */
typedef struct Partitions
{
	struct PartitionsOfTopic *first; /* the one asked for last */
} Partitions;

/* partitions_learn: the broker has taken something; partition is >= 0. */
extern void partitions_learn(Partitions *partitions, const char *topic,
							 int32_t partition, int64_t now_us);
/* partitions_know: false for a partition < 0, which is not assigned yet. */
extern bool partitions_know(Partitions *partitions, const char *topic,
							int32_t partition, int64_t now_us);
/* partitions_reset: a new producer is known to nobody. */
extern void partitions_reset(Partitions *partitions);

#endif /* OUTBOX_SINK_KAFKA_PARTITIONS_H */
