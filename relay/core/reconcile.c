/*
 * relay/core/reconcile.c
 *
 * How table and stream become one after a start.  R, the resolved ids; U, the
 * unresolved ones; L, a position read after both.  A frame up to L whose id
 * is in R is a repeat.  When the stream has passed L, what is in U and was
 * not seen goes to the backlogs.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <assert.h>
#include <string.h>

#include "core/intake.h"
#include "core/mem.h"

void
engine_begin_table(Engine *engine)
{
	engine->phase = ENGINE_TABLE;
	engine->hold = false;
	idset_reset(&engine->seen);
}

static bool
is_recovered(const Engine *engine)
{
	if (engine->recovering > 0)
		return false;
	for (const Route *route = engine->routes; route != NULL;
		 route = route->next)
		if (route->pouring)
			return false;
	return true;
}

bool
engine_is_complete(const Engine *engine)
{
	return engine->phase == ENGINE_RUN ||
		   (engine->phase == ENGINE_PASS && !engine->gap);
}

bool
engine_may_begin_stream(const Engine *engine)
{
	return is_recovered(engine);
}

void
engine_begin_stream(Engine *engine, uint64_t start, bool gap)
{
	position_reset(&engine->position);
	position_init(&engine->position, start);
	idset_reset(&engine->seen);
	idset_reset(&engine->resolved);
	unresolved_reset(&engine->had);
	unresolved_reset(&engine->unresolved);
	engine->had_read = false;
	engine->phase = ENGINE_WAIT;
	engine->hold = engine->gap = gap;
	engine->passed = start;
}

void
engine_resolved(Engine *engine, int64_t first, int64_t last)
{
	idset_add_range(&engine->resolved, first, last);
}

void
engine_unresolved(Engine *engine, const WireRun *run)
{
	unresolved_add(&engine->unresolved, run);
	if (engine->phase != ENGINE_TABLE && !engine->had_read)
		unresolved_add(&engine->had, run);
}

bool
reconcile_is_repeat(Engine *engine, int64_t id)
{
	if (!idset_has(&engine->resolved, id))
		return false;
	engine->repeats++;
	return true;
}

uint16_t
reconcile_remaining(const Engine *engine, int64_t id, const int16_t *routes,
					uint16_t n, int16_t *remaining)
{
	const IdRun *run = unresolved_find(&engine->had, id);

	if (run == NULL)
	{
		memcpy(remaining, routes, n * sizeof(*routes));
		return n;
	}
	memcpy(remaining, run->routes, run->nroutes * sizeof(*routes));
	return run->nroutes;
}

/* The part [first, last] of a run that the stream did not bring. */
static void
recover(Engine *engine, const IdRun *run, int64_t first, int64_t last)
{
	intake_add_pour(
		engine,
		idrun_make(run->generation, first, last, run->routes, run->nroutes),
		false, 0);
	/* not yet settled, it may be in U of the next reading */
	if (engine->early)
		idset_add_range(&engine->seen, first, last);
}

static void
recover_run(Engine *engine, const IdRun *run)
{
	int64_t first = run->first;

	for (int64_t id = run->first; id <= run->last; id++)
	{
		if (!idset_has(&engine->seen, id))
			continue;
		if (first < id)
			recover(engine, run, first, id - 1);
		first = id + 1;
	}
	if (first <= run->last)
		recover(engine, run, first, run->last);
}

static void
recover_all(Engine *engine)
{
	for (uint32_t i = 0; i < engine->unresolved.count; i++)
		recover_run(engine, &engine->unresolved.items[i]);
	unresolved_reset(&engine->unresolved);
}

/*
 * engine_snapshot: R, U and L have been told.  In table mode there is no
 * stream to wait for.  The first reading in a gap only says which routes
 * have rows; U of the reading after the wait is the one that counts.
 */
void
engine_snapshot(Engine *engine, uint64_t horizon, bool early)
{
	if (engine->phase == ENGINE_TABLE)
	{
		recover_all(engine);
		return;
	}
	if (!engine->had_read)
	{
		unresolved_sort(&engine->had);
		engine->had_read = true;
		if (engine->hold)
		{
			unresolved_reset(&engine->unresolved);
			return;
		}
	}
	assert(engine->phase == ENGINE_WAIT);
	engine->horizon = horizon;
	engine->early = early;
	engine->phase = ENGINE_PASS;
	reconcile_passed(engine, engine->passed);
}

void
reconcile_passed(Engine *engine, uint64_t lsn)
{
	if (lsn > engine->passed)
		engine->passed = lsn;
	if (engine->phase != ENGINE_PASS || engine->passed < engine->horizon ||
		engine->stream_pours > 0 || !is_recovered(engine))
		return;
	recover_all(engine);
	engine->hold = false;
	if (engine->early)
	{
		engine->phase = ENGINE_WAIT;
		return;
	}
	engine->phase = ENGINE_RUN;
	idset_reset(&engine->seen);
	idset_reset(&engine->resolved);
	unresolved_reset(&engine->had);
}
