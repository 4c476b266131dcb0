/*
 * extension/dedup.c
 *
 * Writes and reads outbox.dedup, see dedup.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "dedup.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static const char claim_query[] =
	"INSERT INTO outbox.dedup (type, biz_key, id, create_time)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT (type, biz_key) DO NOTHING";

static const char first_query[] =
	"SELECT id FROM outbox.dedup WHERE type OPERATOR(pg_catalog.=) $1"
	" AND biz_key OPERATOR(pg_catalog.=) $2";

/* Kept for the session; the server makes them anew when the table changes. */
static SPIPlanPtr claim_plan = NULL;
static SPIPlanPtr first_plan = NULL;

static SPIPlanPtr
dedup_plan(SPIPlanPtr *plan, const char *query, int nargs)
{
	Oid types[] = {TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID};

	if (*plan == NULL)
	{
		SPIPlanPtr fresh = SPI_prepare(query, nargs, types);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare \"%s\"", query);
		*plan = fresh;
	}
	return *plan;
}

static bool
dedup_insert(const Message *message)
{
	Datum values[] = {
		PointerGetDatum(message->fields[MESSAGE_TYPE]),
		PointerGetDatum(message->fields[MESSAGE_BIZ_KEY]),
		Int64GetDatum(message->id),
		TimestampTzGetDatum(message->create_time),
	};

	if (SPI_execute_plan(dedup_plan(&claim_plan, claim_query, 4), values, NULL,
						 false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into outbox.dedup");
	return SPI_processed > 0;
}

/* False when the row has gone in the meantime. */
static bool
dedup_first(Message *message)
{
	Datum values[] = {
		PointerGetDatum(message->fields[MESSAGE_TYPE]),
		PointerGetDatum(message->fields[MESSAGE_BIZ_KEY]),
	};
	bool null;

	if (SPI_execute_plan(dedup_plan(&first_plan, first_query, 2), values, NULL,
						 false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read outbox.dedup");
	if (SPI_processed == 0)
		return false;
	message->id = DatumGetInt64(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	return true;
}

static void
dedup_taken(const Message *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("a message with this type and biz_key exists already"),
			 errdetail("Type \"%s\", biz_key \"%s\".",
					   text_to_cstring(message->fields[MESSAGE_TYPE]),
					   text_to_cstring(message->fields[MESSAGE_BIZ_KEY])),
			 errhint("To get the first one's id instead, pass "
					 "on_duplicate => 'ignore'."),
			 errhidestmt(true)));
}

/* The server's own message for this case has no hint. */
static void
dedup_error_hint(void *arg)
{
	if (geterrcode() == ERRCODE_T_R_SERIALIZATION_FAILURE)
		errhint("Another transaction enqueued this type and biz_key. Retry "
				"the transaction.");
}

/* Both gone at once means that clean-up came between: try again. */
static bool
dedup_try(Message *message, OnDuplicate on_duplicate)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (dedup_insert(message))
			return true;
		if (on_duplicate == DUPLICATE_ERROR)
			dedup_taken(message);
		if (dedup_first(message))
			return false;
	}
}

bool
dedup_claim(Message *message, OnDuplicate on_duplicate)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dedup_error_hint,
	};
	bool claimed;
	Owner owner;

	owner_enter(&owner, route_cache_get()->dedup);
	error_context_stack = &callback;
	claimed = dedup_try(message, on_duplicate);
	error_context_stack = callback.previous;
	owner_leave(&owner);
	return claimed;
}
