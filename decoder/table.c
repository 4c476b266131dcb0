/*
 * decoder/table.c
 *
 * Which tables mean something.  A table is looked at once, by the catalog as
 * it was when the row was written, and remembered by OID until the server
 * says that it, or a schema, has changed.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "decoder.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * Invalidation callbacks cannot be taken back, so the cache is found through
 * this pointer, NULL while nothing is decoded.
 */
static HTAB *tables = NULL;

/* How often the callbacks were called, whatever for. */
static uint64 invalidations = 0;

static const struct
{
	const char *name;
	Oid type;
} message_columns[NCOLUMNS] = {
	[COLUMN_ID] = {"id", INT8OID},
	[COLUMN_GENERATION] = {"generation", INT2OID},
	[COLUMN_SHARD_ID] = {"shard_id", INT2OID},
	[COLUMN_CREATE_TIME] = {"create_time", TIMESTAMPTZOID},
	[COLUMN_ROUTES] = {"routes", INT2ARRAYOID},
	[COLUMN_TYPE] = {"type", TEXTOID},
	[COLUMN_BIZ_KEY] = {"biz_key", TEXTOID},
	[COLUMN_TOPIC] = {"topic", TEXTOID},
	[COLUMN_TAG] = {"tag", TEXTOID},
	[COLUMN_MESSAGE_KEY] = {"message_key", TEXTOID},
	[COLUMN_SHARDING_KEY] = {"sharding_key", TEXTOID},
	[COLUMN_CONTENT_TYPE] = {"content_type", TEXTOID},
	[COLUMN_HEADERS] = {"headers", JSONBOID},
	[COLUMN_PAYLOAD] = {"payload", BYTEAOID},
};

static void
forget_all(void)
{
	HASH_SEQ_STATUS status;
	Table *table;

	hash_seq_init(&status, tables);
	while ((table = hash_seq_search(&status)) != NULL)
		table->valid = false;
}

static void
relation_changed(Datum arg, Oid relid)
{
	Table *table;

	invalidations++;
	if (tables == NULL)
		return;
	if (!OidIsValid(relid))
	{
		forget_all();
		return;
	}
	table = hash_search(tables, &relid, HASH_FIND, NULL);
	if (table != NULL)
		table->valid = false;
}

static void
schema_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidations++;
	if (tables != NULL)
		forget_all();
}

static void
context_reset(void *arg)
{
	if (tables == arg)
		tables = NULL;
}

void
table_start(MemoryContext context)
{
	static bool registered = false;
	MemoryContextCallback *callback;
	HASHCTL control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Table);
	control.hcxt = context;
	tables = hash_create("outbox_decoder tables", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* also when decoding ends by an error */
	callback = MemoryContextAllocZero(context, sizeof(*callback));
	callback->func = context_reset;
	callback->arg = tables;
	MemoryContextRegisterResetCallback(context, callback);

	if (registered)
		return;
	registered = true;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

static bool
is_our_schema(const Decoder *decoder, Oid schema)
{
	char *name;

	if (decoder->options.schema_oid != 0)
		return schema == decoder->options.schema_oid;
	name = get_namespace_name(schema);
	return name != NULL && strcmp(name, "outbox") == 0;
}

static int16
find_column(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && attribute->atttypid == type &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return (int16) i;
	}
	return -1;
}

static TableUse
find_columns(Table *table, Relation relation)
{
	for (int i = 0; i < NCOLUMNS; i++)
	{
		table->columns[i] =
			find_column(RelationGetDescr(relation), message_columns[i].name,
						message_columns[i].type);
		if (table->columns[i] >= 0)
			continue;
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("messages in table \"%s\" are not sent: it has no "
						"column \"%s\" of type %u",
						RelationGetRelationName(relation),
						message_columns[i].name, message_columns[i].type)));
		return TABLE_OTHER;
	}
	return TABLE_MESSAGE;
}

static TableUse
classify(const Decoder *decoder, Table *table, Relation relation)
{
	const char *name = RelationGetRelationName(relation);

	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		!is_our_schema(decoder, RelationGetNamespace(relation)))
		return TABLE_OTHER;
	if (strcmp(name, "route") == 0)
		return TABLE_ROUTE;
	if (strcmp(name, "parked") == 0)
		return TABLE_PARKED;
	/* enqueue never writes here: a row is one that was sent from its leaf */
	if (strcmp(name, "message_held") == 0)
		return TABLE_OTHER;
	if (relation->rd_rel->relispartition && strncmp(name, "message_", 8) == 0)
		return find_columns(table, relation);
	return TABLE_OTHER;
}

const Table *
table_get(const Decoder *decoder, Relation relation)
{
	Oid relid = RelationGetRelid(relation);
	uint64 before;
	bool found;
	Table *table = hash_search(tables, &relid, HASH_ENTER, &found);

	if (found && table->valid)
		return table;

	/*
	 * The look-up may end by an error from which decoding recovers, when the
	 * transaction turns out to be rolled back, and what it read may change
	 * meanwhile: in both cases the next row looks again.
	 */
	table->valid = false;
	before = invalidations;
	table->use = classify(decoder, table, relation);
	table->valid = before == invalidations;
	return table;
}
