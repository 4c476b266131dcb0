/*
 * relay/db.h
 *
 * One connection to the database, in pipeline mode on the event loop.  It
 * never blocks and never decides: it says that the connection stands, gives
 * each query its result, and says once that the connection is lost.  Whether
 * to try again is the caller's.
 *
 * Nothing is called from inside a db_* call.  db_close may be called from
 * any of the calls.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_DB_H
#define OUTBOX_DB_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "loop.h"
#include "loss.h"

/* Form of the rows of a result. */
#define DB_TEXT 0
#define DB_BINARY 1

typedef struct Db Db;

typedef struct DbCaller
{
	void *arg;
	void (*connected)(void *arg);
	/* Once, unless db_close comes first.  What was queued gets no call. */
	void (*lost)(void *arg, const Loss *loss);
} DbCaller;

/*
 * DbCall: the result of one query, valid during the call.  Its status is
 * PGRES_TUPLES_OK, PGRES_COMMAND_OK or PGRES_FATAL_ERROR with the SQLSTATE in
 * PG_DIAG_SQLSTATE.  A COMMIT that ended a failed transaction is no error: its
 * PQcmdStatus is ROLLBACK.
 */
typedef void (*DbCall)(void *arg, const PGresult *result);

/* db_open: starts to connect; any fault is a loss. */
extern Db *db_open(Loop *loop, const char *conninfo, DbCaller caller);

/* db_close: what is queued gets no call.  NULL is allowed. */
extern void db_close(Db *db);

/*
 * db_query: queues one statement; only after connected.  Results come in the
 * order of the queries.  Each query has a Sync of its own: an error in one
 * does not touch the next, and each is its own transaction unless it stands
 * between a BEGIN and its end.  sql is a constant string: each distinct one
 * is prepared once a connection.  values are text, a NULL is SQL NULL, and
 * need not outlive the call.  call may be NULL.  After a loss nothing happens.
 */
extern void db_query(Db *db, const char *sql, int nvalues,
					 const char *const *values, int result_form, DbCall call,
					 void *arg);

/* db_pending: queries that have no result yet. */
extern int db_pending(const Db *db);

/* db_silent_ms: for how long a query has been waiting without any answer. */
extern int64_t db_silent_ms(const Db *db);

/* db_backend_pid, db_server_version (as 150020): 0 unless connected. */
extern int db_backend_pid(const Db *db);
extern int db_server_version(const Db *db);

#endif /* OUTBOX_DB_H */
