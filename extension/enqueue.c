/*
 * extension/enqueue.c
 *
 * outbox_enqueue() and outbox_enqueue_bytes(), and what enqueue_many.c shares
 * with them.  The caller needs EXECUTE on the function and nothing on the
 * tables: leaves are written here in C, dedup as the owner of its table.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "enqueue.h"
#include "dedup.h"
#include "id.h"
#include "route_match.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "utils/builtins.h"
#include "utils/datum.h"

PG_FUNCTION_INFO_V1(outbox_enqueue);
PG_FUNCTION_INFO_V1(outbox_enqueue_bytes);

static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

void
enqueue_hide(Enqueue *enqueue)
{
	enqueue->callback.previous = error_context_stack;
	enqueue->callback.callback = hide_statement;
	enqueue->callback.arg = NULL;
	error_context_stack = &enqueue->callback;
}

/* The decoder leaves out what is written then. */
static void
refuse_in_settle(const char *name)
{
	if (replorigin_session_origin == DoNotReplicateId)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot execute %s within a write of the relay", name),
				 errdetail("The message would not be delivered."),
				 errhint("Remove the trigger on a table of schema outbox "
						 "that enqueues.")));
}

void
enqueue_begin(Enqueue *enqueue, const char *name)
{
	PreventCommandDuringRecovery(name);
	PreventCommandIfReadOnly(name);
	PreventCommandIfParallelMode(name);
	refuse_in_settle(name);
	enqueue->stamp = 0;
	enqueue->context = CurrentMemoryContext;
	leaves_open(&enqueue->leaves);
}

void
enqueue_end(Enqueue *enqueue)
{
	leaves_close(&enqueue->leaves);
	error_context_stack = enqueue->callback.previous;
}

/* They are looked up once a call unless they change during it. */
static Datum
enqueue_routes(Enqueue *enqueue, const Message *message)
{
	const RouteCache *cache = route_cache_get();
	MemoryContext old;

	if (enqueue->stamp == cache->stamp)
		return enqueue->routes;
	old = MemoryContextSwitchTo(enqueue->context);
	enqueue->routes = route_match(cache, message->fields[MESSAGE_TYPE],
								  message->fields[MESSAGE_TAG]);
	enqueue->stamp = cache->stamp;
	MemoryContextSwitchTo(old);
	return enqueue->routes;
}

int64
enqueue_message(Enqueue *enqueue, Message *message)
{
	check_payload(message->payload, route_cache_get()->max_payload);
	message->create_time = GetCurrentTransactionStartTimestamp();
	message->id = id_next();
	if (message->fields[MESSAGE_BIZ_KEY] != NULL)
	{
		if (!dedup_claim(message, enqueue->on_duplicate))
			return message->id;
		(void) route_cache_get(); /* that may have taken long */
	}
	message_place(message);
	leaves_lock(&enqueue->leaves, message);
	message->routes = enqueue_routes(enqueue, message);
	leaves_insert(&enqueue->leaves, message);
	return message->id;
}

static text *
argument_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_TEXT_PP(number);
}

/*
 * Arguments from first on: biz_key, topic, tag, message_key, sharding_key,
 * headers, deliver_at, on_duplicate.
 */
static Datum
enqueue_call(FunctionCallInfo fcinfo, Enqueue *enqueue, const char *name,
			 Message *message, int first)
{
	int64 id;

	message->fields[MESSAGE_TYPE] = argument_text(fcinfo, 0);
	for (int i = MESSAGE_BIZ_KEY; i <= MESSAGE_SHARDING_KEY; i++)
		message->fields[i] = argument_text(fcinfo, first + i - MESSAGE_BIZ_KEY);
	check_undelayed(PG_ARGISNULL(first + 6));
	enqueue->on_duplicate =
		check_on_duplicate(argument_text(fcinfo, first + 7));
	message->headers = check_headers(
		PG_ARGISNULL(first + 5) ? NULL : PG_GETARG_JSONB_P(first + 5));
	enqueue_begin(enqueue, name);
	check_fields(message);
	id = enqueue_message(enqueue, message);
	enqueue_end(enqueue);
	return Int64GetDatum(id);
}

Datum
outbox_enqueue(PG_FUNCTION_ARGS)
{
	Message message = {0};
	Enqueue enqueue;

	enqueue_hide(&enqueue);
	if (!PG_ARGISNULL(1))
		message.payload = message_render(PG_GETARG_JSONB_P(1));
	message.fields[MESSAGE_CONTENT_TYPE] = cstring_to_text("application/json");
	return enqueue_call(fcinfo, &enqueue, "outbox_enqueue()", &message, 2);
}

Datum
outbox_enqueue_bytes(PG_FUNCTION_ARGS)
{
	Message message = {0};
	Enqueue enqueue;

	enqueue_hide(&enqueue);
	if (!PG_ARGISNULL(1))
		message.payload = PG_GETARG_BYTEA_PP(1);
	message.fields[MESSAGE_CONTENT_TYPE] = argument_text(fcinfo, 2);
	check_field(MESSAGE_CONTENT_TYPE, message.fields[MESSAGE_CONTENT_TYPE]);
	return enqueue_call(fcinfo, &enqueue, "outbox_enqueue_bytes()", &message,
						3);
}
