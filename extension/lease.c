/*
 * extension/lease.c
 *
 * Lease and fence: the lease says which session may deliver, the fence keeps
 * a settle of an older run from committing after a newer one has begun.  The
 * rules of who may take over stand in sql/relay.sql; here are only the locks
 * and the facts about this server that SQL cannot reach.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/xid8.h"

#include "id.h"
#include "lease.h"

/* "outb"; field 4 is 1 or 2 for all that SQL can lock. */
#define OUTBOX_LOCK_CLASS 0x6f757462
#define OUTBOX_LOCK_SPACE 3

typedef enum OutboxLock
{
	OUTBOX_LOCK_LEASE = 1,
	OUTBOX_LOCK_FENCE = 2
} OutboxLock;

PG_FUNCTION_INFO_V1(outbox_lease);
PG_FUNCTION_INFO_V1(outbox_lease_held);
PG_FUNCTION_INFO_V1(outbox_fence_exclusive);
PG_FUNCTION_INFO_V1(outbox_system_identifier);
PG_FUNCTION_INFO_V1(outbox_timeline);
PG_FUNCTION_INFO_V1(outbox_next_xid);
PG_FUNCTION_INFO_V1(outbox_register);

static LOCKTAG
lock_tag(OutboxLock lock)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, OUTBOX_LOCK_CLASS, lock,
						 OUTBOX_LOCK_SPACE);
	return tag;
}

static bool
lease_held(void)
{
	LOCKTAG tag = lock_tag(OUTBOX_LOCK_LEASE);

#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(&tag, ExclusiveLock, false);
#else
	return LockHeldByMe(&tag, ExclusiveLock);
#endif
}

void
fence_share(void)
{
	LOCKTAG tag = lock_tag(OUTBOX_LOCK_FENCE);

	(void) LockAcquire(&tag, ShareLock, false, false);
}

/*
 * outbox_lease(instance text) returns boolean
 *
 * A session that holds it already must not count it twice: nobody would
 * release it twice.
 */
Datum
outbox_lease(PG_FUNCTION_ARGS)
{
	LOCKTAG tag = lock_tag(OUTBOX_LOCK_LEASE);

	PreventCommandDuringRecovery("outbox_lease()");
	if (lease_held())
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(LockAcquire(&tag, ExclusiveLock, true, true) !=
				   LOCKACQUIRE_NOT_AVAIL);
}

/* outbox.lease_held() returns boolean */
Datum
outbox_lease_held(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lease_held());
}

/* outbox.fence_exclusive() returns void */
Datum
outbox_fence_exclusive(PG_FUNCTION_ARGS)
{
	LOCKTAG tag = lock_tag(OUTBOX_LOCK_FENCE);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	PG_RETURN_VOID();
}

/* outbox.system_identifier() returns bigint */
Datum
outbox_system_identifier(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) GetSystemIdentifier());
}

/* outbox.timeline() returns integer: the one that is written to */
Datum
outbox_timeline(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("outbox.timeline()");
	PG_RETURN_INT32((int32) GetWALInsertionTimeLine());
}

/*
 * outbox_next_xid() returns xid8
 *
 * Above every xid that has been given out.  A snapshot's xmax would not do:
 * that is one past the last xid that has *ended*, and open transactions may
 * have later ones.
 */
Datum
outbox_next_xid(PG_FUNCTION_ARGS)
{
	PG_RETURN_FULLTRANSACTIONID(ReadNextFullTransactionId());
}

/* outbox.register() returns void */
Datum
outbox_register(PG_FUNCTION_ARGS)
{
	id_register();
	PG_RETURN_VOID();
}
