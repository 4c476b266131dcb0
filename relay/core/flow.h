/*
 * relay/core/flow.h
 *
 * When the stream is not read for a while although nothing is wrong.
 *
 *	gate	a backlog that is nearly drained can end
 *			(doc/decisions/005-gate.md)
 *	held	a lane is full and its route keeps up: to wait for it is cheaper
 *			than to write the rest to the backlog and to read it from there
 *			(doc/decisions/011-held-stream.md)
 *
 * To the protocol both are a slow stream.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_FLOW_H
#define OUTBOX_FLOW_H

#include "core/engine.h"

/* A lane is full from a quarter of lane_max on, so that any frame still fits */
#define FLOW_FULL(lane_max) ((lane_max) / 4)
/* and until half of that has gone. */
#define FLOW_LOW(lane_max) (FLOW_FULL(lane_max) - FLOW_FULL(lane_max) / 2)
/* Another route with less than this to do would soon have nothing. */
#define FLOW_WORK(lane_max) (FLOW_FULL(lane_max) / 8 + 1)

/* In this time a route that keeps up delivers as much as is in its lane. */
#define FLOW_TURNOVER_MS 2000

/* flow_took: the lane has one more. */
extern void flow_took(Route *route);
/* flow_gate, flow_hold: decide anew, before and after the settle of a turn. */
extern void flow_gate(Engine *engine);
extern void flow_hold(Engine *engine);
/* flow_wants_pause: read no more of the stream for now. */
extern bool flow_wants_pause(const Engine *engine);
/* flow_next_ms: when there is something to do by itself; INT64_MAX. */
extern int64_t flow_next_ms(const Engine *engine);

#endif /* OUTBOX_FLOW_H */
