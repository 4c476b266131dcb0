/*
 * test/shell/test_db.c
 *
 * relay/db.c against a real server: argv[1] is a conninfo of a cluster of
 * our own.  Built and started by run_db.sh.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "db.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db_bench.h"

static Db *db;
static int answers;
static char answer[256];
static char sqlstate[6];
static char order[64];
static bool close_in_call;

static void
on_connected(void *arg)
{
	(void) arg;
	connected++;
	if (close_in_call)
	{
		db_close(db);
		db = NULL;
	}
}

static void
on_answer(void *arg, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	answers++;
	if (arg != NULL)
		strncat(order, arg, sizeof(order) - strlen(order) - 1);
	snprintf(sqlstate, sizeof(sqlstate), "%s", state == NULL ? "" : state);
	answer[0] = '\0';
	if (PQntuples(result) > 0)
		snprintf(answer, sizeof(answer), "%s",
				 PQgetisnull(result, 0, 0) ? "(null)"
										   : PQgetvalue(result, 0, 0));
	if (close_in_call)
	{
		db_close(db);
		db = NULL;
	}
}

static Db *
open_db(const char *to)
{
	DbCaller caller = {NULL, on_connected, on_lost};

	connected = lost = answers = 0;
	loss_init(&loss);
	order[0] = '\0';
	return db_open(loop, to, caller);
}

/* ask: one query, waited for. */
static const char *
ask(const char *sql)
{
	int before = answers;

	db_query(db, sql, 0, NULL, DB_TEXT, on_answer, NULL);
	if (!wait_for(&answers, before + 1))
		diag("no answer to %s", sql);
	return answer;
}

static void
test_queries(void)
{
	const char *values[] = {"41", NULL};

	db = open_db(conninfo);
	is_int(connected, 0, "nothing is called from inside db_open");
	ok(wait_for(&connected, 1), "connected");
	ok(db_backend_pid(db) > 0, "backend pid");
	ok(db_server_version(db) >= 150000, "server version");
	db_query(db, "SELECT $1::int + 1", 2 - 1, values, DB_TEXT, on_answer, "a");
	db_query(db, "SELECT 1/0", 0, NULL, DB_TEXT, on_answer, "b");
	db_query(db, "SELECT $1::int + 1", 1, values + 1, DB_TEXT, on_answer, "c");
	db_query(db, "SELECT 'last'", 0, NULL, DB_TEXT, on_answer, "d");
	is_int(db_pending(db), 4, "four pending");
	is_int(answers, 0, "nothing is called from inside db_query");
	ok(wait_for(&answers, 4), "four answers");
	is_str(order, "abcd", "in the order of the queries");
	is_str(answer, "last", "an error does not touch the next query");
	is_int(db_pending(db), 0, "none pending");
	ask("SELECT 1/0");
	is_str(sqlstate, "22012", "SQLSTATE of an error");
	ask("SELEC 1");
	ask("SELEC 1");
	is_str(sqlstate, "42601", "a statement that does not parse, twice");
	db_query(db, "SELECT nowhere", 0, NULL, DB_TEXT, on_answer, NULL);
	db_query(db, "SELECT nowhere", 0, NULL, DB_TEXT, on_answer, NULL);
	wait_for(&answers, 9);
	is_str(sqlstate, "42703", "also when it is behind its own preparing");
	db_query(db, "SELECT $1::int + 1", 1, values, DB_TEXT, on_answer, NULL);
	wait_for(&answers, 10);
	is_str(answer, "42", "a prepared statement again");
	ask("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE "
		"'%$1::int + 1'");
	is_str(answer, "1", "is prepared once");
	ask("SELECT NULL");
	is_str(answer, "(null)", "SQL NULL");
}

static void
test_transactions(void)
{
	ask("CREATE TABLE t (a int)");
	ask("BEGIN");
	ask("INSERT INTO t VALUES (1)");
	ask("SELECT 1/0");
	ask("INSERT INTO t VALUES (2)");
	is_str(sqlstate, "25P02", "a failed transaction stays failed");
	ask("COMMIT");
	is_str(ask("SELECT count(*) FROM t"), "0", "nothing of it is committed");
	ask("INSERT INTO t VALUES (3)");
	ask("SELECT 1/0");
	is_str(ask("SELECT count(*) FROM t"), "1", "else each is its own");
	ask("SELECT * FROM t");
	ask("ALTER TABLE t ADD COLUMN b int");
	ask("SELECT * FROM t");
	is_str(sqlstate, "0A000", "a plan that is outdated is an error once");
	ask("SELECT * FROM t");
	is_str(sqlstate, "", "and prepared anew");
	ask("DISCARD ALL");
	ask("SELECT * FROM t");
	is_str(sqlstate, "26000", "so is a statement that has gone");
	ask("SELECT * FROM t");
	is_str(sqlstate, "", "and prepared anew");
	answers = 0;
	db_query(db, "SELECT 258::int", 0, NULL, DB_BINARY, on_answer, NULL);
	wait_for(&answers, 1);
	is_mem(answer, 2, "\0\0", 2, "a binary result");
}

/* More than socket buffers hold, both ways at once. */
static void
test_volume(void)
{
	enum
	{
		SIZE = 20000,
		COUNT = 2000
	};
	char *text = malloc(SIZE + 1);
	const char *values[] = {text};

	memset(text, 'x', SIZE);
	text[SIZE] = '\0';
	answers = 0;
	for (int i = 0; i < COUNT; i++)
		db_query(db, "SELECT $1::text", 1, values, DB_TEXT, on_answer, NULL);
	is_int(answers, 0, "40 MB are queued without waiting");
	ok(wait_for(&answers, COUNT), "and answered");
	is_int(lost, 0, "without a loss");
	free(text);
}

static void
test_loss(void)
{
	int never = 0;

	terminate(db_backend_pid(db));
	ok(wait_for(&lost, 1), "an idle connection is lost");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	ok(loss.admin_shutdown && loss.connected, "and what it means");
	is_str(loss.reason, "terminating connection due to administrator command",
		   "and the sentence of the server");
	answers = 0;
	db_query(db, "SELECT 1", 0, NULL, DB_TEXT, on_answer, NULL);
	wait_some(&never, 1, 50);
	is_int(answers, 0, "a query after the loss does nothing");
	is_int(lost, 1, "one loss is told once");
	db_close(db);

	db = open_db(conninfo);
	wait_for(&connected, 1);
	for (int i = 0; i < 5; i++)
		db_query(db, "SELECT pg_sleep(60)", 0, NULL, DB_TEXT, on_answer, NULL);
	ok(wait_value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
				  "'SELECT pg_sleep%' AND state = 'active' AND "
				  "pid <> pg_backend_pid()",
				  "1"),
	   "the first query runs");
	terminate(db_backend_pid(db));
	ok(wait_for(&lost, 1), "a busy connection is lost");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	wait_some(&never, 1, 50);
	is_int(answers, 0, "queued queries get no call");
	is_int(lost, 1, "one loss is told once");
	db_close(db);
}

static void
test_no_connection(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char to[128];

	db = open_db("host=x password=abc canary-secret");
	is_int(lost, 0, "nothing is called from inside db_open");
	ok(wait_for(&lost, 1), "a conninfo that does not parse is a loss");
	ok(strstr(loss.reason, "canary") == NULL && !loss.connected,
	   "that prints nothing of it: %s", loss.reason);
	db_close(db);

	bind(fd, (struct sockaddr *) &address, len);
	getsockname(fd, (struct sockaddr *) &address, &len);
	snprintf(to, sizeof(to), "host=127.0.0.1 port=%d user=u password=canary-2",
			 ntohs(address.sin_port));
	db = open_db(to);
	ok(wait_for(&lost, 1), "a refused connection is a loss");
	ok(strstr(loss.reason, "refused") != NULL &&
		   strstr(loss.reason, "canary") == NULL &&
		   strchr(loss.reason, '\n') == NULL,
	   "in one line: %s", loss.reason);
	db_close(db);

	listen(fd, 1);
	db = open_db(to);
	ok(wait_for(&lost, 1), "a server that never answers is a loss");
	ok(strstr(loss.reason, "no connection within") != NULL, "with its time: %s",
	   loss.reason);
	db_close(db);
	close(fd);
}

static void
test_close(void)
{
	db_close(NULL);
	db = open_db(conninfo);
	db_close(db);
	close_in_call = true;
	db = open_db(conninfo);
	ok(wait_for(&connected, 1) && db == NULL, "db_close in connected");
	close_in_call = false;
	db = open_db(conninfo);
	wait_for(&connected, 1);
	close_in_call = true;
	db_query(db, "SELECT 1", 0, NULL, DB_TEXT, on_answer, NULL);
	db_query(db, "SELECT 2", 0, NULL, DB_TEXT, on_answer, NULL);
	ok(wait_for(&answers, 1) && db == NULL, "db_close in an answer");
	close_in_call = false;
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	bench_open(argv[1]);
	test_queries();
	test_transactions();
	test_volume();
	test_loss();
	test_no_connection();
	test_close();
	PQfinish(admin);
	loop_free(loop);
	return tap_done();
}
