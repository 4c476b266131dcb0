/*
 * relay/core/position.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/position.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"

void
position_init(Position *position, uint64_t start)
{
	memset(position, 0, sizeof(*position));
	position->resolved = start;
}

void
position_reset(Position *position)
{
	mem_free(position->ring);
	position_init(position, 0);
}

static void
grow(Position *position)
{
	uint32_t room = position->room == 0 ? 64 : position->room * 2;
	Ticket *ring = mem_alloc(room * sizeof(Ticket));

	for (uint64_t n = position->head; n < position->next; n++)
		ring[n & (room - 1)] = position->ring[n & (position->room - 1)];
	mem_free(position->ring);
	position->ring = ring;
	position->room = room;
}

uint64_t
position_begin(Position *position, uint64_t commit_end, int64_t commit_time)
{
	if (position->next - position->head >= position->room)
		position_resolved(position);
	if (position->next - position->head >= position->room)
		grow(position);
	*position_ticket(position, position->next) =
		(Ticket){.commit_end = commit_end, .commit_time = commit_time};
	return position->next++;
}

Ticket *
position_ticket(Position *position, uint64_t number)
{
	assert(number >= position->head);
	return &position->ring[number & (position->room - 1)];
}

uint64_t
position_resolved(Position *position)
{
	while (position->head < position->next)
	{
		Ticket *ticket = position_ticket(position, position->head);

		if (!ticket->complete || ticket->open > 0)
			break;
		if (ticket->commit_end > position->resolved)
			position->resolved = ticket->commit_end;
		position->head++;
	}
	return position->resolved;
}

bool
position_open(Position *position)
{
	position_resolved(position);
	return position->head < position->next;
}

void
position_idle(Position *position, uint64_t lsn)
{
	if (!position_open(position) && lsn > position->resolved)
		position->resolved = lsn;
}
