/*
 * test/unit/test_route.c
 *
 * What an answer means for a message and for those of its key, one short
 * story each.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "engine_bench.h"

static void
test_unreadable(void)
{
	start(2, false);
	message(1, "a", 2, true);
	message(2, "a", 1, false);
	turn(0);
	is_int(nfetching, 2, "a long body is read for each route");
	engine_unreadable(fetching[0], 1);
	engine_fetched(&engine, fetching[0]);
	turn(0);
	is_int(nout, 0, "it does not go out, and holds its key");
	turn(ENGINE_SETTLE_MS);
	ok(settling != NULL && settling->parks.count == 1 &&
		   settling->parks.items[0].status == PARKED_DEAD,
	   "a row that cannot be read goes DEAD");
	ok(settling->parks.items[0].has_key, "with its key");
	is_str(settling->parks.items[0].error,
		   "the row in outbox.message cannot be read", "and with the reason");
	engine_settled(&engine);
	turn(0);
	is_int(nout, 1, "then the next of the key goes");
	finish("unreadable");
}

int
main(void)
{
	test_unreadable();
	return tap_done();
}
