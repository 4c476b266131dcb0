/*
 * test/unit/test_simulation.c
 *
 * Random schedules of the core against a made-up world, see sim.h.
 *
 *	test_simulation				seeds for about 20 seconds
 *	test_simulation COUNT		so many seeds
 *	test_simulation COUNT FIRST	from this one on; 1 SEED tells its story
 *
 * With the core and the files here compiled for small windows it finds more:
 *	-DROUTE_LANE_MAX=6 -DROUTE_ROWS_MAX=8 -DWINDOW_ITEMS=4
 *	-DWINDOW_ITEMS_SHORT=2 -DTAIL_SEGMENT=3 -DENGINE_POUR_IDS=5
 *	-DROUTE_FETCH_MAX=4 -DENGINE_SETTLE_FACTS=8
 *
 * Who decides what: the scheduler here what happens next; a choice is a
 * function of the seed alone.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "sim.h"
#include "tap.h"

#define SECONDS 20
#define STEPS_CALM 400000

Sim sim;
static jmp_buf failed;

/* ---------- dice, story ---------- */

uint64_t
sim_random(uint64_t below)
{
	uint64_t z = (sim.random += UINT64_C(0x9e3779b97f4a7c15));

	/* splitmix64 (S. Vigna) */
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

bool
sim_chance(int percent)
{
	return sim_random(100) < (uint64_t) percent;
}

void
sim_story(const char *format, ...)
{
	va_list args;

	if (!sim.verbose)
		return;
	fprintf(stderr, "# %6lld ", (long long) sim.now_ms);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
sim_fail(const char *format, ...)
{
	static char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	sim.failure = reason;
	sim_story("FAILED: %s", reason);
	longjmp(failed, 1);
}

/* An assertion or a sanitizer ends the process: say where we were. */
static void
on_abort(int number)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "# died in seed %llu\n",
					   (unsigned long long) sim.seed);

	if (write(STDERR_FILENO, text, (size_t) len) < 0)
		_exit(2);
	signal(number, SIG_DFL);
	raise(number);
}

/* ---------- a world ---------- */

static void
make_route(int r)
{
	SimRoute *route = &sim.routes[r];

	route->exists = true;
	route->keeps_order = sim_chance(50);
	route->spec = (RouteSpec){
		.id = (int16_t) (r + 1),
		.ordered = sim_chance(85),
		.retry_initial_ms = 10,
		.retry_max_ms = 500,
		.retry_multiplier = 2,
		.max_attempts = 1 + (int32_t) sim_random(4),
		.concurrency = 1 + (int32_t) sim_random(5),
		.trace_all = sim_chance(20),
	};
}

static void
make_world(uint64_t seed, bool verbose)
{
	static const int percents[] = {0, 0, 5, 30};

	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	sim.verbose = verbose;
	sim.large = sim_random(1000) == 0;
	sim.messages_max = sim.large ? 6000 : 2 + (uint32_t) sim_random(29);
	sim.wal = 1000;
	sim.now_ms = 1000;
	sim.transient = percents[sim_random(4)];
	sim.invisible = percents[sim_random(4)];
	sim.streamed = sim_chance(50) ? 30 : 0;
	sim.deleted = sim_chance(10) ? SIM_ROUTES - 1 : -1;
	sim.keep_before = !sim.large && sim_chance(30);
	for (int r = 0; r < 1 + (int) sim_random(3); r++)
		make_route(r);
	sim_db_init(&sim.db);
	if (sim.keep_before)
		sim_db_init(&sim.before);
	sim.slot = sim_chance(90);
	sim.confirmed = sim.saved = sim.wal;
	sim.db.has_position = sim_chance(70);
	sim.db.position = sim.db.has_position ? sim.wal : 0;
}

static void
end_world(void)
{
	sim_stop();
	sim_db_reset(&sim.db);
	sim_db_reset(&sim.before);
	sim_world_reset();
}

/* ---------- faults ---------- */

static void
server_dies(void)
{
	sim_story("the server crashes");
	sim_stop();
	sim_end_work(true);
	sim_show(UINT32_MAX);
	sim.confirmed = sim.saved;
}

static void
promotion(void)
{
	if (!sim.keep_before)
		return;
	sim_stop();
	sim_story("promotion, the last settle is lost");
	sim_end_work(true);
	sim_show(UINT32_MAX);
	sim_db_copy(&sim.db, &sim.before);
}

static void
slot_moves(bool lost)
{
	sim_stop();
	sim_story(lost ? "the slot is lost" : "the slot is moved ahead");
	sim.slot = sim.slot && !lost;
	if (sim.slot)
		sim.confirmed = sim.saved = sim.wal;
}

static void
sink_fails(int r)
{
	SimSink *sink = &sim.relay.sinks[r];
	bool keeps_order = sink->keeps_order;

	if (!sink->open)
		return;
	sim_story("the sink of route %d is closed and opened", r + 1);
	sim_sink_close(r);
	engine_sink_closed(&sim.relay.engine, (int16_t) (r + 1));
	sim_sink_open(r, keeps_order);
}

static void
fault(void)
{
	sim.faults++;
	switch (sim_random(7))
	{
		case 0:
			server_dies();
			break;
		case 1:
			promotion();
			break;
		case 2:
			slot_moves(true);
			break;
		case 3:
			slot_moves(false);
			break;
		case 4:
			sink_fails((int) sim_random(SIM_ROUTES));
			break;
		case 5:
			sim.relay.sinks[sim_random(SIM_ROUTES)].hung = true;
			break;
		default:
			sim_stop();
			break;
	}
}

/* ---------- the operator ---------- */

static void
operate(void)
{
	int r = (int) sim_random(SIM_ROUTES);
	SimRoute *route = &sim.routes[r];

	if (!route->exists && r != sim.deleted && sim_chance(30))
		make_route(r);
	else if (!route->exists || route->spec.state == SPEC_DROPPED)
		return;
	else if (sim_chance(50))
		route->spec.state =
			route->spec.state == SPEC_PAUSED ? SPEC_ACTIVE : SPEC_PAUSED;
	else if (sim_chance(60))
	{
		sim.faults++; /* its sink is opened anew */
		route->spec.concurrency = 1 + (int32_t) sim_random(5);
	}
	else if (sim_chance(30))
		route->spec.state = SPEC_DROPPED;
	sim_story("route %d: state %d", r + 1, route->spec.state);
	sim_ask_routes();
}

/* ---------- the schedule ---------- */

static void
pass_time(void)
{
	int64_t next = sim.relay.up ? engine_next_ms(&sim.relay.engine) : INT64_MAX;

	if (next != INT64_MAX && next > sim.now_ms && sim_chance(50))
		sim.now_ms = next;
	else
		sim.now_ms += (int64_t) sim_random(60);
}

static void
make_slot(void)
{
	if (sim.slot)
		return;
	sim_show(UINT32_MAX); /* it waits for all that runs */
	sim.slot = true;
	sim.confirmed = sim.saved = sim.wal;
	sim_story("a new slot at %llu", (unsigned long long) sim.wal);
}

static void
rare_step(void)
{
	switch (sim_random(8))
	{
		case 0:
			if (sim_chance(30))
				fault();
			break;
		case 1:
			if (sim_chance(30))
				operate();
			break;
		case 2:
			sim.saved = sim.confirmed;
			break;
		case 3:
			sim_show(1);
			break;
		case 4:
			if (sim_chance(20))
				make_slot();
			break;
		case 5:
			if (sim.relay.up && sim_chance(20))
				engine_heartbeat(&sim.relay.engine);
			break;
		case 6:
			sim.wal += sim_random(20);
			break;
		default:
			(void) sim_confirm();
			break;
	}
}

static void
step(void)
{
	int r = (int) sim_random(SIM_ROUTES);

	if (!sim.relay.up)
	{
		if (sim_chance(30))
			sim_start();
		else
			sim_work();
		return;
	}
	switch (sim_random(12))
	{
		case 0:
		case 1:
			sim_work();
			break;
		case 2:
		case 3:
			(void) sim_feed();
			break;
		case 4:
			(void) sim_keepalive();
			break;
		case 5:
			(void) sim_execute_next();
			break;
		case 6:
			(void) sim_answer_next();
			break;
		case 7:
			(void) sim_answer(r);
			break;
		case 8:
			(void) sim_reconcile();
			break;
		case 9:
			if (sim.relay.sinks[r].wants_ready)
			{
				sim.relay.sinks[r].wants_ready = false;
				engine_ready(&sim.relay.engine, (int16_t) (r + 1));
			}
			break;
		case 10:
			pass_time();
			break;
		default:
			rare_step();
			break;
	}
	if (sim_chance(60))
		sim_turn();
}

/* ---------- quiet ---------- */

static void
calm_down(void)
{
	sim_story("calm");
	sim.calm = true;
	sim_end_work(false);
	sim_show(UINT32_MAX);
	make_slot();
	for (int r = 0; r < SIM_ROUTES; r++)
		if (sim.routes[r].spec.state == SPEC_PAUSED)
			sim.routes[r].spec.state = SPEC_ACTIVE;
	if (!sim.relay.up)
		sim_start();
	sim_ask_routes();
	for (int r = 0; r < SIM_ROUTES; r++)
		if (sim.relay.sinks[r].hung)
			sink_fails(r);
}

/* One thing that is possible without time going by; false: there is none. */
static bool
calm_step(void)
{
	bool moved = false;

	for (int r = 0; r < SIM_ROUTES; r++)
	{
		moved = sim_answer(r) || moved;
		if (sim.relay.sinks[r].wants_ready)
		{
			sim.relay.sinks[r].wants_ready = false;
			engine_ready(&sim.relay.engine, (int16_t) (r + 1));
			moved = true;
		}
	}
	moved = sim_execute_next() || moved;
	moved = sim_answer_next() || moved;
	moved = sim_reconcile() || moved;
	moved = sim_feed() || moved;
	moved = sim_keepalive() || moved;
	sim_turn();
	return moved;
}

/* Until nothing is left to do; time goes only where the engine asks. */
static void
run_calm(void)
{
	for (int i = 0; i < STEPS_CALM; i++)
	{
		int64_t next;

		if (calm_step())
			continue;
		next = engine_next_ms(&sim.relay.engine);
		if (next == INT64_MAX && !calm_step())
			return;
		if (next != INT64_MAX && next > sim.now_ms)
			sim.now_ms = next;
	}
	sim_fail("it does not come to rest");
}

static void
check_end(void)
{
	Engine *engine = &sim.relay.engine;

	sim_check();
	engine_heartbeat(engine);
	run_calm();
	for (int64_t id = 1; id <= sim.messages.count; id++)
		if (sim_is_committed(id) &&
			sim.db.position < sim_transaction_of(id)->end)
			sim_fail("P stays behind message %lld", (long long) id);
}

static bool
run_seed(uint64_t seed, bool verbose)
{
	int steps;

	make_world(seed, verbose);
	if (setjmp(failed) != 0)
		return false; /* its memory is lost; so is the test */
	steps = 50 + (int) sim_random(sim.large ? 20000 : 1000);
	for (int i = 0; i < steps; i++)
		step();
	calm_down();
	run_calm();
	check_end();
	end_world();
	return true;
}

int
main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	time_t until = time(NULL) + SECONDS;
	uint64_t done = 0;
	int64_t deliveries = 0;
	bool good = true;

	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	while (good &&
		   (count > 0 ? done < count : done % 64 != 0 || time(NULL) < until))
	{
		good = run_seed(first + done, argc > 2 && count == 1);
		deliveries += sim.deliveries;
		done++;
	}
	if (!good)
		diag("seed %llu: %s; its story: %s 1 %llu",
			 (unsigned long long) sim.seed, sim.failure, argv[0],
			 (unsigned long long) sim.seed);
	ok(good, "%llu schedules, %lld deliveries", (unsigned long long) done,
	   (long long) deliveries);
	return tap_done();
}
