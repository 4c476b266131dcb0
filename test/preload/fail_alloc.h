/*
 * test/preload/fail_alloc.h
 *
 * An allocation that finds no memory, for a program that has fail_alloc.c
 * linked into it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_FAIL_ALLOC_H
#define OUTBOX_FAIL_ALLOC_H

#include <stdbool.h>

/* fail_alloc: the number-th one from now on, and all after it; 0: none. */
extern void fail_alloc(long number, bool and_after);
/* fail_alloc_came: whether there were as many. */
extern bool fail_alloc_came(void);

#endif /* OUTBOX_FAIL_ALLOC_H */
