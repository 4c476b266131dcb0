/*
 * relay/settle.h
 *
 * From the facts of the core to the parameters of outbox_settle(), as
 * doc/interface.md says.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SETTLE_H
#define OUTBOX_SETTLE_H

#include "core/facts.h"
#include "rows.h"

#define SETTLE_VALUES 7

typedef struct SettleValues
{
	const char *values[SETTLE_VALUES]; /* for db_query */
	char run[24];
	char system_identifier[24];
	char timeline[16];
	char position[24];
	char generations[32];
	char *resolved;
	char *facts;
} SettleValues;

/* settle_values: facts NULL says nothing but that the relay lives. */
extern void settle_values(SettleValues *values, const StartRow *start,
						  const Facts *facts);
extern void settle_values_reset(SettleValues *values);

#endif /* OUTBOX_SETTLE_H */
