# test/t/400_outage.pl
#
# Rows 1 and 47: an endpoint is down for long under a steady load, while a
# snapshot of before is open.  WAL and memory stay bounded, rows and dead
# rows are as many as batches, and then all of it drains in order.
#
# OUTBOX_OUTAGE_SECONDS, OUTBOX_OUTAGE_RATE (messages a second).
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $SECONDS = $ENV{OUTBOX_OUTAGE_SECONDS} || 12;
my $RATE = $ENV{OUTBOX_OUTAGE_RATE} || 1000;
my $BATCH = 20;         # messages of a transaction
my $WAL_MB = 96;        # what may be kept for the slot
my $RSS_MB = 64;        # of the relay
my $DRAIN = 120 + $SECONDS * $RATE / 400;

my $node = new_node(
	'main',
	conf => [
		'wal_keep_size = 0', 'min_wal_size = 32MB',
		'max_wal_size = 64MB', 'checkpoint_timeout = 30s'
	]);
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'),
	types => ['load'], options => { retry_initial_ms => 200 });
route_create($node, 'other', 'http', $receiver->url('/other'),
	types => ['beside']);
my $relay = start_relay($node,
	config => { relay => { memory_budget => '8MB' } });
enqueue($node, 'load', { n => 0 }, message_key => 'k0');
wait_until_sent($node);

# ---------- down, with a snapshot of before it ----------

my $snapshot = $node->background_psql('postgres');
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$snapshot->query_safe('SELECT count(*) FROM outbox.message');
$receiver->script('/hook', '503*');

my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script,
	"SELECT count(outbox_enqueue('load', to_jsonb(repeat('x', 150)),"
	  . " message_key => 'k' || n)) FROM generate_series(1, $BATCH) n;\n");
my $load = OutboxTest::Process->start(
	'load',
	command => [
		'pgbench', '-n', '-f', $script, '-c', 1,
		'-R' => $RATE / $BATCH,
		'-T' => $SECONDS,
		'-d' => $node->connstr('postgres')
	]);

my ($most_wal, $most_rss, $slowest) = (0, 0, 0);
my $round = 0;
while ($load->running)
{
	my $wal = retained_mb($node);
	my $began = time();
	my $id = enqueue($node, 'beside', { n => ++$round });

	$most_wal = $wal if $wal > $most_wal;
	$most_rss = $relay->rss_kb if $relay->rss_kb > $most_rss;
	wait_for('the other route delivers',
		sub { status_of($node, $id) eq 'other=SENT' });
	$slowest = time() - $began if time() - $began > $slowest;
}
is($load->wait_end, 0, 'the load ends') or diag($load->output);
my $messages = $node->safe_psql('postgres',
	"SELECT count(*) FROM outbox.message WHERE type = 'load'");
my $settles = $relay->metric('outbox_settles_total');
note("$messages messages, $settles settles, at most $most_wal MB of WAL and"
	  . " $most_rss kB of memory; the other route took $slowest s at most");
cmp_ok($messages, '>', $SECONDS * $RATE / 3, 'there was a load');
cmp_ok($most_wal, '<', $WAL_MB, 'the WAL that is kept is bounded');
rss_below($most_rss, $RSS_MB * 1024, 'so is the memory of the relay');
cmp_ok($slowest, '<', 20, 'the other route is not held up');

# What the snapshot keeps from being removed, too.
my $waiting = $messages - 1;
cmp_ok($node->safe_psql('postgres',
		'SELECT count(*) FROM outbox.backlog'),
	'<=', $waiting / 100 + $settles, 'the backlog has a row for each batch');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM outbox.parked'),
	'<', 200, 'few messages have a row of their own');
is(dead_rows($node, '^message'), 0, 'no row of a message is dead');
my $dead = dead_rows($node, '.');
cmp_ok($dead, '<', 5 * $settles + 200,
	"dead rows are as many as settles ($dead, $settles)");
$snapshot->query_safe('COMMIT');
$snapshot->quit;

# ---------- well again ----------

$receiver->script('/hook');
my $began = time();
wait_until_sent($node, $DRAIN);
note(sprintf('drained in %.1f s', time() - $began));
is(are_delivered('drained', $node, $receiver, '/hook', 'load', 0),
	$messages, 'drained: nothing came in between');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
