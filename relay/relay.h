/*
 * relay/relay.h
 *
 * The process: one session after the other, signals, the HTTP listener.
 * Decides when to begin again and with which status to exit.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_RELAY_H
#define OUTBOX_RELAY_H

#include "config.h"

#define RELAY_EXIT_ASKED 0   /* by a signal */
#define RELAY_EXIT_RESTART 1 /* start me again */
#define RELAY_EXIT_CONFIG 2  /* only a person can help */

/*
 * relay_config: config_read, and what the libraries say: a conninfo that libpq
 * can read, properties that librdkafka takes, a ca_file that is there.
 */
extern Config *relay_config(const char *path, char *err, size_t err_size);

/* relay_run: until it ends; takes the configuration over. */
extern int relay_run(Config *config);

#endif /* OUTBOX_RELAY_H */
