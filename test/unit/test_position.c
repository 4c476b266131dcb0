/*
 * test/unit/test_position.c
 *
 * P over transactions that end in any order.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/position.h"

#include "tap.h"

static uint64_t
begin(Position *position, uint64_t commit_end, int64_t open)
{
	uint64_t number = position_begin(position, commit_end, 0);

	position_ticket(position, number)->open = open;
	position_ticket(position, number)->complete = true;
	return number;
}

static void
test_order(void)
{
	Position position;
	uint64_t a, b, c;

	position_init(&position, 100);
	is_int(position_resolved(&position), 100, "at the start");
	a = begin(&position, 110, 1);
	b = begin(&position, 120, 2);
	c = begin(&position, 130, 1);
	position_ticket(&position, c)->open = 0;
	is_int(position_resolved(&position), 100, "the last alone moves nothing");
	position_idle(&position, 500);
	is_int(position_resolved(&position), 100, "nor does a keepalive");
	position_ticket(&position, a)->open = 0;
	is_int(position_resolved(&position), 110, "the first does");
	position_ticket(&position, b)->open--;
	is_int(position_resolved(&position), 110, "half of one does not");
	position_ticket(&position, b)->open--;
	is_int(position_resolved(&position), 130, "the rest takes the last along");
	ok(!position_open(&position), "nothing is open");
	position_idle(&position, 500);
	is_int(position_resolved(&position), 500, "now a keepalive counts");
	position_idle(&position, 400);
	is_int(position_resolved(&position), 500, "it never goes back");
	begin(&position, 450, 0);
	is_int(position_resolved(&position), 500, "not for a transaction either");
	position_reset(&position);
}

static void
test_incomplete(void)
{
	Position position;
	uint64_t number;

	position_init(&position, 0);
	number = position_begin(&position, 10, 0);
	is_int(position_resolved(&position), 0, "one that is still being read");
	position_ticket(&position, number)->complete = true;
	is_int(position_resolved(&position), 10, "counts when it is complete");
	position_reset(&position);
}

/* A server that sends again what was passed long ago. */
static void
test_passed(void)
{
	Position position;
	uint64_t number;

	position_init(&position, 100);
	number = position_begin(&position, 50, 0);
	position_ticket(&position, number)->complete = true;
	is_int(position_resolved(&position), 100, "P does not go back");
	position_reset(&position);
}

/* The ring grows while its head is anywhere. */
static void
test_growth(void)
{
	Position position;
	int wrong = 0;

	position_init(&position, 0);
	for (uint64_t i = 1; i <= 1000; i++)
	{
		begin(&position, i * 10, 1);
		if (i % 3 == 0)
		{
			position_ticket(&position, position.head)->open = 0;
			position_resolved(&position);
		}
	}
	for (uint64_t n = position.head; n < position.next; n++)
		wrong += position_ticket(&position, n)->commit_end != (n + 1) * 10;
	is_int(wrong, 0, "every ticket keeps its transaction");
	is_int(position_resolved(&position), 3330, "a third has gone");
	position_reset(&position);
}

int
main(void)
{
	test_order();
	test_incomplete();
	test_passed();
	test_growth();
	return tap_done();
}
