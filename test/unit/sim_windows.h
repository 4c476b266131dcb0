/*
 * test/unit/sim_windows.h
 *
 * The sizes of the core's windows as variables, so that each schedule can
 * have its own.  Included before everything else in the simulation, the core
 * too (-include).
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SIM_WINDOWS_H
#define OUTBOX_SIM_WINDOWS_H

#include <stdint.h>

typedef struct SimWindows
{
	uint32_t lane;
	uint32_t lane_ms;
	uint32_t lane_short;
	uint32_t held;
	uint32_t key_rows;
	uint32_t keys;
	uint32_t key_items;
	uint32_t items;
	uint32_t items_short;
	uint32_t segment;
	uint32_t pour;
	uint32_t facts;
} SimWindows;

extern SimWindows sim_windows;

#define ROUTE_LANE_MAX sim_windows.lane
#define ROUTE_LANE_MS sim_windows.lane_ms
#define ROUTE_LANE_SHORT sim_windows.lane_short
#define ROUTE_HELD_MAX sim_windows.held
#define ROUTE_KEY_ROWS_MAX sim_windows.key_rows
#define WINDOW_KEYS sim_windows.keys
#define WINDOW_KEY_ITEMS sim_windows.key_items
#define WINDOW_ITEMS sim_windows.items
#define WINDOW_ITEMS_SHORT sim_windows.items_short
#define TAIL_SEGMENT sim_windows.segment
#define ENGINE_POUR_IDS sim_windows.pour
#define ENGINE_SETTLE_FACTS sim_windows.facts

/* The length of an array, so it cannot vary. */
#define ROUTE_FETCH_MAX 8

#endif /* OUTBOX_SIM_WINDOWS_H */
