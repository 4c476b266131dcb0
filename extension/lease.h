/*
 * extension/lease.h
 *
 * The two locks of the relay, and what tells this database from a copy.
 * Their tag cannot be built by any SQL advisory function, so no other role
 * can hold them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_LEASE_H
#define OUTBOX_LEASE_H

/*
 * fence_share holds the fence until the transaction ends, beside other
 * settles; it waits while a start has it exclusively.
 */
extern void fence_share(void);

#endif /* OUTBOX_LEASE_H */
