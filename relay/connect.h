/*
 * relay/connect.h
 *
 * Making a connection to the database on the event loop: the way there, up
 * to a PGconn that stands in non-blocking mode.  db.c and stream.c go on
 * from it.  Only the look-up of host names blocks, which is libpq's; give
 * hostaddr where that matters.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CONNECT_H
#define OUTBOX_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "loop.h"
#include "loss.h"

/*
 * From the start until the connection stands, all hosts of the conninfo
 * together.  tcp_user_timeout, 10 s unless the conninfo says other, is what
 * ends the attempt on one host that does not answer.
 */
#ifndef CONNECT_TIMEOUT_MS
#define CONNECT_TIMEOUT_MS 30000
#endif

typedef struct Connect Connect;

/*
 * ConnectCall: called once, from the loop.  conn is the callee's, or NULL
 * and loss says why.  The Connect is still to be stopped.
 */
typedef void (*ConnectCall)(void *arg, PGconn *conn, const Loss *loss);

/*
 * connect_start: with keepalives, time-outs and an application name as
 * defaults that the conninfo may change; for the replication protocol when
 * asked.  Any fault is reported by call, later.
 */
extern Connect *connect_start(Loop *loop, const char *conninfo,
							  bool replication, ConnectCall call, void *arg);

/* connect_stop: no call comes after it.  NULL is allowed. */
extern void connect_stop(Connect *connect);

#endif /* OUTBOX_CONNECT_H */
