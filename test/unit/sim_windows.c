/*
 * test/unit/sim_windows.c
 *
 * How large the windows of the core are in a schedule.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sim.h"

SimWindows sim_windows;

static uint32_t
either(uint32_t preset, uint32_t least, uint32_t most)
{
	return sim_chance(30) ? preset
						  : least + (uint32_t) sim_random(most - least + 1);
}

/* Small ones are where the modes change; the product's are tried as well. */
void
sim_choose_windows(void)
{
	bool large = sim.large;

	sim_windows = (SimWindows){
		.lane = either(16384, large ? 500 : 4, large ? 2000 : 20),
		.lane_ms = either(5000, 100, 1000),
		.lane_short = either(64, 1, 4),
		.held = either(10000, 4, 24),
		.key_rows = either(1000, 1, 4),
		.keys = either(16, 1, 2),
		.key_items = either(64, 2, 4),
		.items = either(2048, large ? 100 : 2, large ? 500 : 6),
		.items_short = either(16, 1, 2),
		.segment = either(1000, large ? 100 : 1, large ? 500 : 5),
		.pour = either(20000, large ? 500 : 1, large ? 2000 : 8),
		.facts = either(1000, 1, 10),
	};
	if (sim_windows.items_short > sim_windows.items)
		sim_windows.items_short = sim_windows.items;
}
