/*
 * extension/message.c
 *
 * Where a message goes and how it becomes a row.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "message.h"
#include "murmur2.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

/* Columns of outbox.message, in the order of sql/tables.sql. */
enum
{
	COL_ID,
	COL_CREATE_TIME,
	COL_DELIVER_AT,
	COL_GENERATION,
	COL_SHARD_ID,
	COL_ROUTES,
	COL_FIELDS, /* type .. content_type, as in MessageField */
	COL_HEADERS = COL_FIELDS + MESSAGE_FIELDS,
	COL_PAYLOAD,
	COLUMNS
};

StaticAssertDecl(COLUMNS == MESSAGE_COLUMNS, "message.h counts other columns");

static int32
shard_of(const void *data, size_t len)
{
	return (murmur2(data, len) & 0x7fffffff) % OUTBOX_SHARDS;
}

int32
message_shard(const text *key)
{
	return shard_of(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
}

/* Of the bytes in network order, so that it is the same on any machine. */
static int32
shard_of_id(int64 id)
{
	unsigned char bytes[sizeof(id)];

	for (int i = 0; i < (int) sizeof(id); i++)
		bytes[i] = (unsigned char) (id >> (8 * (sizeof(id) - 1 - i)));
	return shard_of(bytes, sizeof(bytes));
}

void
message_place(Message *message)
{
	const text *key = message->fields[MESSAGE_SHARDING_KEY];

	if (key == NULL)
		key = message->fields[MESSAGE_KEY];
	if (key != NULL)
		message->shard_id = message_shard(key);
	else
		message->shard_id = shard_of_id(message->id);
}

/* The length word is reserved first, so that the text is written only once. */
bytea *
message_render(Jsonb *json)
{
	StringInfoData out;
	char *utf8;
	int len;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	JsonbToCString(&out, &json->root, VARSIZE(json));
	len = out.len - VARHDRSZ;
	utf8 = pg_server_to_any(out.data + VARHDRSZ, len, PG_UTF8);
	if (utf8 != out.data + VARHDRSZ)
	{
		resetStringInfo(&out);
		appendStringInfoSpaces(&out, VARHDRSZ);
		appendStringInfoString(&out, utf8);
	}
	SET_VARSIZE(out.data, out.len);
	return (bytea *) out.data;
}

void
message_check_columns(TupleDesc desc)
{
	if (desc->natts < COLUMNS)
		elog(ERROR, "outbox.message has %d columns instead of %d", desc->natts,
			 (int) COLUMNS);
	for (int i = COLUMNS; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && column->attgenerated == '\0')
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("outbox.message has a column \"%s\" that "
								   "is not of the extension",
								   NameStr(column->attname)),
							errhint("Drop the column. Only generated columns "
									"can be added.")));
	}
}

static bool
may_be_null(int column)
{
	return column == COL_DELIVER_AT || column == COL_HEADERS ||
		   (column > COL_FIELDS && column < COL_FIELDS + MESSAGE_CONTENT_TYPE);
}

bool
message_columns_plain(TupleDesc desc)
{
	if (desc->natts != COLUMNS)
		return false;
	for (int i = 0; i < COLUMNS; i++)
		if (TupleDescAttr(desc, i)->attnotnull && may_be_null(i))
			return false;
	return true;
}

void
message_form(const Message *message, TupleDesc desc, Datum *values, bool *nulls)
{
	memset(nulls, true, desc->natts * sizeof(bool));
	memset(nulls, false, COL_FIELDS * sizeof(bool));
	nulls[COL_DELIVER_AT] = true;
	values[COL_ID] = Int64GetDatum(message->id);
	values[COL_CREATE_TIME] = TimestampTzGetDatum(message->create_time);
	values[COL_GENERATION] = Int16GetDatum(message->generation);
	values[COL_SHARD_ID] = Int16GetDatum(message->shard_id);
	values[COL_ROUTES] = message->routes;
	for (int i = 0; i < MESSAGE_FIELDS; i++)
	{
		values[COL_FIELDS + i] = PointerGetDatum(message->fields[i]);
		nulls[COL_FIELDS + i] = message->fields[i] == NULL;
	}
	values[COL_HEADERS] = PointerGetDatum(message->headers);
	nulls[COL_HEADERS] = message->headers == NULL;
	values[COL_PAYLOAD] = PointerGetDatum(message->payload);
	nulls[COL_PAYLOAD] = false;
}
