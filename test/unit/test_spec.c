/*
 * test/unit/test_spec.c
 *
 * Which changes of a route need its sink to be opened anew.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/spec.h"

#include "tap.h"

static const RouteSpec plain = {.id = 1,
								.kind = SPEC_HTTP,
								.target = "http://a/",
								.timeout_ms = 1,
								.connect_timeout_ms = 2,
								.concurrency = 3};

static void
check(const char *what, const RouteSpec *altered, bool expected)
{
	ok(spec_needs_new_sink(&plain, altered) == expected, "%s", what);
}

int
main(void)
{
	RouteSpec spec = plain;

	check("nothing", &spec, false);
	spec.max_attempts = 9;
	spec.ordered = true;
	spec.state = SPEC_PAUSED;
	check("what a sink is not told", &spec, false);
	spec.state = SPEC_DROPPED;
	check("dropped", &spec, true);
	spec = plain;
	spec.kind = SPEC_KAFKA;
	check("the kind", &spec, true);
	spec = plain;
	snprintf(spec.target, sizeof(spec.target), "http://b/");
	check("the target", &spec, true);
	spec = plain;
	spec.timeout_ms = 9;
	check("the time-out", &spec, true);
	spec = plain;
	spec.connect_timeout_ms = 9;
	check("the connect time-out", &spec, true);
	spec = plain;
	spec.concurrency = 9;
	check("the concurrency", &spec, true);
	return tap_done();
}
