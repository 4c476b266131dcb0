/*
 * extension/outbox.c
 *
 * The module itself, and the helpers of outbox.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "message.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(outbox_shard);

static Oid
relation_owner(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;

	table_close(rel, AccessShareLock);
	return owner;
}

void
owner_enter(Owner *owner, Oid relid)
{
	Oid owner_id = relation_owner(relid);

	GetUserIdAndSecContext(&owner->caller, &owner->sec_context);
	SetUserIdAndSecContext(owner_id, owner->sec_context |
										 SECURITY_LOCAL_USERID_CHANGE |
										 SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
owner_leave(const Owner *owner)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	SetUserIdAndSecContext(owner->caller, owner->sec_context);
}

void
owner_read(const char *query, int nargs, Oid *argtypes, Datum *values)
{
	int rc;

	PushActiveSnapshot(GetLatestSnapshot());
	rc = SPI_execute_with_args(query, nargs, argtypes, values, NULL, true, 0);
	PopActiveSnapshot();
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "query failed: %s: %s", SPI_result_code_string(rc), query);
}

Oid
outbox_relid(const char *name)
{
	Oid schema = get_namespace_oid(OUTBOX_SCHEMA, true);
	Oid relid =
		OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s.%s\" does not exist", OUTBOX_SCHEMA, name),
			 errhint("Run CREATE EXTENSION outbox in this database.")));
	return relid;
}

Datum
outbox_shard(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(message_shard(PG_GETARG_TEXT_PP(0)));
}
