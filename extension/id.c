/*
 * extension/id.c
 *
 * Gives ids, see id.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "id.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

/*
 * What one row of outbox.cluster is found by.  The schema's OID tells a
 * restore into the same database from what was there before.
 */
#define KEYS 3
static Oid key_types[KEYS] = {INT8OID, OIDOID, OIDOID};

/*
 * Every place that remembers ids, and the bases themselves: a place whose
 * messages are all gone by now is not taken again.
 */
static const char find_base[] =
	"SELECT pg_catalog.max(seen.prefix) FROM ("
	"SELECT pg_catalog.max(id) OPERATOR(pg_catalog.>>) 47"
	" FROM outbox.message"
	" UNION ALL SELECT pg_catalog.max(pg_catalog.upper(ids)"
	" OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.>>) 47"
	" FROM outbox.resolved"
	" UNION ALL SELECT pg_catalog.max(last_id) OPERATOR(pg_catalog.>>) 47"
	" FROM outbox.backlog"
	" UNION ALL SELECT pg_catalog.max(message_id) OPERATOR(pg_catalog.>>) 47"
	" FROM outbox.parked"
	" UNION ALL SELECT pg_catalog.max(id) OPERATOR(pg_catalog.>>) 47"
	" FROM outbox.dedup"
	" UNION ALL SELECT pg_catalog.max(base) FROM outbox.cluster"
	") AS seen (prefix)";

static const char insert_row[] =
	"INSERT INTO outbox.cluster"
	" (system_identifier, database_oid, schema_oid, base, era, armed)"
	" VALUES ($1, $2, $3, $4, $5, $6)";

static void
key_values(Datum *values)
{
	values[0] = Int64GetDatum((int64) GetSystemIdentifier());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	values[2] = ObjectIdGetDatum(get_namespace_oid(OUTBOX_SCHEMA, false));
}

/* The one value of the row just read; fallback when it is NULL or missing. */
static int64
one_value(int64 fallback)
{
	bool null;
	Datum value;

	if (SPI_processed == 0)
		return fallback;
	value =
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	return null ? fallback : DatumGetInt64(value);
}

bool
id_read_base(int64 *base)
{
	Datum values[KEYS];

	key_values(values);
	owner_read("SELECT base FROM outbox.cluster"
			   " WHERE system_identifier OPERATOR(pg_catalog.=) $1"
			   " AND database_oid OPERATOR(pg_catalog.=) $2"
			   " AND schema_oid OPERATOR(pg_catalog.=) $3",
			   KEYS, key_types, values);
	*base = one_value(0);
	return SPI_processed > 0;
}

static void
prefix_check(int64 prefix)
{
	if (prefix > ID_PREFIX_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
				 errmsg("cannot give message ids: base and timeline are out "
						"of range"),
				 errdetail("They come to %lld, the limit is %d.",
						   (long long) prefix, ID_PREFIX_MAX),
				 errhint("Make the extension anew, once all is delivered.")));
}

static void
insert_cluster(int64 base, int64 era)
{
	Oid types[] = {INT8OID, OIDOID, OIDOID, INT8OID, INT4OID, BOOLOID};
	Datum values[lengthof(types)];

	prefix_check(base);
	key_values(values);
	values[KEYS] = Int64GetDatum(base);
	values[KEYS + 1] = Int32GetDatum((int32) era);
	values[KEYS + 2] = BoolGetDatum(era == 1);
	if (SPI_execute_with_args(insert_row, lengthof(types), types, values, NULL,
							  false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into outbox.cluster");
}

static void
register_locked(void)
{
	int64 base;
	int64 era;

	if (id_read_base(&base))
		return;
	owner_read("SELECT pg_catalog.max(era)::bigint FROM outbox.cluster", 0,
			   NULL, NULL);
	era = one_value(0) + 1;
	owner_read(find_base, 0, NULL, NULL);
	insert_cluster(one_value(-1) + 1, era);
}

void
id_register(void)
{
	Oid cluster = outbox_relid("cluster");
	Owner owner;
	int64 base;

	owner_enter(&owner, cluster);
	if (!id_read_base(&base))
	{
		LockRelationOid(cluster, ShareRowExclusiveLock);
		register_locked();
	}
	owner_leave(&owner);
}

int64
id_next(void)
{
	const RouteCache *cache = route_cache_last();
	int64 prefix;

	(void) GetTopTransactionId();
	if (!cache->known)
	{
		id_register();
		cache = route_cache_get();
	}
	if (!cache->known)
		elog(ERROR, "outbox.cluster has no row for this database");
	prefix = cache->base + GetWALInsertionTimeLine() - 1;
	prefix_check(prefix);
	return prefix << ID_SEQUENCE_BITS |
		   nextval_internal(cache->message_id_seq, false);
}
