/*
 * relay/core/delivery.h
 *
 * What is handed to a sink.  Valid from submit until its done or the close.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DELIVERY_H
#define OUTBOX_DELIVERY_H

#include "wire.h"

typedef struct Delivery
{
	const WireMessage *message;
	int attempt; /* 1 for the first */
	void *owner; /* the caller's; the sink does not look */
} Delivery;

#endif /* OUTBOX_DELIVERY_H */
