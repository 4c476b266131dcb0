/*
 * relay/core/position.h
 *
 * P, the position up to which everything is resolved: the commit end of the
 * last transaction before the oldest one that still has an open message.
 *
 * Transactions are taken in commit order and get a ticket; a ticket is open
 * as long as messages of it are.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_POSITION_H
#define OUTBOX_POSITION_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Ticket
{
	uint64_t commit_end;
	int64_t commit_time; /* microseconds since 1970-01-01 UTC */
	int64_t open;        /* messages not yet in a settle */
	bool complete;       /* its last frame has been read */
} Ticket;

typedef struct Position
{
	Ticket *ring;
	uint32_t room; /* a power of two */
	uint64_t head; /* ticket numbers: oldest, next */
	uint64_t next;
	uint64_t resolved; /* commit end of what left the ring last */
} Position;

extern void position_init(Position *position, uint64_t start);
extern void position_reset(Position *position);
/* position_begin: the ticket number of a transaction that begins. */
extern uint64_t position_begin(Position *position, uint64_t commit_end,
							   int64_t commit_time);
extern Ticket *position_ticket(Position *position, uint64_t number);
/* position_idle: nothing up to lsn concerns us; counts if nothing is open. */
extern void position_idle(Position *position, uint64_t lsn);
/* position_resolved: drops finished tickets from the front; P. */
extern uint64_t position_resolved(Position *position);
/* position_open: whether any transaction is. */
extern bool position_open(Position *position);

#endif /* OUTBOX_POSITION_H */
