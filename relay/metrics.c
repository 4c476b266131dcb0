/*
 * relay/metrics.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

#include "core/mem.h"

/* ---------- totals ---------- */

static void
add_stats(RouteStats *to, const RouteStats *from)
{
	for (int i = 0; i < 3; i++)
		to->outcomes[i] += from->outcomes[i];
	to->dead += from->dead;
	to->circuit_opened += from->circuit_opened;
	histogram_add(&to->commit_to_delivered, &from->commit_to_delivered);
	histogram_add(&to->attempt, &from->attempt);
}

static const RouteStats *
totals_of(const Metrics *metrics, int16_t id)
{
	static const RouteStats none;

	for (uint32_t i = 0; i < metrics->count; i++)
		if (metrics->items[i].id == id)
			return &metrics->items[i].stats;
	return &none;
}

void
metrics_absorb(Metrics *metrics, const SessionStatus *status)
{
	const Route *route = status->engine ? status->engine->routes : NULL;

	metrics->sessions++;
	metrics->settles += (uint64_t) status->settles;
	if (status->engine != NULL)
	{
		metrics->repeats += status->engine->repeats;
		metrics->held_ms += status->engine->held_ms;
	}
	for (; route != NULL; route = route->next)
	{
		uint32_t i = 0;

		while (i < metrics->count && metrics->items[i].id != route->spec.id)
			i++;
		if (i == metrics->count)
			*ARRAY_PUSH(metrics) = (RouteTotals){.id = route->spec.id};
		add_stats(&metrics->items[i].stats, &route->stats);
	}
}

void
metrics_reset(Metrics *metrics)
{
	ARRAY_RESET(metrics);
}

/* ---------- routes ---------- */

/* In memory since; a message that comes of the backlog has no commit time. */
static int64_t
oldest_in_lane(const Route *route)
{
	const Item *item = TAILQ_FIRST(&route->lane);

	if (item == NULL)
		return INT64_MAX;
	if (item->message->commit_time > 0)
		return item->message->commit_time;
	return item->message->create_time > 0 ? item->message->create_time
										  : INT64_MAX;
}

/* The age of the oldest message that is not delivered, in seconds. */
static double
oldest_age(const Route *route)
{
	int64_t since = oldest_in_lane(route);

	if (route->oldest_us > 0 && route->oldest_us < since &&
		(route_backlog_count(route) > 0 || route->nrows > 0))
		since = route->oldest_us;
	if (since > route->engine->wall_us)
		return 0;
	return (double) (route->engine->wall_us - since) / 1e6;
}

static double
value_in_flight(const Route *route)
{
	return route->inflight;
}

static double
value_backlog(const Route *route)
{
	return (double) (route_backlog_count(route) + route->behind_ids);
}

static double
value_behind(const Route *route)
{
	return route->nbehind;
}

static double
value_parked(const Route *route)
{
	return route->nrows;
}

static double
value_lane(const Route *route)
{
	return route->lane_count;
}

static double
value_stream(const Route *route)
{
	return route->mode == ROUTE_STREAM;
}

static double
value_open(const Route *route)
{
	return route->circuit.state != CIRCUIT_CLOSED;
}

static double
value_paused(const Route *route)
{
	return route->spec.state == SPEC_PAUSED;
}

static double
value_missing(const Route *route)
{
	return route->missing_since_ms == 0
			   ? 0
			   : (double) (route->engine->now_ms - route->missing_since_ms) /
					 1e3;
}

static const struct Gauge
{
	const char *name;
	const char *help;
	double (*value)(const Route *route);
} route_gauges[] = {
	{"outbox_in_flight", "Deliveries with the destination now.",
	 value_in_flight},
	{"outbox_lane_messages", "Messages in memory, in flight or waiting.",
	 value_lane},
	{"outbox_backlog_messages", "Messages in the backlog.", value_backlog},
	{"outbox_keys_behind", "Keys with a backlog of their own.", value_behind},
	{"outbox_parked_messages", "Messages that wait for a retry or behind one.",
	 value_parked},
	{"outbox_oldest_age_seconds",
	 "Age of the oldest message not yet delivered.", oldest_age},
	{"outbox_route_streaming", "1 in STREAM mode, 0 in BACKLOG mode.",
	 value_stream},
	{"outbox_route_paused", "1 while the route is paused or cannot be opened.",
	 value_paused},
	{"outbox_circuit_open", "1 while the circuit is not closed.", value_open},
	{"outbox_missing_seconds",
	 "For how long a message has not been found in the table.", value_missing},
};

static void
head(Page *page, const char *name, const char *type, const char *help)
{
	page_printf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
labels(Page *page, const Route *route)
{
	/* route names are [a-z0-9_-]: nothing to escape */
	page_printf(page, "{route=\"%s\",kind=\"%s\"", route->spec.name,
				route->spec.kind == SPEC_KAFKA ? "kafka" : "http");
}

static bool
is_shown(const Route *route)
{
	return route->known && route->spec.name[0] != '\0' &&
		   route->spec.state != SPEC_DROPPED;
}

static void
render_gauges(Page *page, const Route *routes)
{
	for (size_t i = 0; i < sizeof(route_gauges) / sizeof(route_gauges[0]); i++)
	{
		const struct Gauge *gauge = &route_gauges[i];

		head(page, gauge->name, "gauge", gauge->help);
		for (const Route *route = routes; route; route = route->next)
		{
			if (!is_shown(route))
				continue;
			page_printf(page, "%s", gauge->name);
			labels(page, route);
			page_printf(page, "} %g\n", gauge->value(route));
		}
	}
}

static void
render_histogram(Page *page, const char *name, const Route *route,
				 const Histogram *histogram)
{
	uint64_t sum = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		sum += histogram->buckets[i];
		page_printf(page, "%s_bucket", name);
		labels(page, route);
		if (i < HISTOGRAM_BUCKETS - 1)
			page_printf(page, ",le=\"%g\"} %" PRIu64 "\n",
						(double) histogram_bound_us[i] / 1e6, sum);
		else
			page_printf(page, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
	page_printf(page, "%s_sum", name);
	labels(page, route);
	page_printf(page, "} %.6f\n%s_count", (double) histogram->sum_us / 1e6,
				name);
	labels(page, route);
	page_printf(page, "} %" PRIu64 "\n", histogram->count);
}

static RouteStats
sum_of(const Metrics *metrics, const Route *route)
{
	RouteStats stats = *totals_of(metrics, route->spec.id);

	add_stats(&stats, &route->stats);
	return stats;
}

static void
render_attempts(const Metrics *metrics, Page *page, const Route *routes)
{
	static const char *const outcomes[] = {"ok", "transient", "permanent"};

	head(page, "outbox_attempts_total", "counter",
		 "Delivery attempts by what the destination said.");
	for (const Route *route = routes; route != NULL; route = route->next)
		for (int i = 0; i < 3 && is_shown(route); i++)
		{
			page_printf(page, "outbox_attempts_total");
			labels(page, route);
			page_printf(page, ",outcome=\"%s\"} %" PRIu64 "\n", outcomes[i],
						sum_of(metrics, route).outcomes[i]);
		}
}

static void
render_counters(const Metrics *metrics, Page *page, const Route *routes)
{
	head(page, "outbox_dead_total", "counter", "Messages that went DEAD.");
	for (const Route *route = routes; route != NULL; route = route->next)
		if (is_shown(route))
		{
			page_printf(page, "outbox_dead_total");
			labels(page, route);
			page_printf(page, "} %" PRIu64 "\n", sum_of(metrics, route).dead);
		}
	head(page, "outbox_circuit_opened_total", "counter",
		 "How often the circuit opened.");
	for (const Route *route = routes; route != NULL; route = route->next)
		if (is_shown(route))
		{
			page_printf(page, "outbox_circuit_opened_total");
			labels(page, route);
			page_printf(page, "} %" PRIu64 "\n",
						sum_of(metrics, route).circuit_opened);
		}
}

static void
render_histograms(const Metrics *metrics, Page *page, const Route *routes)
{
	head(page, "outbox_commit_to_delivered_seconds", "histogram",
		 "From the commit to the answer of the destination, live messages.");
	for (const Route *route = routes; route != NULL; route = route->next)
	{
		RouteStats stats = sum_of(metrics, route);

		if (is_shown(route))
			render_histogram(page, "outbox_commit_to_delivered_seconds", route,
							 &stats.commit_to_delivered);
	}
	head(page, "outbox_attempt_duration_seconds", "histogram",
		 "How long the destination took to answer.");
	for (const Route *route = routes; route != NULL; route = route->next)
	{
		RouteStats stats = sum_of(metrics, route);

		if (is_shown(route))
			render_histogram(page, "outbox_attempt_duration_seconds", route,
							 &stats.attempt);
	}
}

/* ---------- the relay ---------- */

static void
one(Page *page, const char *name, const char *type, const char *help,
	double value)
{
	head(page, name, type, help);
	page_printf(page, "%s %.17g\n", name, value);
}

static void
render_session(const SessionStatus *status, Page *page)
{
	const Engine *engine = status->engine;
	uint64_t lag = status->server_end > status->confirmed
					   ? status->server_end - status->confirmed
					   : 0;

	one(page, "outbox_run", "gauge", "Number of this run of the relay.",
		(double) status->run);
	one(page, "outbox_epoch", "gauge",
		"Starts of a relay on this copy of the database.",
		(double) RUN_EPOCH(status->run));
	one(page, "outbox_slot_lag_bytes", "gauge",
		"WAL that the server has and that is not confirmed.", (double) lag);
	if (status->retained_bytes >= 0)
		one(page, "outbox_retained_wal_bytes", "gauge",
			"WAL the server keeps for the slot.",
			(double) status->retained_bytes);
	one(page, "outbox_table_mode", "gauge",
		"1 while there is no slot and messages are read from the table.",
		status->table_mode);
	one(page, "outbox_memory_bytes", "gauge",
		"Bytes of message bodies held in memory.",
		engine != NULL ? (double) engine->bytes : 0);
}

void
metrics_render(const Metrics *metrics, const SessionStatus *status, Page *page)
{
	const Engine *engine = status != NULL ? status->engine : NULL;

	page->content_type = "text/plain; version=0.0.4; charset=utf-8";
	head(page, "outbox_build_info", "gauge", "Version of the relay.");
	page_printf(page, "outbox_build_info{version=\"%s\"} 1\n", OUTBOX_VERSION);
	one(page, "outbox_up", "gauge", "1 while the relay delivers.",
		status != NULL && session_delivers(status));
	one(page, "outbox_sessions_total", "counter",
		"Sessions with the database that have ended.",
		(double) metrics->sessions);
	one(page, "outbox_repeats_total", "counter",
		"Messages that the stream brought again and that were skipped.",
		(double) (metrics->repeats + (engine != NULL ? engine->repeats : 0)));
	one(page, "outbox_settles_total", "counter",
		"Transactions by which the relay recorded what it did.",
		(double) metrics->settles +
			(status != NULL ? (double) status->settles : 0));
	one(page, "outbox_stream_held_seconds_total", "counter",
		"For how long the stream has waited for a busy route.",
		(double) (metrics->held_ms + (engine != NULL ? engine->held_ms : 0)) /
			1e3);
	if (status != NULL)
		render_session(status, page);
	if (engine == NULL)
		return;
	render_attempts(metrics, page, engine->routes);
	render_counters(metrics, page, engine->routes);
	render_gauges(page, engine->routes);
	render_histograms(metrics, page, engine->routes);
}
