/*
 * extension/enqueue_many.c
 *
 * outbox_enqueue_many(): many messages that differ in payload and keys, with
 * one executor state.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "enqueue.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(outbox_enqueue_many);

enum
{
	ARG_TYPE,
	ARG_PAYLOADS,
	ARG_MESSAGE_KEYS,
	ARG_TOPIC,
	ARG_TAG,
	ARG_SHARDING_KEY,
	ARG_HEADERS,
	ARG_DELIVER_AT,
	ARG_BIZ_KEYS,
	ARG_ON_DUPLICATE
};

/* An array argument; elements == NULL when it was NULL. */
typedef struct Elements
{
	Datum *elements;
	bool *nulls;
	int n;
} Elements;

static Elements
elements_get(FunctionCallInfo fcinfo, int number, Oid type)
{
	Elements result = {NULL, NULL, 0};

	if (!PG_ARGISNULL(number))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), type, -1, false,
						  TYPALIGN_INT, &result.elements, &result.nulls,
						  &result.n);
	return result;
}

static void
elements_check(const Elements *keys, int n, const char *name)
{
	if (keys->elements != NULL && keys->n != n)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("%s has %d elements, payloads has %d", name,
							   keys->n, n),
						errhint("Give one for each payload; NULL elements are "
								"allowed."),
						errhidestmt(true)));
}

static text *
elements_text(const Elements *keys, int i, MessageField field)
{
	text *value;

	if (keys->elements == NULL || keys->nulls[i])
		return NULL;
	value = DatumGetTextPP(keys->elements[i]);
	check_field(field, value);
	return value;
}

static text *
argument_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_TEXT_PP(number);
}

/* What all messages of the call have in common. */
static Message
common_message(FunctionCallInfo fcinfo)
{
	Message message = {0};

	message.fields[MESSAGE_TYPE] = argument_text(fcinfo, ARG_TYPE);
	message.fields[MESSAGE_TOPIC] = argument_text(fcinfo, ARG_TOPIC);
	message.fields[MESSAGE_TAG] = argument_text(fcinfo, ARG_TAG);
	message.fields[MESSAGE_SHARDING_KEY] =
		argument_text(fcinfo, ARG_SHARDING_KEY);
	message.fields[MESSAGE_CONTENT_TYPE] = cstring_to_text("application/json");
	check_undelayed(PG_ARGISNULL(ARG_DELIVER_AT));
	message.headers = check_headers(
		PG_ARGISNULL(ARG_HEADERS) ? NULL : PG_GETARG_JSONB_P(ARG_HEADERS));
	return message;
}

static void
payloads_check(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(ARG_PAYLOADS))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("payloads must not be null"),
				 errhint("An empty array is allowed. array_agg() over no rows "
						 "gives NULL: write coalesce(array_agg(...), '{}')."),
				 errhidestmt(true)));
}

/* The ids, in the order of the payloads. */
static Datum *
enqueue_elements(Enqueue *enqueue, Message *message, const Elements *payloads,
				 const Elements *keys, const Elements *biz_keys)
{
	Datum *ids = palloc(Max(payloads->n, 1) * sizeof(Datum));
	MemoryContext each = AllocSetContextCreate(
		CurrentMemoryContext, "outbox message", ALLOCSET_DEFAULT_SIZES);

	if (payloads->n > 0)
		check_fields(message);
	for (int i = 0; i < payloads->n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(each);

		CHECK_FOR_INTERRUPTS();
		message->fields[MESSAGE_KEY] = elements_text(keys, i, MESSAGE_KEY);
		message->fields[MESSAGE_BIZ_KEY] =
			elements_text(biz_keys, i, MESSAGE_BIZ_KEY);
		message->payload =
			payloads->nulls[i]
				? NULL
				: message_render(DatumGetJsonbP(payloads->elements[i]));
		ids[i] = Int64GetDatum(enqueue_message(enqueue, message));
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	return ids;
}

Datum
outbox_enqueue_many(PG_FUNCTION_ARGS)
{
	Message message;
	Elements payloads;
	Elements keys;
	Elements biz_keys;
	Enqueue enqueue;
	Datum *ids;

	enqueue_hide(&enqueue);
	message = common_message(fcinfo);
	keys = elements_get(fcinfo, ARG_MESSAGE_KEYS, TEXTOID);
	biz_keys = elements_get(fcinfo, ARG_BIZ_KEYS, TEXTOID);
	payloads_check(fcinfo);
	payloads = elements_get(fcinfo, ARG_PAYLOADS, JSONBOID);
	elements_check(&keys, payloads.n, "message_keys");
	elements_check(&biz_keys, payloads.n, "biz_keys");
	enqueue.on_duplicate =
		check_on_duplicate(argument_text(fcinfo, ARG_ON_DUPLICATE));
	enqueue_begin(&enqueue, "outbox_enqueue_many()");
	ids = enqueue_elements(&enqueue, &message, &payloads, &keys, &biz_keys);
	enqueue_end(&enqueue);
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, payloads.n, INT8OID,
										  sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
