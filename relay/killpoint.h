/*
 * relay/killpoint.h
 *
 * Named places between "frame read" and "position confirmed" at which a test
 * build ends itself by SIGKILL.  OUTBOX_KILL_AT=name or name:n (the n-th time)
 * chooses one.  Nothing in other builds.  The names are rows of the crash
 * matrix in test/t.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_KILLPOINT_H
#define OUTBOX_KILLPOINT_H

#ifdef OUTBOX_KILL_POINTS
extern void kill_point(const char *name);
#else
#define kill_point(name) ((void) 0)
#endif

#endif /* OUTBOX_KILLPOINT_H */
