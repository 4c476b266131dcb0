/*
 * test/shell/test_stream.c
 *
 * relay/stream.c against a real server: argv[1] is a conninfo of a cluster
 * of our own, argv[2] a command that stops it fast.  Built and started by
 * run_stream.sh.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "stream.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db.h"
#include "db_bench.h"

static Stream *stream;
static int slots_made;
static int started;
static int frames;
static int inserts;
static int keepalives;
static uint64_t last_end;
static uint64_t frame_start;
static bool may_pause;

static void
on_connected(void *arg)
{
	(void) arg;
	connected++;
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
	if (may_pause && memmem(data, len, "pause now", 9) != NULL)
		stream_pause(stream);
	frame_start = wal_start;
	last_end = server_end;
}

static void
on_keepalive(void *arg, uint64_t server_end)
{
	(void) arg;
	keepalives++;
	last_end = server_end > last_end ? server_end : last_end;
}

static Stream *
open_stream(const char *plugin_options)
{
	StreamOptions options = {conninfo, "odd_slot", "test_decoding",
							 plugin_options};
	StreamCaller caller = {NULL,     on_connected, on_slot_made, on_started,
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
	char sql[160];
	int before = inserts;
	int64_t memory;
	int never = 0;

	admin_value("CREATE TABLE wide (filler text)");
	admin_value("INSERT INTO wide VALUES ('pause now')");
	may_pause = true;
	ok(wait_for(&inserts, before + 1), "paused by a frame");
	may_pause = false;
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
	stream_confirm(stream, last_end);
	snprintf(sql, sizeof(sql),
			 "SELECT confirmed_flush_lsn = '%X/%X' FROM pg_replication_slots",
			 (unsigned) (last_end >> 32), (unsigned) last_end);
	ok(wait_value(sql, "t"), "all of it is confirmed");
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
	Db *db;
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
	bench_open(argv[1]);
	admin_value("CREATE TABLE t (a int)");
	test_create_slot();
	test_confirm();
	test_pause();
	test_refusals();
	test_shutdown(argv[2]);
	loop_free(loop);
	return tap_done();
}
