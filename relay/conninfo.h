/*
 * relay/conninfo.h
 *
 * Whether libpq can read a connection string, and if not, why: in words that
 * name a keyword at most, never a value, because any may be a password.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CONNINFO_H
#define OUTBOX_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

/* conninfo_check: false with what is wrong in err.  Connects to nothing. */
extern bool conninfo_check(const char *conninfo, char *err, size_t err_size);

#endif /* OUTBOX_CONNINFO_H */
