/*
 * extension/id.h
 *
 * The ids of messages: (base + timeline - 1) << 47 | sequence.  The timeline
 * keeps them unique over a promotion, which can lose values of the sequence;
 * the base, in outbox.cluster, over a restore or an upgrade, where timelines
 * start again.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ID_H
#define OUTBOX_ID_H

#include "route_cache.h"

#define ID_SEQUENCE_BITS 47
#define ID_PREFIX_MAX 65535

/*
 * id_next gives the next id.  It takes the transaction's xid before the
 * sequence moves: closing the gaps of ids relies on that order.  Call
 * route_cache_get before.
 */
extern int64 id_next(void);

/*
 * id_read_base reads the base of this system identifier, database and schema,
 * false when there is none yet.  Between owner_enter and owner_leave.
 */
extern bool id_read_base(int64 *base);

/*
 * id_register makes the row of outbox.cluster for this system identifier,
 * database and schema unless it is there: base above every id recorded here,
 * era above every other, armed when there is no other.  Where it has to, it
 * holds a lock against others who would until the transaction ends.
 */
extern void id_register(void);

#endif /* OUTBOX_ID_H */
