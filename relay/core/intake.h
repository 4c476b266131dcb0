/*
 * relay/core/intake.h
 *
 * What the stream brings: transactions whole, transactions in chunks, and
 * pours, which carry many ids to the tails a settle's worth at a time.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_INTAKE_H
#define OUTBOX_INTAKE_H

#include "core/engine.h"

/* intake_resolved: every route of the message has a place. */
extern void intake_resolved(Engine *engine, const Message *message);
/* intake_add_pour: takes the run over. */
extern void intake_add_pour(Engine *engine, IdRun run, bool stream,
							uint64_t ticket);
/* intake_pour: moves up to room ids to tails and facts. */
extern void intake_pour(Engine *engine, int64_t room);
/* intake_tell_deferred: all that was recovered is in this settle. */
extern void intake_tell_deferred(Engine *engine);
extern bool intake_wants_pause(const Engine *engine);
extern void intake_reset(Engine *engine);

/* ---- reconcile.c ---- */

/* reconcile_is_repeat: it was resolved before this start. */
extern bool reconcile_is_repeat(Engine *engine, int64_t id);
/*
 * reconcile_remaining: the routes that have no row for this message yet, of
 * the n given; how many.
 */
extern uint16_t reconcile_remaining(const Engine *engine, int64_t id,
									const int16_t *routes, uint16_t n,
									int16_t *remaining);
/* reconcile_passed: the stream has brought all up to lsn. */
extern void reconcile_passed(Engine *engine, uint64_t lsn);

#endif /* OUTBOX_INTAKE_H */
