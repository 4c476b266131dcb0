/*
 * extension/route_load.h
 *
 * Reads what a RouteCache holds.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ROUTE_LOAD_H
#define OUTBOX_ROUTE_LOAD_H

#include "route_cache.h"

/*
 * route_load makes a RouteCache in the context, from the tables as the latest
 * snapshot and this transaction's own changes show them.  It sets all but
 * context and stamp.
 */
extern RouteCache *route_load(MemoryContext context);

#endif /* OUTBOX_ROUTE_LOAD_H */
