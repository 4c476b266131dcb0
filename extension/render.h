/*
 * extension/render.h
 *
 * JSON payloads as bytes.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_RENDER_H
#define OUTBOX_RENDER_H

#include "postgres.h"
#include "utils/jsonb.h"

/*
 * render_json gives the bytes that are sent for a jsonb: in UTF-8, what the
 * server itself prints for it, character by character.
 */
extern bytea *render_json(Jsonb *json);

#endif /* OUTBOX_RENDER_H */
