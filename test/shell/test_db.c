/*
 * test/shell/test_db.c
 *
 * relay/db.c and relay/stream.c against a real server: argv[1] is a conninfo
 * of a cluster of our own, argv[2] a command that stops it fast.  Built and
 * started by run_db.sh.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/tap.h"
#include "core/replication.h"
#include "db.h"
#include "log.h"
#include "stream.h"

#define DEADLINE_MS 20000

static Loop *loop;
static const char *conninfo;
static PGconn *admin; /* blocking, for what the test itself does */

/* What the callbacks saw. */
static Db *db;
static Stream *stream;
static int connected;
static int lost;
static Loss loss;
static int answers;
static char answer[256];
static char sqlstate[6];
static char order[64];
static bool close_in_call;

static int slots_made;
static int started;
static int frames;
static int inserts;
static int keepalives;
static uint64_t last_start;
static uint64_t last_end;
static uint64_t frame_start;

/* wait_until: turns of the loop until *what >= wanted. */
static bool deadline_passed;

static void
deadline_call(void *arg)
{
	(void) arg;
	deadline_passed = true;
}

static void
poll_call(void *arg)
{
	(void) arg;
	loop_stop(loop, 0);
}

static bool
wait_some(const int *what, int wanted, int64_t ms)
{
	Timer *deadline = loop_timer(loop, deadline_call, NULL);
	Timer *turn = loop_timer(loop, poll_call, NULL);

	deadline_passed = false;
	timer_set(deadline, ms);
	while (*what < wanted && !deadline_passed)
	{
		timer_set(turn, 1);
		loop_run(loop);
	}
	timer_free(turn);
	timer_free(deadline);
	return *what >= wanted;
}

static bool
wait_for(const int *what, int wanted)
{
	return wait_some(what, wanted, DEADLINE_MS);
}

/* admin_value: first column of the first row, "" when there is none. */
static const char *
admin_value(const char *sql)
{
	static char value[256];
	PGresult *result = PQexec(admin, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK &&
		PQresultStatus(result) != PGRES_COMMAND_OK)
		diag("%s: %s", sql, PQerrorMessage(admin));
	snprintf(value, sizeof(value), "%s",
			 PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	return value;
}

/* wait_value: until sql gives expected, turning the loop meanwhile. */
static bool
wait_value(const char *sql, const char *expected)
{
	int never = 0;

	for (int i = 0; i < 400; i++)
	{
		if (strcmp(admin_value(sql), expected) == 0)
			return true;
		wait_some(&never, 1, 20);
	}
	diag("%s is %s, expected %s", sql, admin_value(sql), expected);
	return false;
}

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
on_lost(void *arg, const Loss *why)
{
	(void) arg;
	lost++;
	loss = *why;
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
terminate(int pid)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", pid);
	admin_value(sql);
}

static void
test_loss(void)
{
	int never = 0;

	terminate(db_backend_pid(db));
	ok(wait_for(&lost, 1), "an idle connection is lost");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	ok(loss.admin_shutdown && loss.connected, "and what it means");
	is_str(loss.reason,
		   "terminating connection due to administrator command",
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
	ok(strstr(loss.reason, "no connection within") != NULL,
	   "with its time: %s", loss.reason);
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

static void
on_slot_made(void *arg, uint64_t consistent_point)
{
	(void) arg;
	slots_made++;
	last_end = consistent_point;
}

static void
on_started(void *arg)
{
	(void) arg;
	started++;
}

static void
on_frame(void *arg, const uint8_t *data, size_t len, uint64_t wal_start,
		 uint64_t server_end)
{
	(void) arg;
	frames++;
	if (memmem(data, len, "INSERT", 6) != NULL)
		inserts++;
	if (memmem(data, len, "pause now", 9) != NULL)
		stream_pause(stream);
	frame_start = wal_start;
	last_end = server_end;
}

static void
on_keepalive(void *arg, uint64_t server_end)
{
	(void) arg;
	keepalives++;
	last_start = server_end;
}

static Stream *
open_stream(const char *plugin_options)
{
	StreamOptions options = {conninfo, "odd_slot", "test_decoding",
							 plugin_options};
	StreamCaller caller = {NULL,	 on_connected, on_slot_made, on_started,
						   on_frame, on_keepalive, on_lost};

	connected = lost = slots_made = started = 0;
	frames = inserts = keepalives = 0;
	loss_init(&loss);
	return stream_open(loop, &options, caller);
}

static void
test_create_slot(void)
{
	PGconn *other = PQconnectdb(conninfo);
	int never = 0;

	PQclear(PQexec(other, "BEGIN"));
	PQclear(PQexec(other, "INSERT INTO t VALUES (100)"));
	stream = open_stream("\"include-xids\" '0'");
	is_int(connected, 0, "nothing is called from inside stream_open");
	ok(wait_for(&connected, 1), "a replication connection");
	ok(stream_walsender_pid(stream) > 0, "walsender pid");
	stream_create_slot(stream);
	ok(wait_value("SELECT count(*) FROM pg_replication_slots", "1"),
	   "the slot is being made");
	wait_some(&never, 1, 200);
	is_int(slots_made, 0, "an open transaction holds it up, not us");
	PQclear(PQexec(other, "COMMIT"));
	ok(wait_for(&slots_made, 1), "after its end the slot is made");
	ok(last_end > 0, "its position is known");
	stream_start(stream, 0);
	ok(wait_for(&started, 1), "started");
	PQfinish(other);
}

static void
test_confirm(void)
{
	char sql[160];

	admin_value("INSERT INTO t VALUES (5)");
	ok(wait_for(&inserts, 1), "a committed row comes as a frame");
	ok(frame_start > 0 && last_end >= frame_start, "with its positions");
	ok(wait_for(&keepalives, 1), "keepalives come");
	ok(wait_value("SELECT write_lsn IS NULL AND flush_lsn IS NULL FROM "
				  "pg_stat_replication WHERE reply_time IS NOT NULL",
				  "t"),
	   "nothing is reported before anything is confirmed");
	snprintf(sql, sizeof(sql),
			 "SELECT confirmed_flush_lsn = '%X/%X' FROM pg_replication_slots",
			 (unsigned) (last_end >> 32), (unsigned) last_end);
	is_str(admin_value(sql), "f", "the slot is not there yet");
	stream_confirm(stream, last_end);
	stream_confirm(stream, 1);
	ok(stream_confirmed(stream) == last_end, "a lower position is ignored");
	ok(wait_value(sql, "t"), "what is confirmed is reported");
	admin_value("INSERT INTO t VALUES (6)");
	wait_for(&inserts, 2);
	ok(wait_value("SELECT count(*) > 0 FROM pg_stat_replication WHERE "
				  "reply_time > now() - interval '300 ms'",
				  "t"),
	   "feedback comes by the clock");
	is_str(admin_value(sql), "t", "never past what is confirmed");
}

static int64_t
resident_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file != NULL)
		fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
test_pause(void)
{
	int before = inserts;
	int64_t memory;
	int never = 0;

	admin_value("CREATE TABLE wide (filler text)");
	admin_value("INSERT INTO wide VALUES ('pause now')");
	ok(wait_for(&inserts, before + 1), "paused by a frame");
	memory = resident_kb();
	admin_value("INSERT INTO wide SELECT repeat(i::text, 1000) FROM "
				"generate_series(1000, 21000) i");
	wait_some(&never, 1, 300);
	is_int(inserts, before + 1, "no frames while paused");
	ok(resident_kb() - memory < 20000, "and no memory: %" PRId64 " kB",
	   resident_kb() - memory);
	ok(wait_value("SELECT count(*) > 0 FROM pg_stat_replication WHERE "
				  "reply_time > now() - interval '300 ms'",
				  "t"),
	   "the server hears of us while paused");
	stream_resume(stream);
	ok(wait_for(&inserts, before + 20002), "all frames come after it");
	is_int(inserts, before + 20002, "each once");
	ok(resident_kb() - memory < 20000, "in bounded memory: %" PRId64 " kB",
	   resident_kb() - memory);
	is_int(lost, 0, "and nothing is lost");
}

/* second stream on the same slot, then refused options, then no slot */
static void
test_refusals(void)
{
	Stream *first = stream;
	int pid = stream_walsender_pid(stream);

	stream = open_stream("\"include-xids\" '0'");
	wait_for(&connected, 1);
	stream_start(stream, 0);
	ok(wait_for(&lost, 1), "a slot in use is a loss");
	is_str(loss.sqlstate, "55006", "with the SQLSTATE");
	stream_close(stream);
	lost = 0;
	terminate(pid);
	ok(wait_for(&lost, 1), "an ended walsender is a loss");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	ok(loss.admin_shutdown && loss.connected, "and what it means");
	stream_close(first);

	stream = open_stream("\"no-such-option\" '0'");
	wait_for(&connected, 1);
	stream_start(stream, 0);
	ok(wait_for(&lost, 1), "refused plugin options are a loss");
	ok(strstr(loss.reason, "no-such-option") != NULL, "in the server's words");
	stream_close(stream);

	stream = open_stream(NULL);
	wait_for(&connected, 1);
	terminate(stream_walsender_pid(stream));
	ok(wait_for(&lost, 1), "an idle walsender that ends is a loss");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	stream_close(stream);
	stream_close(NULL);
}

static void
on_lost_close_stream(void *arg, const Loss *why)
{
	on_lost(arg, why);
	stream_close(stream);
	stream = NULL;
}

/*
 * Fast shutdown while the stream may not confirm: the walsender would wait
 * for it; the other connection hears of the shutdown first.
 */
static void
test_shutdown(const char *command)
{
	DbCaller caller = {NULL, on_connected, on_lost_close_stream};
	time_t begin;
	int status;
	pid_t pid;

	stream = open_stream("\"include-xids\" '0'");
	wait_for(&connected, 1);
	stream_start(stream, 0);
	wait_for(&started, 1);
	db = db_open(loop, conninfo, caller);
	wait_for(&connected, 2);
	admin_value("INSERT INTO t VALUES (7)");
	ok(wait_for(&inserts, 1), "a row that is not confirmed");
	PQfinish(admin);
	begin = time(NULL);
	pid = fork();
	if (pid == 0)
	{
		execl("/bin/sh", "sh", "-c", command, (char *) NULL);
		_exit(127);
	}
	ok(wait_for(&lost, 1), "the shutdown is a loss");
	is_str(loss.sqlstate, "57P01", "with the SQLSTATE");
	ok(loss.admin_shutdown, "and what it means");
	waitpid(pid, &status, 0);
	is_int(status, 0, "the server has stopped");
	ok(time(NULL) - begin <= 5, "within 5 s");
	db_close(db);
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	conninfo = argv[1];
	log_configure("error", "text");
	loop = loop_new();
	admin = PQconnectdb(conninfo);
	if (PQstatus(admin) != CONNECTION_OK)
	{
		diag("%s", PQerrorMessage(admin));
		return 2;
	}
	test_queries();
	test_transactions();
	test_volume();
	test_loss();
	test_no_connection();
	test_close();
	test_create_slot();
	test_confirm();
	test_pause();
	test_refusals();
	test_shutdown(argv[2]);
	loop_free(loop);
	return tap_done();
}
