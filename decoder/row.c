/*
 * decoder/row.c
 *
 * From a heap tuple of outbox.message to a WireMessage, without output
 * functions: strings are passed as they are stored.  A row that a reader of
 * the protocol would refuse is recognised here, so that it cannot end the
 * stream.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define SHARD_MAX 1023

/* A tuple taken apart. */
typedef struct Row
{
	const int16 *columns;
	Datum *values;
	bool *nulls;
} Row;

static void
row_deform(Row *row, const Table *table, Relation relation, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(relation);

	row->columns = table->columns;
	row->values = palloc(desc->natts * sizeof(Datum));
	row->nulls = palloc(desc->natts * sizeof(bool));
	heap_deform_tuple(tuple, desc, row->values, row->nulls);
}

static bool
row_null(const Row *row, Column column)
{
	return row->nulls[row->columns[column]];
}

static Datum
row_value(const Row *row, Column column)
{
	return row->values[row->columns[column]];
}

/*
 * A TOAST pointer is left only when its chunks were not in the WAL of this
 * transaction; the TOAST table of that time cannot be relied on.
 */
static bool
is_absent(Datum value)
{
	return VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

static const char *
read_string(const Row *row, Column column, WireBytes *string)
{
	Datum value = row_value(row, column);
	struct varlena *bytes;

	string->data = NULL;
	string->len = 0;
	if (row_null(row, column))
		return NULL;
	if (is_absent(value))
		return "part of it is missing in the WAL";
	if (VARATT_IS_EXTENDED(DatumGetPointer(value)) &&
		toast_raw_datum_size(value) > WIRE_FRAME_MAX + VARHDRSZ)
		return "a column is longer than a frame";
	bytes = PG_DETOAST_DATUM_PACKED(value);
	string->data = (const uint8 *) VARDATA_ANY(bytes);
	string->len = VARSIZE_ANY_EXHDR(bytes);
	return NULL;
}

static const char *
read_strings(const Row *row, WireMessage *message)
{
	WireBytes *strings[] = {&message->type,        &message->biz_key,
							&message->topic,       &message->tag,
							&message->message_key, &message->sharding_key,
							&message->content_type};
	const char *why;

	for (int i = 0; i < lengthof(strings); i++)
		if ((why = read_string(row, COLUMN_TYPE + i, strings[i])) != NULL)
			return why;
	if (message->type.data == NULL || message->content_type.data == NULL)
		return "a column is null that must not be";
	return NULL;
}

static const char *
read_routes(const Row *row, WireMessage *message)
{
	Datum value = row_value(row, COLUMN_ROUTES);
	ArrayType *array;
	int n;

	message->nroutes = 0;
	if (row_null(row, COLUMN_ROUTES) || is_absent(value))
		return "its routes are null or missing";
	if (toast_raw_datum_size(value) > WIRE_FRAME_MAX)
		return "it has too many routes";
	array = DatumGetArrayTypeP(value);
	n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array) ||
		ARR_ELEMTYPE(array) != INT2OID)
		return "its routes are not a plain array";
	if (n > WIRE_ROUTES_MAX)
		return "it has too many routes";
	memcpy(message->routes, ARR_DATA_PTR(array), n * sizeof(int16));
	message->nroutes = (uint16_t) n;
	return NULL;
}

static bool
read_header_value(const JsonbValue *json, WireBytes *value)
{
	const char *word;

	switch (json->type)
	{
		case jbvString:
			value->data = (const uint8 *) json->val.string.val;
			value->len = json->val.string.len;
			return true;
		case jbvBool:
			word = json->val.boolean ? "true" : "false";
			break;
		case jbvNumeric:
			word = DatumGetCString(DirectFunctionCall1(
				numeric_out, NumericGetDatum(json->val.numeric)));
			break;
		default:
			return false;
	}
	value->data = (const uint8 *) word;
	value->len = strlen(word);
	return true;
}

/* The pairs of an object, in the order in which jsonb keeps them. */
static const char *
read_pairs(JsonbContainer *root, WireMessage *message)
{
	JsonbIterator *iterator = JsonbIteratorInit(root);
	JsonbIteratorToken token;
	JsonbValue json;

	while ((token = JsonbIteratorNext(&iterator, &json, true)) != WJB_DONE)
	{
		WireHeader *header = &message->headers[message->nheaders];

		if (token == WJB_KEY)
		{
			header->name.data = (const uint8 *) json.val.string.val;
			header->name.len = json.val.string.len;
		}
		else if (token == WJB_VALUE)
		{
			if (!read_header_value(&json, &header->value))
				return "a header is neither string, number nor boolean";
			message->nheaders++;
		}
	}
	return NULL;
}

static const char *
read_headers(const Row *row, WireMessage *message)
{
	Datum value = row_value(row, COLUMN_HEADERS);
	JsonbContainer *root;

	message->nheaders = 0;
	if (row_null(row, COLUMN_HEADERS))
		return NULL;
	if (is_absent(value))
		return "part of it is missing in the WAL";
	if (toast_raw_datum_size(value) > 2 * WIRE_FRAME_MAX)
		return "its headers are longer than a frame";
	root = &DatumGetJsonbP(value)->root;
	if (!JsonContainerIsObject(root))
		return "its headers are not an object";
	if (JsonContainerSize(root) > WIRE_HEADERS_MAX)
		return "it has too many headers";
	return read_pairs(root, message);
}

/* Looks at the length first: what is not sent need not be decompressed. */
static const char *
read_payload(const Row *row, WireMessage *message)
{
	Datum value = row_value(row, COLUMN_PAYLOAD);

	message->payload.data = NULL;
	message->payload.len = 0;
	if (row_null(row, COLUMN_PAYLOAD))
		return "its payload is null";
	message->payload_omitted =
		is_absent(value) ||
		toast_raw_datum_size(value) > WIRE_PAYLOAD_MAX + VARHDRSZ;
	if (message->payload_omitted)
		return NULL;
	return read_string(row, COLUMN_PAYLOAD, &message->payload);
}

static const char *
read_create_time(const Row *row, WireMessage *message)
{
	const int64 epochs =
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	TimestampTz time;

	if (row_null(row, COLUMN_CREATE_TIME))
		return "its create_time is null";
	time = DatumGetTimestampTz(row_value(row, COLUMN_CREATE_TIME));
	if (TIMESTAMP_NOT_FINITE(time))
		return "its create_time is infinite";
	message->create_time = time + epochs;
	return NULL;
}

static const char *
read_head(const Row *row, WireMessage *message)
{
	message->id = 0;
	if (row_null(row, COLUMN_ID))
		return "its id is null";
	message->id = DatumGetInt64(row_value(row, COLUMN_ID));
	if (row_null(row, COLUMN_GENERATION))
		return "its generation is null";
	message->generation = DatumGetInt16(row_value(row, COLUMN_GENERATION));
	return read_routes(row, message);
}

static const char *
read_shard(const Row *row, WireMessage *message)
{
	if (row_null(row, COLUMN_SHARD_ID))
		return "its shard_id is null";
	message->shard_id = DatumGetInt16(row_value(row, COLUMN_SHARD_ID));
	if (message->shard_id < 0 || message->shard_id > SHARD_MAX)
		return "its shard_id is out of range";
	return NULL;
}

/* A payload that does not fit is left out; nothing else can be. */
static const char *
fit_frame(WireMessage *message)
{
	const size_t room = WIRE_FRAME_MAX - wire_frame_size(WIRE_TRANSACTION);

	if (wire_message_size(message) > room)
		message->payload_omitted = true;
	if (wire_message_size(message) > room)
		return "its columns together are longer than a frame";
	return NULL;
}

const char *
row_read_head(Decoder *decoder, const Table *table, Relation relation,
			  HeapTuple tuple)
{
	Row row;

	row_deform(&row, table, relation, tuple);
	return read_head(&row, &decoder->message);
}

const char *
row_read(Decoder *decoder, const Table *table, Relation relation,
		 HeapTuple tuple)
{
	WireMessage *message = &decoder->message;
	Row row;
	const char *why;

	row_deform(&row, table, relation, tuple);
	if ((why = read_head(&row, message)) != NULL ||
		(why = read_shard(&row, message)) != NULL ||
		(why = read_create_time(&row, message)) != NULL ||
		(why = read_strings(&row, message)) != NULL ||
		(why = read_headers(&row, message)) != NULL ||
		(why = read_payload(&row, message)) != NULL)
		return why;
	return fit_frame(message);
}
