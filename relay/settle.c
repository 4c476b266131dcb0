/*
 * relay/settle.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "settle.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* ---------- resolved ---------- */

/* Its resolved ids may be none: a retry or the backlog was delivered. */
static bool
is_told(const Facts *facts, int i)
{
	if (facts->resolved[i].count > 0)
		return true;
	for (uint32_t k = 0; k < facts->sent.count; k++)
		if (facts->sent.items[k].generation == i - 1)
			return true;
	return false;
}

static void
render_resolved(SettleValues *values, const Facts *facts)
{
	char *sets[FACTS_GENERATIONS];
	size_t room = 3, len = 0, names = 0;

	for (int i = 0; i < FACTS_GENERATIONS; i++)
	{
		sets[i] = is_told(facts, i) ? idset_format(&facts->resolved[i]) : NULL;
		room += sets[i] != NULL ? strlen(sets[i]) + 3 : 0;
	}
	values->resolved = mem_alloc(room);
	for (int i = 0; i < FACTS_GENERATIONS; i++)
	{
		const char *separator = len == 0 ? "{" : ",";

		if (sets[i] == NULL)
			continue;
		len += (size_t) snprintf(values->resolved + len, room - len, "%s\"%s\"",
								 separator, sets[i]);
		names += (size_t) snprintf(values->generations + names,
								   sizeof(values->generations) - names, "%s%d",
								   separator, i - 1);
		mem_free(sets[i]);
	}
	snprintf(values->resolved + len, room - len, len == 0 ? "{}" : "}");
	snprintf(values->generations + names, sizeof(values->generations) - names,
			 names == 0 ? "{}" : "}");
}

/* ---------- the rest, as JSON ---------- */

static json_t *
segments(const Facts *facts)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < facts->segments.count; i++)
	{
		const FactSegment *s = &facts->segments.items[i];
		json_t *ids = json_array();

		for (uint32_t k = 0; k < s->nids; k++)
			json_array_append_new(ids, json_integer(s->ids[k]));
		json_array_append_new(
			array,
			json_pack("{s:i, s:o, s:I, s:i, s:I, s:I, s:o}", "route",
					  (int) s->route_id, "key_hash",
					  s->of_key ? json_integer(s->key_hash) : json_null(),
					  "seq", (json_int_t) s->seq, "generation",
					  (int) s->generation, "run", (json_int_t) s->run, "pos",
					  (json_int_t) s->pos, "ids", ids));
	}
	return array;
}

static int
compare_progress(const void *a, const void *b)
{
	const FactProgress *x = a;
	const FactProgress *y = b;

	if (x->route_id != y->route_id)
		return x->route_id < y->route_id ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static void
add_progress(json_t *array, const FactProgress *p, IdSet *done)
{
	char *ranges = idset_format(done);

	json_array_append_new(
		array, json_pack("{s:i, s:I, s:s}", "route", (int) p->route_id, "seq",
						 (json_int_t) p->seq, "done", ranges));
	mem_free(ranges);
	idset_reset(done);
}

/* One entry for each segment. */
static json_t *
progress(const Facts *facts)
{
	uint32_t count = facts->progress.count;
	FactProgress *sorted =
		mem_copy(facts->progress.items, count * sizeof(FactProgress));
	json_t *array = json_array();
	IdSet done = {0};

	qsort(sorted, count, sizeof(*sorted), compare_progress);
	for (uint32_t i = 0; i < count; i++)
	{
		idset_add(&done, sorted[i].index);
		if (i + 1 == count || sorted[i + 1].seq != sorted[i].seq ||
			sorted[i + 1].route_id != sorted[i].route_id)
			add_progress(array, &sorted[i], &done);
	}
	mem_free(sorted);
	return array;
}

/* Text for PostgreSQL: valid UTF-8, or with what is not replaced by '?'. */
static json_t *
text(const char *bytes)
{
	json_t *string = json_string(bytes);
	char *copy;

	if (string != NULL)
		return string;
	copy = mem_copy(bytes, strlen(bytes) + 1);
	for (char *c = copy; *c != '\0'; c++)
		if ((unsigned char) *c >= 0x80)
			*c = '?';
	string = json_string(copy);
	mem_free(copy);
	return string;
}

static json_t *
parks(const Facts *facts)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < facts->parks.count; i++)
	{
		const FactPark *p = &facts->parks.items[i];

		json_array_append_new(
			array,
			json_pack(
				"{s:I, s:i, s:i, s:i, s:o, s:I, s:I, s:s,"
				" s:i, s:o, s:o}",
				"id", (json_int_t) p->id, "route", (int) p->route_id,
				"generation", (int) p->generation, "shard", (int) p->shard_id,
				"key_hash",
				p->has_key ? json_integer(p->key_hash) : json_null(), "run",
				(json_int_t) p->run, "pos", (json_int_t) p->pos, "status",
				parked_status_name(p->status), "retry_count",
				(int) p->retry_count, "retry_in_ms",
				p->retry_in_ms < 0 ? json_null() : json_integer(p->retry_in_ms),
				"error", p->error[0] == '\0' ? json_null() : text(p->error)));
	}
	return array;
}

static json_t *
unparks(const Facts *facts)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < facts->unparks.count; i++)
		json_array_append_new(
			array, json_pack("{s:I, s:i}", "id",
							 (json_int_t) facts->unparks.items[i].id, "route",
							 (int) facts->unparks.items[i].route_id));
	return array;
}

/* {"generation": {"route": count}} */
static json_t *
sent(const Facts *facts)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < facts->sent.count; i++)
	{
		const FactSent *s = &facts->sent.items[i];
		char generation[8], route[8];
		json_t *counts;

		snprintf(generation, sizeof(generation), "%d", s->generation);
		snprintf(route, sizeof(route), "%d", s->route_id);
		counts = json_object_get(object, generation);
		if (counts == NULL)
		{
			counts = json_object();
			json_object_set_new(object, generation, counts);
		}
		json_object_set_new(counts, route, json_integer(s->count));
	}
	return object;
}

static json_t *
answer(const Outcome *outcome)
{
	char hex[2 * OUTCOME_ANSWER_MAX + 1];

	if (outcome->answer_len == 0)
		return json_null();
	for (uint32_t i = 0; i < outcome->answer_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", outcome->answer[i]);
	return json_string(hex);
}

static json_t *
attempts(const Facts *facts)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < facts->attempts.count; i++)
	{
		const FactAttempt *a = &facts->attempts.items[i];
		const Outcome *o = a->outcome;

		json_array_append_new(
			array, json_pack("{s:I, s:i, s:i, s:I, s:I, s:s, s:i, s:o,"
							 " s:o}",
							 "id", (json_int_t) a->id, "route",
							 (int) a->route_id, "attempt", (int) a->attempt,
							 "started_ms", (json_int_t) a->started_ms,
							 "duration_us", (json_int_t) o->duration_us,
							 "outcome", outcome_class_name(o->class), "status",
							 o->status, "error",
							 o->error[0] == '\0' ? json_null() : text(o->error),
							 "answer", answer(o)));
	}
	return array;
}

static void
set_fact(json_t *object, const char *name, uint32_t count, json_t *fact)
{
	if (count > 0)
		json_object_set_new(object, name, fact);
	else
		json_decref(fact);
}

static void *
json_memory(size_t size)
{
	return mem_realloc(NULL, size);
}

static char *
render_facts(const Facts *facts)
{
	json_t *object;
	char *rendered = NULL;

	/* Its own would leave out what it finds no memory for. */
	json_set_alloc_funcs(json_memory, mem_free);
	object = json_object();
	set_fact(object, "backlog", facts->segments.count, segments(facts));
	set_fact(object, "progress", facts->progress.count, progress(facts));
	set_fact(object, "park", facts->parks.count, parks(facts));
	set_fact(object, "unpark", facts->unparks.count, unparks(facts));
	set_fact(object, "sent", facts->sent.count, sent(facts));
	set_fact(object, "attempts", facts->attempts.count, attempts(facts));
	if (json_object_size(object) > 0)
		rendered = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return rendered;
}

void
settle_values(SettleValues *values, const StartRow *start, const Facts *facts)
{
	static const Facts nothing;

	if (facts == NULL)
		facts = &nothing;
	memset(values, 0, sizeof(*values));
	snprintf(values->run, sizeof(values->run), "%" PRId64, start->run);
	snprintf(values->system_identifier, sizeof(values->system_identifier),
			 "%" PRId64, start->system_identifier);
	snprintf(values->timeline, sizeof(values->timeline), "%d",
			 (int) start->timeline);
	snprintf(values->position, sizeof(values->position), "%X/%X",
			 (unsigned) (facts->position >> 32), (unsigned) facts->position);
	render_resolved(values, facts);
	values->facts = render_facts(facts);
	values->values[0] = values->run;
	values->values[1] = values->system_identifier;
	values->values[2] = values->timeline;
	values->values[3] = facts->position > 0 ? values->position : NULL;
	values->values[4] = values->generations;
	values->values[5] = values->resolved;
	values->values[6] = values->facts;
}

void
settle_values_reset(SettleValues *values)
{
	mem_free(values->resolved);
	mem_free(values->facts);
}
