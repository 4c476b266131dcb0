/*
 * relay/outlets.h
 *
 * The open sinks of a session, one for each route that is known and not
 * dropped.  Hands answers from sinks to the core.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_OUTLETS_H
#define OUTBOX_OUTLETS_H

#include "core/engine.h"
#include "loop.h"
#include "sink.h"

typedef struct Outlet Outlet;

typedef struct Outlets
{
	Loop *loop;
	const Config *config;
	Engine *engine;
	Outlet *first;
} Outlets;

/* outlets_tell: a route as it is now; opens, keeps or closes its sink. */
extern void outlets_tell(Outlets *outlets, const RouteSpec *spec);
extern bool outlets_submit(Outlets *outlets, const Route *route,
						   Delivery *delivery);
/* outlets_turn: opens anew what has come to rest; once each turn. */
extern void outlets_turn(Outlets *outlets);
/* outlets_close: all of them; deliveries under way get no answer. */
extern void outlets_close(Outlets *outlets);

#endif /* OUTBOX_OUTLETS_H */
