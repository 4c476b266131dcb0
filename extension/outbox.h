/*
 * extension/outbox.h
 *
 * What the C files of the extension share: the fixed numbers of the data
 * model and the way to work on tables that the caller has no rights on.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "postgres.h"
#include "fmgr.h"

#define OUTBOX_SCHEMA "outbox"
#define OUTBOX_SHARDS 1024
#define OUTBOX_GENERATIONS 3
#define OUTBOX_LEAVES 8       /* of a generation; sql/tables.sql makes them */
#define OUTBOX_ROUTES_MAX 256 /* of one message; the wire's limit */

/* Who called, while we are the owner of our tables. */
typedef struct Owner
{
	Oid caller;
	int sec_context;
} Owner;

/*
 * owner_enter makes the owner of relation relid the current user and connects
 * to SPI; owner_leave undoes both.  After an error the abort of the
 * transaction or subtransaction does.
 */
extern void owner_enter(Owner *owner, Oid relid);
extern void owner_leave(const Owner *owner);

/*
 * owner_read runs a query, between enter and leave, with a snapshot taken now
 * whatever the isolation level is; the rows are in SPI_tuptable.  argtypes
 * and values may be NULL when nargs is 0.
 */
extern void owner_read(const char *query, int nargs, Oid *argtypes,
					   Datum *values);

/*
 * outbox_relid gives the OID of a relation of schema outbox; an error with a
 * hint when the extension is not there.
 */
extern Oid outbox_relid(const char *name);

#endif /* OUTBOX_H */
