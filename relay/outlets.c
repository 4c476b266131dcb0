/*
 * relay/outlets.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outlets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/failures.h"
#include "core/mem.h"
#include "killpoint.h"
#include "log.h"

#define ERROR_MAX 512

/* How long deliveries under way may hold up a change of their route. */
#define CHANGE_WAIT_MS 5000
/* A sink that could not be opened: the reason may pass, or be mended. */
#define OPEN_AGAIN_MS 10000

struct Outlet
{
	Outlets *outlets;
	int16_t route_id;
	Sink *sink;       /* NULL: could not be opened */
	RouteSpec spec;   /* as it is to be */
	RouteSpec opened; /* as the sink was opened for */
	bool changing;    /* to spec, when nothing is under way */
	int64_t changing_since_ms;
	Timer *again;          /* NULL: it has been opened always */
	char fault[ERROR_MAX]; /* why not, as it was logged */
	Failures failures;     /* of attempts, likewise */
	Outlet *next;
};

static void
clock_now(const Outlets *outlets)
{
	engine_clock(outlets->engine, loop_now_ms(outlets->loop),
				 loop_wall_us(outlets->loop));
}

/* note_outcome: each reason once, and once that it is over. */
static void
note_outcome(Outlet *outlet, const Delivery *delivery, const Outcome *outcome)
{
	const char *name = outlet->spec.name;

	if (outcome->class == OUTCOME_OK)
	{
		if (failures_over(&outlet->failures))
			log_info("delivers_again", "route \"%s\" delivers again", name);
	}
	else if (!outcome->held_back &&
			 failures_note(&outlet->failures, outcome,
						   outlet->outlets->engine->now_ms))
		log_warning("attempt_failed",
					"route \"%s\" could not deliver message %" PRId64
					": %s; the same is not logged again until the route "
					"delivers",
					name, delivery->message->id, outcome->error);
}

static void
sink_done(void *arg, Delivery *delivery, const Outcome *outcome)
{
	Outlet *outlet = arg;

	clock_now(outlet->outlets);
	kill_point("answered");
	note_outcome(outlet, delivery, outcome);
	engine_done(outlet->outlets->engine, delivery, outcome);
}

static void
sink_ready(void *arg)
{
	const Outlet *outlet = arg;

	clock_now(outlet->outlets);
	engine_ready(outlet->outlets->engine, outlet->route_id);
}

static Outlet *
find(const Outlets *outlets, int16_t route_id)
{
	Outlet *outlet = outlets->first;

	while (outlet != NULL && outlet->route_id != route_id)
		outlet = outlet->next;
	return outlet;
}

static Outlet *
add(Outlets *outlets, int16_t route_id)
{
	Outlet *outlet = mem_alloc(sizeof(*outlet));

	outlet->outlets = outlets;
	outlet->route_id = route_id;
	outlet->next = outlets->first;
	outlets->first = outlet;
	return outlet;
}

static void
close_sink(Outlet *outlet)
{
	if (outlet->sink == NULL)
		return;
	outlet->sink->ops->close(outlet->sink);
	outlet->sink = NULL;
	engine_sink_closed(outlet->outlets->engine, outlet->route_id);
}

/* Once a fault, however often the routes are read again. */
static void
note_fault(Outlet *outlet, const RouteSpec *spec, const char *fault)
{
	if (fault[0] != '\0' && strcmp(outlet->fault, fault) != 0)
		log_error("route_broken",
				  "route \"%s\" cannot deliver: %s; "
				  "its messages wait in the backlog, and it is tried again "
				  "every %d s",
				  spec->name, fault, OPEN_AGAIN_MS / 1000);
	else if (fault[0] == '\0' && outlet->fault[0] != '\0')
		log_info("route_mended", "route \"%s\" can deliver", spec->name);
	snprintf(outlet->fault, sizeof(outlet->fault), "%s", fault);
}

static bool
open_sink(Outlet *outlet, const RouteSpec *spec)
{
	const Outlets *outlets = outlet->outlets;
	SinkCaller caller = {outlet, sink_done, sink_ready};
	char error[ERROR_MAX] = "";

	/* what was said of the old one does not tell about the new one */
	outlet->failures = (Failures){0};
	outlet->sink = sink_ops_of(spec->kind)
					   ->open(outlets->loop, outlets->config, spec, caller,
							  error, sizeof(error));
	note_fault(outlet, spec, outlet->sink == NULL ? error : "");
	return outlet->sink != NULL;
}

static void
tell_engine(const Outlet *outlet, const RouteSpec *spec, SpecState state)
{
	RouteSpec told = *spec;

	told.state = state;
	engine_route(outlet->outlets->engine, &told,
				 sink_ops_of(spec->kind)->keeps_order);
}

static void change(Outlet *outlet);

static void
again_came(void *arg)
{
	Outlet *outlet = arg;

	clock_now(outlet->outlets);
	if (outlet->sink == NULL && outlet->spec.state != SPEC_DROPPED)
		change(outlet);
}

static void
open_later(Outlet *outlet)
{
	if (outlet->again == NULL)
		outlet->again = loop_timer(outlet->outlets->loop, again_came, outlet);
	timer_set(outlet->again, OPEN_AGAIN_MS);
}

/* Nothing is under way: the route is from now on as the spec says. */
static void
change(Outlet *outlet)
{
	const RouteSpec *spec = &outlet->spec;

	outlet->changing = false;
	if (outlet->sink != NULL && spec_needs_new_sink(&outlet->opened, spec))
		close_sink(outlet);
	if (spec->state != SPEC_DROPPED && outlet->sink == NULL &&
		!open_sink(outlet, spec))
	{
		tell_engine(outlet, spec, SPEC_PAUSED);
		open_later(outlet);
		return;
	}
	outlet->opened = *spec;
	tell_engine(outlet, spec, spec->state);
}

/*
 * A sink is not cut off at once while deliveries are out, which would send
 * them again: the route rests until the last has its answer.
 */
void
outlets_tell(Outlets *outlets, const RouteSpec *spec)
{
	Outlet *outlet = find(outlets, spec->id);

	if (outlet == NULL)
		outlet = add(outlets, spec->id);
	outlet->spec = *spec;
	if (!outlet->changing)
		outlet->changing_since_ms = loop_now_ms(outlets->loop);
	outlet->changing = outlet->sink != NULL &&
					   spec_needs_new_sink(&outlet->opened, spec) &&
					   engine_inflight(outlets->engine, spec->id) > 0;
	if (outlet->changing)
		tell_engine(outlet, &outlet->opened, SPEC_PAUSED);
	else
		change(outlet);
}

void
outlets_turn(Outlets *outlets)
{
	for (Outlet *outlet = outlets->first; outlet; outlet = outlet->next)
		if (outlet->changing &&
			(engine_inflight(outlets->engine, outlet->route_id) == 0 ||
			 loop_now_ms(outlets->loop) - outlet->changing_since_ms >=
				 CHANGE_WAIT_MS))
			change(outlet);
}

bool
outlets_submit(Outlets *outlets, const Route *route, Delivery *delivery)
{
	Outlet *outlet = find(outlets, route->spec.id);
	bool taken = outlet->sink->ops->submit(outlet->sink, delivery);

	if (taken)
		kill_point("submitted");
	return taken;
}

void
outlets_close(Outlets *outlets)
{
	Outlet *outlet;

	while ((outlet = outlets->first) != NULL)
	{
		outlets->first = outlet->next;
		if (outlet->sink != NULL)
			outlet->sink->ops->close(outlet->sink);
		timer_free(outlet->again);
		mem_free(outlet);
	}
}
