/*
 * relay/db.c
 *
 * Queries in pipeline mode.  Each is sent as (Parse when its statement is
 * new,) Bind, Execute, Sync, and its entry stays at the head of the queue
 * until the Sync has come back.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "db.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "connect.h"
#include "core/mem.h"
#include "log.h"

/* More distinct statements than this are sent unprepared. */
#define STATEMENTS_MAX 64

typedef enum StatementState
{
	STATEMENT_NEW,
	STATEMENT_PREPARING,
	STATEMENT_READY
} StatementState;

typedef struct Statement
{
	const char *sql;
	unsigned number; /* of its name on the server */
	StatementState state;
} Statement;

typedef struct Entry
{
	DbCall call;
	void *arg;
	Statement *statement;
	bool prepares;    /* the first result is that of the Parse */
	PGresult *result; /* the one to hand out at the Sync */
	struct Entry *next;
} Entry;

struct Db
{
	Loop *loop;
	DbCaller caller;
	Connect *connect;
	PGconn *conn;
	Watch *watch;
	Timer *lost_timer; /* reports a loss found inside a db_* call */
	Loss loss;
	bool connected;
	bool lost;
	bool busy; /* a call of ours is on the stack */
	bool closed;
	Entry *head;
	Entry *tail;
	int pending;
	int64_t heard_ms; /* of the server, or when it was asked after a rest */
	int nstatements;
	unsigned names; /* given out so far */
	Statement statements[STATEMENTS_MAX];
};

static Entry *
pop_entry(Db *db)
{
	Entry *entry = db->head;

	db->head = entry->next;
	if (db->head == NULL)
		db->tail = NULL;
	db->pending--;
	return entry;
}

static void
free_entry(Entry *entry)
{
	PQclear(entry->result);
	mem_free(entry);
}

/* let_go: of everything but the struct, which a call may still look at. */
static void
let_go(Db *db)
{
	watch_free(db->watch);
	db->watch = NULL;
	connect_stop(db->connect);
	db->connect = NULL;
	while (db->head != NULL)
		free_entry(pop_entry(db));
	PQfinish(db->conn);
	db->conn = NULL;
}

static void
free_db(Db *db)
{
	let_go(db);
	timer_free(db->lost_timer);
	mem_free(db);
}

/* leave: the end of everything that calls the caller. */
static void
leave(Db *db)
{
	db->busy = false;
	if (db->closed)
		free_db(db);
}

/* report_loss: from the loop only. */
static void
report_loss(Db *db)
{
	if (db->lost || db->closed)
		return;
	db->lost = true;
	db->loss.connected = db->connected;
	let_go(db);
	db->caller.lost(db->caller.arg, &db->loss);
}

static void
lost_later(void *arg)
{
	Db *db = arg;

	db->busy = true;
	report_loss(db);
	leave(db);
}

/* break_later: for faults found inside a db_* call. */
static void
break_later(Db *db)
{
	loss_note_conn(&db->loss, db->conn);
	timer_set(db->lost_timer, 0);
}

/* flush: what does not go out now waits for the socket. */
static bool
flush(Db *db)
{
	int left = PQflush(db->conn);

	if (left < 0)
		return false;
	watch_set(db->watch, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

static void
drop_statement(Entry *entry)
{
	if (entry->statement != NULL)
		entry->statement->state = STATEMENT_NEW;
}

/*
 * The plan of a prepared statement may be outdated by ALTER EXTENSION UPDATE
 * (0A000), and the statement gone by DISCARD ALL (26000): prepare it anew.
 */
static bool
statement_is_stale(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return sqlstate != NULL &&
		   (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0);
}

static void
keep_result(Entry *entry, PGresult *result)
{
	bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
	bool of_parse = entry->prepares;

	entry->prepares = false;
	if (of_parse && entry->statement != NULL)
		entry->statement->state = failed ? STATEMENT_NEW : STATEMENT_READY;
	else if (failed && statement_is_stale(result))
		drop_statement(entry);
	/* The first error counts; of what goes well, the result of Execute. */
	if ((of_parse && !failed) ||
		PQresultStatus(result) == PGRES_PIPELINE_ABORTED ||
		entry->result != NULL)
		PQclear(result);
	else
		entry->result = result;
}

static void
finish_entry(Db *db)
{
	Entry *entry = pop_entry(db);

	if (entry->call != NULL && entry->result != NULL)
		entry->call(entry->arg, entry->result);
	free_entry(entry);
}

/* take_result: false when it says that the session is over. */
static bool
take_result(Db *db, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	db->heard_ms = loop_now_ms(db->loop);
	if (loss_is_fatal(result))
	{
		loss_note_result(&db->loss, result);
		PQclear(result);
		return false;
	}
	if (status == PGRES_PIPELINE_SYNC)
	{
		PQclear(result);
		finish_entry(db);
	}
	else
		keep_result(db->head, result);
	return true;
}

/*
 * libpq forgets an answer, even a Sync, that it finds no memory for: those
 * after it would be taken for those of other queries.
 */
static bool
is_confused(const Db *db)
{
	return strstr(PQerrorMessage(db->conn), "out of memory") != NULL;
}

/* take_results: all that can be had without waiting. */
static bool
take_results(Db *db)
{
	int empty = 0;

	/* two empty ones in a row: libpq has nothing more, though not busy */
	while (!db->closed && db->head != NULL && empty < 2 &&
		   !PQisBusy(db->conn) && !is_confused(db))
	{
		PGresult *result = PQgetResult(db->conn);

		empty = result == NULL ? empty + 1 : 0;
		if (result != NULL && !take_result(db, result))
			return false;
	}
	/* libpq hands on the last words of the server only when it is idle */
	if (!db->closed && db->head == NULL && !PQisBusy(db->conn))
		PQclear(PQgetResult(db->conn));
	if (!db->closed && db->head == NULL)
		(void) PQisBusy(db->conn);
	return !db->loss.noted && (db->closed || !is_confused(db));
}

/* A read that failed may have left the server's last words in the buffer. */
static bool
receive(Db *db)
{
	bool readable = PQconsumeInput(db->conn) != 0;
	bool alive = take_results(db);

	if (db->closed || (readable && alive))
		return true;
	if (!db->loss.noted)
		loss_note_conn(&db->loss, db->conn);
	return false;
}

static void
socket_ready(void *arg, int fd, unsigned events)
{
	Db *db = arg;

	(void) fd;
	(void) events;
	db->busy = true;
	if (!receive(db))
		report_loss(db);
	else if (!db->closed && !flush(db))
	{
		loss_note_conn(&db->loss, db->conn);
		report_loss(db);
	}
	leave(db);
}

static void
take_notice(void *arg, const PGresult *result)
{
	Db *db = arg;
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (loss_is_fatal(result))
		loss_note_result(&db->loss, result);
	else if (message != NULL)
		log_debug("database_notice", "%s", message);
}

static void
connection_stands(Db *db, PGconn *conn)
{
	db->conn = conn;
	PQsetNoticeReceiver(conn, take_notice, db);
	db->watch =
		loop_watch(db->loop, PQsocket(conn), LOOP_READ, socket_ready, db);
	if (PQenterPipelineMode(conn) != 1)
	{
		loss_note_conn(&db->loss, conn);
		report_loss(db);
		return;
	}
	db->connected = true;
	db->caller.connected(db->caller.arg);
}

static void
connect_done(void *arg, PGconn *conn, const Loss *loss)
{
	Db *db = arg;

	db->busy = true;
	connect_stop(db->connect);
	db->connect = NULL;
	if (conn != NULL)
		connection_stands(db, conn);
	else
	{
		db->loss = *loss;
		report_loss(db);
	}
	leave(db);
}

Db *
db_open(Loop *loop, const char *conninfo, DbCaller caller)
{
	Db *db = mem_alloc(sizeof(*db));

	db->loop = loop;
	db->caller = caller;
	loss_init(&db->loss);
	db->lost_timer = loop_timer(loop, lost_later, db);
	db->connect = connect_start(loop, conninfo, false, connect_done, db);
	return db;
}

void
db_close(Db *db)
{
	if (db == NULL)
		return;
	db->closed = true;
	if (!db->busy)
		free_db(db);
}

/* find_statement: NULL when the table is full. */
static Statement *
find_statement(Db *db, const char *sql)
{
	Statement *statement;

	for (int i = 0; i < db->nstatements; i++)
	{
		statement = &db->statements[i];
		if (statement->sql == sql || strcmp(statement->sql, sql) == 0)
			return statement;
	}
	if (db->nstatements == STATEMENTS_MAX)
		return NULL;
	statement = &db->statements[db->nstatements++];
	statement->sql = sql;
	statement->state = STATEMENT_NEW;
	return statement;
}

static bool
send_prepare(Db *db, Statement *statement)
{
	char name[16];

	/* never a name used before: the old one may still be there */
	statement->number = ++db->names;
	statement->state = STATEMENT_PREPARING;
	snprintf(name, sizeof(name), "s%u", statement->number);
	return PQsendPrepare(db->conn, name, statement->sql, 0, NULL) == 1;
}

/* send_query: prepared when the server has it, or will when it gets there. */
static bool
send_query(Db *db, const char *sql, Entry *entry, int nvalues,
		   const char *const *values, int result_form)
{
	Statement *statement = entry->statement;
	char name[16];

	if (entry->prepares && !send_prepare(db, statement))
		return false;
	/* Another query prepares it, which may fail: then this one need not. */
	if (statement == NULL ||
		(statement->state == STATEMENT_PREPARING && !entry->prepares))
		return PQsendQueryParams(db->conn, sql, nvalues, NULL, values, NULL,
								 NULL, result_form) == 1;
	snprintf(name, sizeof(name), "s%u", statement->number);
	return PQsendQueryPrepared(db->conn, name, nvalues, values, NULL, NULL,
							   result_form) == 1;
}

static Entry *
push_entry(Db *db, const char *sql, DbCall call, void *arg)
{
	Entry *entry = mem_alloc(sizeof(*entry));

	entry->call = call;
	entry->arg = arg;
	entry->statement = find_statement(db, sql);
	entry->prepares =
		entry->statement != NULL && entry->statement->state == STATEMENT_NEW;
	if (db->pending == 0)
		db->heard_ms = loop_now_ms(db->loop);
	if (db->tail == NULL)
		db->head = entry;
	else
		db->tail->next = entry;
	db->tail = entry;
	db->pending++;
	return entry;
}

void
db_query(Db *db, const char *sql, int nvalues, const char *const *values,
		 int result_form, DbCall call, void *arg)
{
	Entry *entry;

	assert(db->connected);
	if (db->lost || db->closed || db->loss.noted)
		return;
	entry = push_entry(db, sql, call, arg);
	if (!send_query(db, sql, entry, nvalues, values, result_form) ||
		PQpipelineSync(db->conn) != 1 || !flush(db))
		break_later(db);
}

int
db_pending(const Db *db)
{
	return db->pending;
}

int64_t
db_silent_ms(const Db *db)
{
	return db->pending == 0 ? 0 : loop_now_ms(db->loop) - db->heard_ms;
}

int
db_backend_pid(const Db *db)
{
	return db->conn == NULL ? 0 : PQbackendPID(db->conn);
}

int
db_server_version(const Db *db)
{
	return db->conn == NULL ? 0 : PQserverVersion(db->conn);
}
