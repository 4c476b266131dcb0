/*
 * test/unit/test_simulation.c
 *
 * Random schedules of the core against a made-up world, see sim.h.
 *
 *	COUNT [FIRST]		so many seeds, from this one (1) on
 *	story SEED [STEPS]	what happens with this seed, in words
 *
 * test/simulate builds and runs it.  Of a seed that fails the story of the
 * shortest schedule is told that fails too.
 *
 * Who decides what: the scheduler here what happens next; a choice is a
 * function of the seed alone.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/mem.h"
#include "sim.h"
#include "tap.h"

#define STEPS_CALM 400000
#define STORY_LINES 100 /* the end of it, when it was not asked for */
#define SECONDS_MAX 300 /* for one seed, on however slow a machine */

Sim sim;
static jmp_buf failed;
static int64_t told, skipped; /* lines of the story */

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

	if (!sim.verbose || told++ < skipped)
		return;
	fprintf(stderr, "# %6lld %s", (long long) sim.now_ms,
			sim.old ? "(the old relay) " : "");
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

/* An assertion, a sanitizer or the alarm ends the process: say where. */
static void
on_abort(int number)
{
	char text[80];
	int len = snprintf(
		text, sizeof(text), "# died in seed %llu: test/simulate story %llu\n",
		(unsigned long long) sim.seed, (unsigned long long) sim.seed);

	if (write(STDERR_FILENO, text, (size_t) len) < 0)
		_exit(2);
	signal(number, SIG_DFL);
	raise(number);
}

/* ---------- a world ---------- */

static void
make_world(uint64_t seed, bool verbose)
{
	static const int percents[] = {0, 0, 5, 30};

	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	sim.verbose = verbose;
	sim.large = sim_random(1000) == 0;
	sim.crowded = !sim.large && sim_chance(25);
	sim.messages_max = sim.large     ? 6000
					   : sim.crowded ? 30 + (uint32_t) sim_random(100)
									 : 2 + (uint32_t) sim_random(29);
	sim.wal = 1000;
	sim.now_ms = 1000;
	sim.wall_ms = INT64_C(1000000000000);
	sim.relay = &sim.relays[0];
	sim_choose_windows();
	sim.transient = percents[sim_random(4)];
	sim.invisible = percents[sim_random(4)];
	sim.streamed = sim_chance(50) ? 30 : 0;
	sim.serial = sim_chance(50);
	sim.deleted = sim_chance(10) ? SIM_ROUTES - 1 : -1;
	sim.keep_before = !sim.large && sim_chance(30);
	for (int r = 0; r < 1 + (int) sim_random(3); r++)
		sim_make_route(r);
	sim_db_init(&sim.db);
	sim.db.wal = sim.wal;
	sim.slot = sim_chance(90);
	sim.confirmed = sim.saved = sim.wal;
	sim.db.has_position = sim_chance(70);
	sim.db.position = sim.db.has_position ? sim.wal : 0;
	if (sim.keep_before)
		sim_db_copy(&sim.before, &sim.db);
}

static void
end_world(void)
{
	sim_stop_old();
	sim_stop();
	sim_db_reset(&sim.db);
	sim_db_reset(&sim.before);
	sim_world_reset();
}

/* ---------- the schedule ---------- */

/* Now and then so long that a settle counts as stalled. */
static void
pass_time(void)
{
	int64_t next = sim.relay->up ? engine_next_ms(SIM_ENGINE) : INT64_MAX;

	if (sim_chance(1))
		sim.now_ms += (int64_t) sim_random(20000);
	else if (next != INT64_MAX && next > sim.now_ms && sim_chance(50))
		sim.now_ms = next;
	else
		sim.now_ms += (int64_t) sim_random(60);
}

static void
rare_step(void)
{
	switch (sim_random(10))
	{
		case 0:
			if (sim_chance(30))
				sim_fault();
			break;
		case 1:
			if (sim_chance(30))
				sim_operate();
			break;
		case 2:
			sim.saved = sim.confirmed;
			break;
		case 3:
			sim_show(1);
			break;
		case 4:
			if (sim_chance(20))
				sim_make_slot();
			break;
		case 5:
			if (sim.relay->up && sim_chance(20))
				engine_heartbeat(SIM_ENGINE);
			break;
		case 6:
			sim.wal += sim_random(20);
			break;
		case 7:
			if (sim_chance(30))
				sim_weather();
			break;
		case 8:
			if (sim_chance(5))
				sim_drain();
			break;
		default:
			(void) sim_confirm();
			break;
	}
}

static void
relay_step(void)
{
	int r = (int) sim_random(SIM_ROUTES);

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
			(void) sim_ready(r);
			break;
		case 10:
			pass_time();
			break;
		default:
			rare_step();
			break;
	}
}

static void
step(void)
{
	if (sim_chance(5))
		(void) sim_arrive_late();
	if (sim_chance(30))
		sim_old_relay();
	if (sim.relay->drain_until_ms != 0 && sim_chance(10))
		sim_drain();
	if (sim.relay->up)
		relay_step();
	else if (sim_chance(30))
		sim_start();
	else
		sim_work();
	if (sim_chance(60))
		sim_turn();
}

/* ---------- quiet ---------- */

/* Nothing more goes wrong, but on one route (-1: on none). */
static void
calm_down(int except)
{
	sim_story("calm");
	sim.calm = true;
	sim_end_work(false);
	sim_show(UINT32_MAX);
	sim_stop_old();
	while (sim_arrive_late())
		;
	sim_make_slot();
	for (int r = 0; r < SIM_ROUTES; r++)
	{
		if (sim.routes[r].spec.state == SPEC_PAUSED && r != except)
			sim.routes[r].spec.state = SPEC_ACTIVE;
		sim.routes[r].down = sim.routes[r].down && r == except;
		sim.routes[r].down_key = 0;
	}
	if (sim.relay->drain_until_ms != 0)
	{
		sim.faults++;
		sim_stop();
	}
	if (!sim.relay->up)
		sim_start();
	sim_ask_routes();
	for (int r = 0; r < SIM_ROUTES; r++)
		if (sim.relay->sinks[r].hung && r != except)
			sim_sink_fails(r);
}

/* One thing that is possible without time going by; false: there is none. */
static bool
calm_step(void)
{
	bool moved = false;

	for (int r = 0; r < SIM_ROUTES; r++)
	{
		moved = sim_answer(r) || moved;
		moved = sim_ready(r) || moved;
	}
	moved = sim_execute_next() || moved;
	moved = sim_answer_next() || moved;
	moved = sim_reconcile() || moved;
	moved = sim_feed() || moved;
	moved = sim_keepalive() || moved;
	moved = sim_confirm() || moved;
	sim_turn();
	return moved;
}

/* Until nothing is left to do; time goes only where the engine asks. */
static void
run_calm(int64_t until_ms)
{
	for (int i = 0; i < STEPS_CALM && sim.now_ms < until_ms; i++)
	{
		int64_t next;

		/* the second: a turn may have opened what was closed before it */
		if (calm_step() || calm_step())
			continue;
		next = engine_next_ms(SIM_ENGINE);
		if (next == INT64_MAX)
			return;
		if (next > sim.now_ms)
			sim.now_ms = next;
	}
	if (sim.now_ms < until_ms)
		sim_fail("it does not come to rest");
}

/* What is due by now is done; then P follows. */
static void
check_quiet(int except, int64_t most_ms)
{
	run_calm(most_ms == INT64_MAX ? most_ms : sim.now_ms + most_ms);
	sim_check(except);
	engine_heartbeat(SIM_ENGINE);
	run_calm(most_ms == INT64_MAX ? most_ms : sim.now_ms + most_ms);
	for (int64_t id = 1; id <= sim.messages.count; id++)
		if (sim_is_committed(id) &&
			sim.db.position < sim_transaction_of(id)->end)
			sim_fail("P stays behind message %lld", (long long) id);
	if (sim.confirmed != sim.db.position)
		sim_fail("the slot stays behind P");
}

#define ISOLATED_MS 36000000 /* more than the clock may have stepped */

/* For ever; where the order is kept, it is one message that is tried. */
static bool
one_key_down(int r)
{
	SimRoute *route = &sim.routes[r];

	calm_down(-1);
	if (!route->spec.ordered || route->loose || route->keeps_order)
		return false;
	route->down_key = 1 + (uint8_t) sim_random(SIM_KEYS);
	route->spec.max_attempts = INT_MAX;
	route->spec.retry_max_ms = 60000;
	sim_ask_routes();
	return true;
}

/* A route or key that is down, hangs or is paused holds up nobody else. */
static void
isolate(void)
{
	int r = (int) sim_random(SIM_ROUTES);

	calm_down(r);
	if (!sim.routes[r].exists || sim.routes[r].spec.state == SPEC_DROPPED)
		return;
	switch (sim_random(4))
	{
		case 0:
			sim.routes[r].down = true;
			break;
		case 1:
			sim.faults++; /* what is under way goes again in the end */
			sim.relay->sinks[r].hung = true;
			break;
		case 2:
			if (!one_key_down(r))
				return;
			break;
		default:
			sim.routes[r].spec.state = SPEC_PAUSED;
			sim_ask_routes();
			break;
	}
	sim_story("route %d alone is in trouble", r + 1);
	check_quiet(r, ISOLATED_MS);
}

static bool
run_seed(uint64_t seed, bool verbose, int limit)
{
	int steps;

	make_world(seed, verbose);
	if (setjmp(failed) != 0)
		return false; /* its memory is lost; so is the test */
	steps = 50 + (int) sim_random(sim.large     ? 20000
								  : sim.crowded ? 6000
												: 1000);
	for (int i = 0; i < steps && i < limit; i++)
		step();
	if (sim_chance(15))
		isolate();
	calm_down(-1);
	check_quiet(-1, INT64_MAX);
	end_world();
	return true;
}

/* ---------- many ---------- */

static void
tell_shortest(uint64_t seed)
{
	int steps = 0;

	alarm(0);
	while (run_seed(seed, false, steps))
		steps++;
	diag("seed %llu after %d steps: %s", (unsigned long long) seed, steps,
		 sim.failure);
	diag("test/simulate story %llu %d", (unsigned long long) seed, steps);
	skipped = INT64_MAX;
	(void) run_seed(seed, true, steps);
	skipped = told > STORY_LINES ? told - STORY_LINES : 0;
	told = 0;
	(void) run_seed(seed, true, steps);
}

static bool
run_seeds(uint64_t count, uint64_t first)
{
	uint64_t done = 0;
	int64_t deliveries = 0;
	bool good = true;

	while (good && done < count)
	{
		alarm(SECONDS_MAX);
		good = run_seed(first + done, false, INT_MAX);
		deliveries += sim.deliveries;
		done++;
	}
	if (!good)
		tell_shortest(first + done - 1);
	return ok(good,
			  "%llu schedules from seed %llu on, %lld deliveries, the stream "
			  "held in %lld turns",
			  (unsigned long long) done, (unsigned long long) first,
			  (long long) deliveries, (long long) sim_holds);
}

static uint64_t
number(int argc, char **argv, int i, uint64_t preset)
{
	return argc > i ? strtoull(argv[i], NULL, 10) : preset;
}

int
main(int argc, char **argv)
{
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	signal(SIGALRM, on_abort);
	if (argc > 2 && strcmp(argv[1], "story") == 0)
		ok(run_seed(number(argc, argv, 2, 1), true,
					(int) number(argc, argv, 3, INT_MAX)),
		   "seed %s", argv[2]);
	else
		run_seeds(number(argc, argv, 1, 1000), number(argc, argv, 2, 1));
	return tap_done();
}
